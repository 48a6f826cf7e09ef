// What runs beside the page, so that it never freezes: one job for each worker, told by its first message.
import { articleFits } from "./learner.mjs";
import { Images } from "./model.mjs";
import { deal, N_POOL, race, unpack } from "./race.mjs";

const JOBS = {
  /** The page's images, from base64 of a deflated stream. */
  async unpack({ packed }) {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return unpack(new Uint8Array(await new Response(stream).arrayBuffer()));
  },

  race: ({ images, ...options }) => race(images, options),

  deals({ images, seeds, ...options }) {
    for (const seed of seeds) postMessage({ progress: deal(images, { seed, ...options }) });
  },

  /** The article's fits, each as it is done. */
  article({ images: { pixels, labels }, ...options }) {
    const rows = [...labels.keys()];
    const parts = [rows.slice(0, N_POOL), rows.slice(N_POOL, N_POOL + 400), rows.slice(N_POOL + 400)];
    for (const fit of articleFits(...parts.map((part) => new Images(pixels, labels, part)), options)) {
      postMessage({ progress: fit });
    }
  },
};

onmessage = async ({ data: { job, input } }) => {
  try {
    postMessage({ done: await JOBS[job](input) });
  } catch (problem) {
    postMessage({ failed: String(problem.message ?? problem) });
  }
};
