// What the parts of the page share: the images, the settings, the reader's answers, and what came of them.
import { $, show, t } from "./dom.mjs";
import { readFragment, writeFragment } from "./state.mjs";

export const app = {
  images: null, // pixels and labels; and digests
  settings: null,
  answers: [], // {row, label, by, round, when, milliseconds}, in the order given
  picked: [], // rows picked by eye for the batch at hand
  result: null, // of the race so far; see race.mjs
  extended: null, // the same, played on by the answer key
  guess: [], // [labels, accuracy] of the twin, as the reader guesses
  revealed: false,
};

const listeners = [];

/** Call a function whenever something of `app` has changed; with `answers`, also when it is one answer more or less. */
export function onChange(listener, { answers = false } = {}) {
  listeners.push({ listener, answers });
}

/** Tell those who want to know. An answer within a batch changes no chart, and is not to cost a drawing of all. */
export function changed({ onlyAnswers = false } = {}) {
  for (const { listener, answers } of listeners) if (answers || !onlyAnswers) listener();
}

/** Say something at the top of the page. */
export function notice(text) {
  $("notice").textContent = text;
  show($("notice"));
}

/** Take settings from the address, and say so if some of it made no sense. */
export function settingsFromAddress() {
  const { settings, refused } = readFragment(location.hash);
  app.settings = settings;
  if (refused.length) notice(t("refused", { what: refused.join(", ") }));
}

/** Change settings, here and in the address. */
export function set(settings) {
  Object.assign(app.settings, settings);
  const fragment = writeFragment(app.settings);
  // Not every browser lets a page from a file change its address.
  try {
    history.replaceState(null, "", fragment);
  } catch {
    location.replace(fragment);
  }
  changed();
}

/** The answers of batches that are complete, as races have them. */
export function rounds() {
  const { batch } = app.settings;
  const complete = Math.floor(app.answers.length / batch);
  return Array.from({ length: complete }, (_, i) => app.answers.slice(i * batch, (i + 1) * batch));
}

/** What a race on the page's images needs to know. */
export function raceOptions() {
  const { seed, query, batch } = app.settings;
  const { pixels, labels } = app.images;
  return { images: { pixels, labels }, seed, query, batch };
}
