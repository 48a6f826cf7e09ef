// Part 5: the article's experiment in this browser, row by row beside what was published.
import { app, onChange, raceOptions, set } from "./app.mjs";
import { fillTable, lineChart, responsive, svg } from "./charts.mjs";
import { $, FACTS, make, number, passFocus, percent, points, show, t } from "./dom.mjs";
import { start } from "./jobs.mjs";

const HISTORY = FACTS.history.map(([stage, nLabels, accuracy, steps]) => ({ stage, nLabels, accuracy, steps }));
const ROUNDS = HISTORY.filter(({ stage }) => stage === "active");
const IN_CURVE = ["active", "auto"];
let fits = []; // of this browser, in the order of HISTORY
let divided = []; // with / n
let job = null;
let draw;

/** The published rows, each with where in the history it is. */
const ROWS = [
  ["row_ground_truth", "ground_truth"], ["row_random", "random"], ["row_first", "active", 10], ["row_active", "active", 400],
  ["row_naive_auto", "naive_auto"], ["row_auto_first", "auto", 410], ["row_auto", "auto", 4000],
].map(([name, stage, n]) => {
  const at = HISTORY.findIndex((fit) => fit.stage === stage && (!n || fit.nLabels === n));
  return { name, at, published: HISTORY[at].accuracy };
});

export function setUpArticle() {
  draw = responsive($("article-chart"), drawArticle);
  $("run-article").onclick = () => {
    set({ mean: "times" });
    run(HISTORY, (fits = []), {}, doneInWords);
  };
  $("run-divided").onclick = () => {
    set({ mean: "divided" });
    run(ROUNDS, (divided = []), { divide: true, parts: ["active"] }, dividedInWords);
  };
  $("article-stop").onclick = () => finish(t("stopped"));
  for (const radio of document.querySelectorAll('input[name="judge"]')) {
    radio.onchange = () => set({ judge: radio.value });
  }
  onChange(showArticle);
}

async function run(expected, found, options, inWords) {
  const { images } = raceOptions();
  const begun = performance.now();
  const seconds = () => number((performance.now() - begun) / 1000, 1);
  let shown = 0;
  $("article-said").textContent = "";
  $("article-bar").max = expected.length;
  job = start("article", { images, ...options }, (fit) => {
    found.push(fit);
    if (performance.now() - shown < 100 && found.length < expected.length) return; // ten pictures a second
    shown = performance.now();
    $("article-bar").value = found.length;
    $("article-count").textContent = t("running", { done: found.length, all: expected.length, seconds: seconds() });
    draw();
    showRows();
  });
  showArticle();
  try {
    await job.promise;
    finish(inWords(seconds(), found.filter((fit, i) => isEqual(fit, expected[i])).length));
  } catch (problem) {
    finish(t("training_failed", { reason: problem.message }));
  }
}

function isEqual(fit, expected) {
  return ["stage", "nLabels", "accuracy", "steps"].every((name) => fit[name] === expected[name]);
}

function doneInWords(seconds, equal) {
  return t("article_done", { seconds, equal, all: HISTORY.length });
}

function dividedInWords(seconds, equal) {
  return t("divided_done", { seconds, equal, accuracy: percent(divided.at(-1).accuracy, 2), published: percent(ROUNDS.at(-1).accuracy, 2) });
}

function finish(said) {
  job?.stop();
  job = null;
  $("article-said").textContent = said;
  showArticle();
}

function showArticle() {
  for (const id of ["run-article", "run-divided"]) $(id).disabled = !app.images || job !== null;
  const { mean } = app.settings;
  $("run-article").classList.toggle("main", mean === "times");
  $("run-divided").classList.toggle("main", mean === "divided");
  for (const id of ["article-stop", "article-progress"]) show($(id), job !== null);
  passFocus("article-stop", mean === "times" ? "run-article" : "run-divided");
  for (const radio of document.querySelectorAll('input[name="judge"]')) radio.checked = radio.value === app.settings.judge;
  $("judge-said").textContent = judgeInWords();
  draw();
  showRows();
}

/** Accuracy as the chosen judge has it. */
function judged(fit) {
  return app.settings.judge === "others" ? fit.judged : fit.accuracy;
}

function judgeInWords() {
  const [, random] = fits;
  const active = fits.find(({ stage, nLabels }) => stage === "active" && nLabels === 400);
  if (!active) return t("judge_wait");
  return t("judge_result", {
    stopped_accuracy: percent(active.accuracy, 2),
    others_accuracy: percent(active.judged, 2),
    stopped: points(active.accuracy - random.accuracy),
    others: points(active.judged - random.judged),
  });
}

function showRows() {
  $("rows").tBodies[0].replaceChildren(
    ...ROWS.map(({ name, at, published }) => {
      const here = fits[at];
      const cell = make("td", {});
      if (here) {
        cell.append(percent(judged(here), 2));
        if (app.settings.judge === "stopped") {
          const same = here.accuracy === published;
          cell.append(" ", make("span", { class: same ? "ok" : "" }, `${same ? "✓ " : "✗ "}${t(same ? "equal" : "different")}`));
        }
      } else cell.append("–");
      return make("tr", {}, make("th", { scope: "row" }, t(name)), make("td", {}, percent(published, 2)), cell);
    }),
  );
}

function drawArticle(width) {
  const points = (all, value) => all.filter(({ stage }) => IN_CURVE.includes(stage)).map((fit) => [fit.nLabels, value(fit)]);
  const lines = [{ points: points(HISTORY, ({ accuracy }) => accuracy), class: "past" }];
  const legend = [["past", t("line_committed")]];
  if (divided.length) {
    lines.push({ points: points(divided, judged), class: "random" });
    legend.push(["random", t("line_divided")]);
  }
  if (fits.length > 2) {
    lines.push({ points: points(fits, judged), class: "chosen" });
    legend.push(["chosen", t("line_here")]);
  }
  const sample = (kind) => svg("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, svg("path", { d: "M0,6H26", class: `line ${kind}` }));
  $("article-legend").replaceChildren(...legend.map(([kind, name]) => make("li", {}, sample(kind), name)));
  const shown = HISTORY.map((fit, i) => [fit, i]).filter(([{ stage, nLabels }]) => IN_CURVE.includes(stage) && (nLabels <= 50 || nLabels % 100 === 0 || nLabels === 410));
  if (!job) {
    fillTable(
      $("article-table"),
      [t("axis_labels"), t("line_committed"), t("line_here"), t("line_divided")],
      shown.map(([{ stage, nLabels, accuracy }, i]) => {
        const other = stage === "active" ? divided[nLabels / 10 - 1] : undefined;
        return [number(nLabels), percent(accuracy, 2), fits[i] ? percent(judged(fits[i]), 2) : "–", other ? percent(judged(other), 2) : "–"];
      }),
    );
  }
  return lineChart(width, {
    label: t("article_chart", { summary: t("article_chart_summary") }),
    x: { domain: [0, 400, 4000], shares: [0, 0.5, 1], ticks: width < 480 ? [0, 200, 400, 2000, 4000] : [0, 100, 200, 300, 400, 1000, 2000, 3000, 4000], title: t("axis_labels_model") },
    y: { domain: [0.3, 1], ticks: [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1], format: (tick) => percent(tick, 0) },
    lines,
    rules: [{ x: 400 }],
  }).chart;
}
