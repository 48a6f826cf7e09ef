// A reader against a random twin, on a draw of the page's images; and the same by machine, again and again.
import { Learner, MEASURES } from "./learner.mjs";
import { Images, N_CLASSES, N_PIXELS } from "./model.mjs";

export const N_POOL = 4000; // images with these numbers can be labelled; the others test
export const N_TEST = 1000;
const DRAWN = 2000; // of the pool, so that two draws differ by more than their order
const STOP = 400; // test images that end a fit; the others judge
export const SHEET = 30; // images to pick from by eye

/** The images of a draw, each by its number: the same for the same seed. */
export function draw(seed) {
  const random = generator(seed);
  const test = shuffled(N_TEST, random).map((i) => i + N_POOL);
  return { pool: shuffled(N_POOL, random).slice(0, DRAWN), stop: test.slice(0, STOP), judge: test.slice(STOP) };
}

/**
 * Play a race from its beginning as far as it has come.
 *
 * @param {{pixels: Uint8Array, labels: Uint8Array}} images of the page
 * @param {object} race seed; query, a key of MEASURES or "random" or "by eye"; batch; rounds, a list of lists of
 *   answers {row, label}, the label null for "cannot tell"; budget, up to which the answer key goes on by itself
 * @returns {object} the fits of both sides, and what the reader's model has to say
 */
export function race({ pixels, labels }, { seed, query, batch, rounds = [], budget = 0 }) {
  const drawn = draw(seed);
  const [pool, stop, judge] = [drawn.pool, drawn.stop, drawn.judge].map((rows) => new Images(pixels, labels, rows));
  const place = new Map(drawn.pool.map((row, i) => [row, i]));
  const reader = new Learner(pool, stop, judge);
  const twin = new Learner(pool, stop, judge);
  // Both begin with the same images, then the twin draws from the other end of the shuffled pool.
  twin.askFirst([...twin.unlabelled.slice(0, batch), ...twin.unlabelled.slice(batch).reverse()]);
  const learn = () => {
    const n = reader.labelled.rows.length - twin.labelled.rows.length;
    if (!n) return; // nothing but "cannot tell"
    twin.label(n);
    reader.fit();
    twin.fit();
    if (query in MEASURES) reader.lowestFirst(MEASURES[query]);
  };
  for (const answers of rounds) {
    reader.askFirst(answers.map(({ row }) => place.get(row)));
    reader.label(answers.length, answers.map(({ label }) => label));
    learn();
  }
  while (reader.labelled.rows.length < budget) {
    reader.label(Math.min(batch, budget - reader.labelled.rows.length));
    learn();
  }
  const rowsOf = (places) => places.map((i) => drawn.pool[i]);
  return {
    history: reader.history,
    twin: twin.history,
    ask: rowsOf(reader.unlabelled.slice(0, query === "by eye" ? SHEET : batch)),
    weights: Float32Array.from(reader.model.weights),
    leastSure: leastSure(reader, drawn.pool),
  };
}

/** One more draw, labelled by the answer key: how far the chosen labels end ahead of as many random ones. */
export function deal(images, { seed, query, batch, budget }) {
  const { history, twin } = race(images, { seed, query, batch, budget });
  return { seed, chosen: history.at(-1).judged, random: twin.at(-1).judged };
}

/** The unlabelled image whose best guess is the least probable, with the two best guesses. */
function leastSure(learner, pool) {
  if (!learner.history.length) return null;
  const all = learner.probabilities(learner.unlabelled);
  const best = all.map(MEASURES["least confident"]);
  const i = best.indexOf(best.reduce((a, b) => Math.min(a, b)));
  const order = [...Array(N_CLASSES).keys()].sort((a, b) => all[i][b] - all[i][a]);
  return {
    row: pool[learner.unlabelled[i]],
    guesses: order.slice(0, 2).map((digit) => ({ digit, proba: all[i][digit] })),
  };
}

/** The numbers below n in an order that hangs on a generator (Fisher and Yates). */
function shuffled(n, random) {
  const all = [...Array(n).keys()];
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all;
}

/** Numbers from 0 to 1 that hang on a seed: Mulberry32, by Tommy Ettinger, in the public domain. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Take apart what site/try/build.py has packed: grey levels, labels, SHA-256 digests of the pool's images. */
export function unpack(bytes) {
  const n = N_POOL + N_TEST;
  const parts = [n * N_PIXELS, n, N_POOL * 32];
  let at = 0;
  const [pixels, labels, digests] = parts.map((size) => bytes.slice(at, (at += size)));
  if (at !== bytes.length) throw new Error(`${bytes.length} bytes are not the page's images`);
  return { pixels, labels, digests };
}
