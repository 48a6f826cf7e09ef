// Part 2: the reader answers the model's questions, and sees what each batch has taught it.
import { app, changed, onChange, raceOptions, rounds, set } from "./app.mjs";
import { $, digit, make, passFocus, percent, show, t, weightImages } from "./dom.mjs";
import { start } from "./jobs.mjs";
import { keep, load, MOST_ANSWERS } from "./state.mjs";

const storage = () => localStorage;
let shownSince = 0;
let training = null;

export function setUpLabel() {
  for (let k = 0; k < 10; k++) {
    $("keypad").append(make("button", { type: "button", click: () => answer(k) }, String(k)));
  }
  $("cannot-tell").onclick = () => answer(null);
  $("undo").onclick = undo;
  $("answer-key").onclick = fillFromKey;
  $("stage").onkeydown = onKey;
  $("start").onclick = begin;
  $("next").onclick = begin;
  $("go-on").onclick = begin;
  $("stop-here").onclick = end;
  $("sheet-go").onclick = ask;
  $("start-over").onclick = () => confirmStartOver(true);
  $("keep-mine").onclick = () => confirmStartOver(false);
  $("start-over-sure").onclick = startOver;
  $("query").onchange = () => set({ query: $("query").value });
  $("batch").onchange = () => set({ batch: Number($("batch").value) });
  $("seed").onchange = () => {
    const seed = Math.round(Number($("seed").value));
    set({ seed: Math.min(Math.max(seed || 1, 1), 9999) });
  };
  $("keep").onchange = () => ($("keep").checked ? save() : forget());
  onChange(showSettings, { answers: true });
}

/** Take up what this browser kept, if it kept anything. Returns whether it did. */
export function takeUpKept() {
  const kept = load(storage);
  if (!kept) return false;
  Object.assign(app, { answers: kept.answers, picked: kept.picked });
  $("name").value = kept.name;
  $("keep").checked = true;
  set(kept.settings);
  return true;
}

/** Once the images are there: ready for the first question, or back where the reader was. */
export async function readyToLabel() {
  $("start").disabled = false;
  $("start").textContent = t("start");
  if (!app.answers.length) return;
  show($("start"), false);
  $("keep-said").textContent = t("welcome_back", { n: app.answers.length });
  await train();
  if (!app.result) return;
  if (app.answers.length % app.settings.batch) ask({ focus: false });
  else if (app.answers.length >= MOST_ANSWERS) end({ focus: false });
  else showOutcome({ focus: false });
}

/** Keep everything in this browser if the reader has asked for it. If not, another tab may be keeping something. */
export function save() {
  if (!$("keep").checked) return;
  const { settings: { seed, query, batch }, answers, picked } = app;
  const could = keep(storage, { settings: { seed, query, batch }, answers, picked, name: $("name").value });
  $("keep-said").textContent = t(could ? "kept" : "keep_failed");
}

/** Keep nothing in this browser any more. */
export function forget() {
  $("keep").checked = false;
  $("keep-said").textContent = "";
  keep(storage, null);
}

function showSettings() {
  const { seed, query, batch } = app.settings;
  $("seed").value = seed;
  $("query").value = query;
  $("batch").value = batch;
  $("query-help").textContent = t(`help_${query.replace(" ", "-")}`);
  // A race has one draw, one query and one batch size, from its first answer to its last.
  const begun = app.answers.length > 0 || !$("stage").hidden || !$("sheet").hidden;
  show($("settings"), !begun);
  show($("chosen"), begun);
  $("chosen").textContent = t("chosen", { query: t(`query_${query.replace(" ", "-")}`), batch, seed });
  show($("start-over"), begun && $("start-over-sure").hidden);
  show($("keeping"), app.answers.length > 0);
}

/** Begin a batch: the first, the next one, or another after the end. */
async function begin() {
  show($("start"), false);
  show($("outcome"), false);
  show($("ended"), false);
  if (!app.result) await train();
  if (!app.result) return;
  if (app.settings.query === "by eye") pick();
  else ask();
}

function pick() {
  app.picked = [];
  const { batch } = app.settings;
  const rows = app.result.ask;
  const count = () => {
    $("sheet-said").textContent = t("sheet_1", { batch, n: app.picked.length });
    $("sheet-go").disabled = app.picked.length !== batch;
  };
  $("sheet-digits").replaceChildren(
    ...rows.map((row, i) => {
      const label = t("sheet_digit", { i: i + 1, n: rows.length });
      const button = make("button", { type: "button", "aria-pressed": "false", "aria-label": label }, digit(app.images.pixels, row, ""));
      button.onclick = () => {
        const at = app.picked.indexOf(row);
        if (at >= 0) app.picked.splice(at, 1);
        else if (app.picked.length < batch) app.picked.push(row);
        button.setAttribute("aria-pressed", String(app.picked.includes(row)));
        count();
      };
      return button;
    }),
  );
  $("sheet-go").textContent = t("sheet_go", { batch });
  count();
  show($("sheet"));
  $("sheet-digits").firstChild.focus();
  changed({ onlyAnswers: true });
}

/** The images of the batch at hand. */
function queue() {
  return app.settings.query === "by eye" ? app.picked : app.result.ask;
}

/** Show the next question of the batch. */
function ask({ focus = true } = {}) {
  const { batch } = app.settings;
  const i = app.answers.length % batch;
  show($("sheet"), false);
  show($("stage"));
  $("asked").replaceChildren(digit(app.images.pixels, queue()[i], t("digit_to_label"), "digit huge"));
  $("question").textContent = t("question", { i: i + 1, batch, n: app.answers.length });
  $("undo").disabled = i === 0;
  shownSince = performance.now();
  if (focus) passFocus("stage"); // from what is gone: the sheet, or "Undo" at the first question
  changed({ onlyAnswers: true });
  if (!focus) return;
  if (!$("stage").contains(document.activeElement)) $("stage").focus({ preventScroll: true });
  $("stage").scrollIntoView({ block: "nearest" });
}

function answer(label, by = "person") {
  note(label, by);
  save(); // before anything is trained: a tab that closes now loses no answer
  if (app.answers.length % app.settings.batch) ask();
  else finishBatch();
}

function note(label, by) {
  const { batch } = app.settings;
  app.answers.push({
    row: queue()[app.answers.length % batch],
    label,
    by,
    round: Math.floor(app.answers.length / batch) + 1,
    when: new Date().toISOString(),
    milliseconds: by === "key" ? 0 : Math.round(performance.now() - shownSince),
  });
}

function undo() {
  if (app.answers.length % app.settings.batch === 0) return;
  app.answers.pop();
  save();
  ask();
}

function fillFromKey() {
  const { batch } = app.settings;
  do note(app.images.labels[queue()[app.answers.length % batch]], "key");
  while (app.answers.length % batch);
  finishBatch(); // which saves
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (/^[0-9]$/.test(event.key)) answer(Number(event.key));
  else if (event.key === "?") answer(null);
  else if (event.key === "Backspace") undo();
  else return;
  event.preventDefault();
}

async function finishBatch() {
  show($("stage"), false);
  Object.assign(app, { extended: null, revealed: false, guess: [], picked: [] });
  save();
  const before = app.result;
  await train();
  if (!app.result) return;
  if (app.answers.length >= MOST_ANSWERS) end();
  else showOutcome({ before });
}

/** Train both sides anew on all complete batches, which takes less than a second. */
async function train() {
  training?.stop();
  const labels = app.answers.filter(({ label }) => label !== null).length;
  $("training").textContent = labels ? t("training", { n: labels }) : "";
  training = start("race", { ...raceOptions(), rounds: rounds() });
  try {
    app.result = await training.promise;
    $("training").textContent = "";
  } catch (problem) {
    app.result = null;
    $("training").textContent = t("training_failed", { reason: problem.message });
  }
  training = null;
  changed();
}

function showOutcome({ before, focus = true } = {}) {
  const { history, weights, leastSure } = app.result;
  const last = history.at(-1);
  let said = t("learned_nothing");
  if (last && last.nLabels !== before?.history.at(-1)?.nLabels) {
    said = t("learned", { n: last.nLabels, accuracy: percent(last.judged) });
    if (history.length > 1) said += t("learned_before", { before: percent(history.at(-2).judged) });
    said += ".";
  }
  $("learned").textContent = said;
  $("weights").replaceChildren(...weightImages(weights));
  $("least-sure").replaceChildren();
  if (leastSure) {
    const [one, two] = leastSure.guesses;
    const values = { first: one.digit, second: two.digit, sure1: percent(one.proba, 0), sure2: percent(two.proba, 0) };
    $("least-sure").append(
      digit(app.images.pixels, leastSure.row, t("least_sure_alt")),
      make("p", {}, t("least_sure", values)),
    );
  }
  $("next").textContent = t("next_batch", { batch: app.settings.batch });
  show($("outcome"));
  if (focus) {
    $("next").focus({ preventScroll: true });
    $("outcome").scrollIntoView({ block: "nearest" });
  }
}

/** The end of labelling, for now: the slips. */
function end({ focus = true } = {}) {
  show($("outcome"), false);
  const { labels, pixels } = app.images;
  const told = app.answers.filter(({ label }) => label !== null);
  const unsure = app.answers.length - told.length;
  const slips = told.filter(({ row, label }) => label !== labels[row]);
  const said = slips.length === 0 ? t("slips_none") : slips.length === 1 ? t("slips_one") : t("slips", { n: slips.length });
  const unsureSaid = unsure === 0 ? "" : unsure === 1 ? t("ended_unsure_one") : t("ended_unsure", { n: unsure });
  $("ended-said").textContent = t("ended", { n: told.length, unsure: unsureSaid, slips: said });
  $("slips").replaceChildren(
    ...slips.map(({ row, label }) => {
      const words = t("slip", { label, key: labels[row] });
      return make("figure", {}, digit(pixels, row, words), make("figcaption", {}, words));
    }),
  );
  show($("slips-why"), slips.length > 0);
  show($("go-on"), app.answers.length < MOST_ANSWERS);
  show($("ended"));
  if (focus) $("ended-said").focus({ preventScroll: true });
}

function confirmStartOver(asked) {
  if (asked && !app.answers.length) return startOver();
  $("start-over-sure").textContent = t("start_over_sure", { n: app.answers.length });
  show($("start-over-sure"), asked);
  show($("keep-mine"), asked);
  show($("start-over"), !asked);
  (asked ? $("keep-mine") : $("start-over")).focus();
}

function startOver() {
  training?.stop();
  Object.assign(app, { answers: [], picked: [], result: null, extended: null, guess: [], revealed: false });
  for (const id of ["stage", "sheet", "outcome", "ended", "start-over-sure", "keep-mine"]) show($(id), false);
  $("training").textContent = "";
  show($("start"));
  save();
  changed();
  $("start").focus();
}
