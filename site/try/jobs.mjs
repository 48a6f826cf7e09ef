// Jobs for workers. Each has one of its own, so that stopping it is ending its worker, and nothing is left behind.
import { $, make } from "./dom.mjs";

let source;

/** Start a job. Returns its promise, which never settles if it is stopped, and `stop`. */
export function start(job, input, onProgress = () => {}) {
  source ??= URL.createObjectURL(new Blob([$("worker").textContent], { type: "text/javascript" }));
  const worker = new Worker(source);
  const promise = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if ("progress" in data) return onProgress(data.progress);
      worker.terminate();
      if ("failed" in data) reject(new Error(data.failed));
      else resolve(data.done);
    };
    worker.onerror = (event) => reject(new Error(event.message));
  });
  worker.postMessage({ job, input });
  return { promise, stop: () => worker.terminate() };
}

/** Offer a text to be saved as a file. */
export function saveFile(text, name, type) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
