// The article's 403 fits in Node, as CSV: node exact.mjs < images. Called by alhelpers/running/exact.py, which writes
// to it the grey levels of 4,000 pool and 400 test images, and then their labels, a byte each.
import { readFileSync, writeSync } from "node:fs";
import { articleFits } from "./learner.mjs";
import { Images, N_PIXELS } from "./model.mjs";

const [N_POOL, N_TEST] = [4000, 400];
const n = N_POOL + N_TEST;
const bytes = readFileSync(0);
if (bytes.length !== n * (N_PIXELS + 1)) throw new Error(`${bytes.length} bytes are not ${n} images with labels`);
const [pixels, labels] = [bytes.subarray(0, n * N_PIXELS), bytes.subarray(n * N_PIXELS)];
const rows = [...labels.keys()];
const pool = new Images(pixels, labels, rows.slice(0, N_POOL));
const test = new Images(pixels, labels, rows.slice(N_POOL));
const lines = ["stage,n_labels,accuracy,steps"];
for (const { stage, nLabels, accuracy, steps } of articleFits(pool, test)) {
  lines.push([stage, nLabels, accuracy, steps].join());
}
writeSync(1, `${lines.join("\n")}\n`);
