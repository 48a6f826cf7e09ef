// Part 4: the same race on other draws, until one result has become many.
import { app, onChange, raceOptions, set } from "./app.mjs";
import { dotChart, fillTable, responsive } from "./charts.mjs";
import { ownGain } from "./compare.mjs";
import { $, FACTS, passFocus, percent, points, show, t } from "./dom.mjs";
import { start } from "./jobs.mjs";

const MOST = 200;
let deals = [];
let recipe = ""; // what the deals on the table have in common
let job = null;
let begunBy = "deal-one"; // the button that takes the focus back from "Stop"
let draw;

export function setUpDeal() {
  draw = responsive($("deal-chart"), drawDeals);
  $("deal-one").onclick = () => dealSome(1);
  $("deal-ten").onclick = () => dealSome(10);
  $("deal-clear").onclick = () => {
    deals = [];
    showDeals();
  };
  $("deal-stop").onclick = () => finish(t("stopped"));
  $("budget").onchange = () => set({ budget: Number($("budget").value) });
  onChange(showDeals);
}

function options() {
  const { query, batch, budget } = app.settings;
  return { query: query === "by eye" ? "least confident" : query, batch, budget };
}

async function dealSome(n) {
  // The reader's own draw is on the table already, as the diamond.
  const first = app.settings.seed + 1 + deals.length;
  const seeds = Array.from({ length: n }, (_, i) => first + i);
  const { images } = raceOptions();
  begunBy = n === 1 ? "deal-one" : "deal-ten";
  $("deal-progress").textContent = t("dealing", { seed: seeds[0] });
  job = start("deals", { images, seeds, ...options() }, (dealt) => {
    deals.push(dealt);
    $("deal-progress").textContent = t("dealing", { seed: dealt.seed + 1 });
    showDeals({ quiet: true });
  });
  showDeals();
  try {
    await job.promise;
    finish("");
  } catch (problem) {
    finish(t("training_failed", { reason: problem.message }));
  }
}

function finish(said) {
  job?.stop();
  job = null;
  $("deal-progress").textContent = said;
  showDeals();
}

/** Mean of values, and the ends of its 95 % interval after Student. */
function interval(values) {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = FACTS.t[n - 2] * Math.sqrt(variance / n);
  return [mean, mean - half, mean + half];
}

function gains() {
  return deals.map(({ chosen, random }) => chosen - random);
}

/** Does the reader's own race belong beside the deals? */
function comparable() {
  return app.settings.query !== "by eye" && app.answers.length === app.settings.budget;
}

function showDeals({ quiet = false } = {}) {
  const now = JSON.stringify(options());
  if (now !== recipe) {
    // Deals of another recipe are no repeats of this one.
    recipe = now;
    if (job) return finish("");
    deals = [];
  }
  $("budget").value = app.settings.budget;
  $("budget").disabled = job !== null;
  for (const id of ["deal-one", "deal-ten"]) $(id).disabled = !app.images || job !== null || deals.length + 10 > MOST;
  show($("deal-stop"), job !== null);
  show($("deal-clear"), job === null && deals.length > 0);
  passFocus("deal-stop", begunBy, "deal-clear");
  if (!quiet) $("deal-said").textContent = inWords();
  draw();
  const row = ({ seed, chosen, random }) => [String(seed), percent(chosen), percent(random), points(chosen - random)];
  fillTable($("deal-table"), [t("seed"), t("line_chosen"), t("query_random"), t("deal_axis")], [
    ...deals.map(row),
    [t("deal_article_row"), "", "", `${points(FACTS.hundred_gain.interval[0])} (${FACTS.hundred_gain.interval.slice(1).map((end) => points(end)).join(" … ")})`],
  ]);
}

function inWords() {
  const all = gains();
  const byEye = app.settings.query === "by eye" ? ` ${t("deal_by_eye")}` : "";
  if (!all.length) return byEye.trim();
  const own = ownGain();
  const yours = own === undefined || !comparable() ? "" : t("deal_yours", { gain: points(own) });
  if (all.length === 1) return t("deal_result_one", { mean: points(all[0]) }) + yours + byEye;
  const [mean, from, to] = interval(all);
  const values = {
    n: all.length,
    positive: all.filter((gain) => gain > 1e-9).length,
    low: points(Math.min(...all)), high: points(Math.max(...all)),
    mean: points(mean), from: points(from), to: points(to),
  };
  return t("deal_result", values) + t(from > 0 ? "deal_above" : to < 0 ? "deal_below" : "deal_zero") + yours + byEye;
}

function drawDeals(width) {
  const all = gains();
  const { query, budget } = options();
  const name = t("deal_row", { query: t(`query_${query.replace(" ", "-")}`), budget });
  const rows = [
    {
      name,
      note: all.length ? "" : t("deal_none"),
      values: all, class: "chosen",
      interval: all.length > 1 ? interval(all) : undefined,
      mark: comparable() ? ownGain() : undefined,
    },
    { name: t("deal_article_row"), values: FACTS.hundred, class: "past", interval: FACTS.hundred_gain.interval, mark: 0.06 },
  ];
  const most = Math.max(0.1, ...[...all, rows[0].mark ?? 0].map(Math.abs));
  const end = Math.ceil(most * 20 - 1e-9) / 20;
  const step = end > 0.15 ? 0.1 : 0.05;
  const each = Math.floor(end / step + 1e-9);
  const ticks = Array.from({ length: 2 * each + 1 }, (_, i) => (i - each) * step);
  return dotChart(width, {
    label: t("deal_chart", { summary: inWords() || t("deal_none") }),
    x: { domain: [-end, end], ticks, title: t("deal_axis"), format: (tick) => (tick ? points(tick, 0) : "0") },
    rows,
  }).chart;
}
