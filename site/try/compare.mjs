// Part 3: the reader's curve, a guess of the random twin's, and then the twin's.
import { app, changed, onChange, raceOptions, rounds } from "./app.mjs";
import { fillTable, lineChart, responsive, svg } from "./charts.mjs";
import { $, FACTS, make, number, passFocus, percent, show, t } from "./dom.mjs";
import { start } from "./jobs.mjs";

const HANDLES = 5;
let draw;
let extending = null;

export function setUpCompare() {
  draw = responsive($("race-chart"), drawRace);
  $("reveal").onclick = () => {
    app.revealed = true;
    changed();
  };
  $("extend").onclick = extend;
  $("extend-stop").onclick = () => {
    extending?.stop();
    extending = null;
    $("race-said").textContent = t("stopped");
    showCompare();
  };
  onChange(showCompare);
}

/** The curves at hand: the reader's and the twin's, played on by the answer key if asked for. */
function curves() {
  const { history, twin } = app.extended ?? app.result ?? { history: [], twin: [] };
  const pick = (fits) => fits.map(({ nLabels, judged }) => [nLabels, judged]);
  return { yours: pick(history), twin: pick(twin) };
}

/** Where the reader can guess: at most five of the rounds, the last among them. */
function guessFor(yours) {
  const every = Math.ceil(yours.length / HANDLES);
  const places = yours.map(([n]) => n).filter((_, i) => (yours.length - 1 - i) % every === 0);
  if (places.join() !== app.guess.map(([n]) => n).join()) app.guess = places.map((n) => [n, 0.3]);
  return app.guess;
}

function showCompare() {
  const { yours, twin } = curves();
  const raced = yours.length > 0;
  show($("guess-wait"), !raced);
  show($("guess-how"), raced && !app.revealed);
  show($("reveal"), raced && !app.revealed);
  show($("extend"), raced && app.revealed && !app.extended && !extending && app.settings.query !== "by eye");
  show($("extend-stop"), extending !== null);
  passFocus("extend-stop", "extend", "race-title");
  if (raced && !app.extended) guessFor(yours);
  if (!raced) $("race-said").textContent = "";
  else if (app.revealed && !extending) $("race-said").textContent = resultInWords(yours, twin);
  else if (!extending) $("race-said").textContent = "";
  draw();
  const query = bandOf();
  const rows = FACTS.bands[query].filter(([n]) => n <= 50 || n % 50 === 0).map(([n, mean], i) => {
    const at = FACTS.bands.random.find(([m]) => m === n)[1];
    return [number(n), percent(mean), percent(at)];
  });
  const own = yours.map(([n, accuracy], i) => [number(n), percent(accuracy), app.revealed ? percent(twin[i][1]) : "…"]);
  fillTable(
    $("race-table"),
    [t("axis_labels"), t("you"), t("twin")],
    [...own, [t("axis_labels"), t("band_query", { query: t(`query_${query.replace(" ", "-")}`) }), t("band_random")], ...rows],
  );
}

/** The query whose hundred draws lie behind the curves. */
function bandOf() {
  const { query } = app.settings;
  return query in FACTS.bands && query !== "random" ? query : "least confident";
}

function resultInWords(yours, twin) {
  const [n, mine] = yours.at(-1);
  const [, other] = twin.at(-1);
  const gain = mine - other;
  const values = {
    n: number(n),
    yours: percent(mine),
    twin: percent(other),
    gain: number(Math.abs(100 * gain), 1),
    guess: percent(app.guess.at(-1)[1], 0),
  };
  const chosen = yours.length > 1; // the first batch is the twin's, too
  const said = t(!chosen ? "race_first" : gain > 1e-9 ? "race_result" : gain < -1e-9 ? "race_loss" : "race_same", values);
  return chosen ? `${said} ${t(app.extended ? "race_extended" : "race_doubt")}` : said;
}

function drawRace(width) {
  const { yours, twin } = curves();
  const most = yours.length && !app.extended ? 50 : 400;
  const query = bandOf();
  const within = (rows) => rows.filter(([n]) => n <= most);
  const band = (name, kind) => ({ points: within(FACTS.bands[name]).map(([n, , low, high]) => [n, low, high]), class: kind });
  const mean = (name, kind) => ({ points: within(FACTS.bands[name]).map(([n, value]) => [n, value]), class: `${kind} mean` });
  const lines = [mean("random", "random"), mean(query, "chosen")];
  if (yours.length) lines.push({ points: yours, class: "chosen", dots: !app.extended });
  if (app.revealed) lines.push({ points: twin, class: "random", dots: !app.extended });
  if (app.revealed) lines.push({ points: app.guess, class: "guess", dots: true });
  const last = (name) => percent(within(FACTS.bands[name]).at(-1)[1], 0);
  const summary = yours.length
    ? $("race-said").textContent
    : t("race_chart_summary", { low: percent(FACTS.bands[query][0][1], 0), high: last(query), random: last("random") });
  const drawn = lineChart(width, {
    label: t("race_chart", { summary }),
    x: { domain: [0, most], ticks: most === 50 ? [0, 10, 20, 30, 40, 50] : [0, 100, 200, 300, 400], title: t("axis_labels") },
    y: { domain: [0, 1], ticks: [0, 0.2, 0.4, 0.6, 0.8, 1], format: (tick) => percent(tick, 0) },
    bands: [band("random", "random"), band(query, "chosen")],
    lines,
  });
  if (yours.length && !app.revealed) addHandles(drawn);
  showLegend(query, yours.length > 0);
  return drawn.chart;
}

function showLegend(query, raced) {
  const sample = (kind, thick) => {
    const box = svg("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" });
    if (thick) box.append(svg("path", { d: "M0,6H26", class: `line ${kind}` }));
    else box.append(svg("rect", { width: 26, height: 12, class: `band ${kind}` }), svg("path", { d: "M0,6H26", class: `line mean ${kind}` }));
    return box;
  };
  const entries = [];
  if (raced) entries.push(["chosen", true, t(app.extended ? "you_key" : "you")]);
  if (raced && app.revealed) entries.push(["random", true, t("twin")]);
  if (raced) entries.push(["guess", true, t("guess")]);
  entries.push(["chosen", false, t("band_query", { query: t(`query_${query.replace(" ", "-")}`) })], ["random", false, t("band_random")]);
  $("race-legend").replaceChildren(...entries.map(([kind, thick, name]) => make("li", {}, sample(kind, thick), name)));
}

/** Dots to drag, to sweep over, or to move with the arrow keys. */
function addHandles({ chart, toX, toY }) {
  const path = svg("path", { class: "line guess" });
  const knobs = app.guess.map(([n], i) => {
    const knob = svg("circle", { r: 8, class: "knob" });
    const group = svg("g", {
      class: "handle", role: "slider", tabindex: "0", "aria-orientation": "vertical",
      "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": t("guess_dot", { n }),
    }, svg("circle", { r: 22, class: "target" }), knob);
    // A finger on a dot does not scroll; beside the dots, upwards and downwards, it does.
    group.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    group.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -100, End: 100 }[event.key];
      if (!step) return;
      event.preventDefault();
      move(i, app.guess[i][1] + step / 100);
    });
    return group;
  });
  const move = (i, value) => {
    app.guess[i][1] = Math.round(100 * Math.min(Math.max(value, 0), 1)) / 100;
    place();
  };
  const place = () => {
    app.guess.forEach(([n, value], i) => {
      knobs[i].setAttribute("transform", `translate(${toX(n)},${toY(value)})`);
      knobs[i].setAttribute("aria-valuenow", Math.round(100 * value));
      knobs[i].setAttribute("aria-valuetext", percent(value, 0));
    });
    path.setAttribute("d", app.guess.map(([n, value], i) => `${i ? "L" : "M"}${toX(n)},${toY(value)}`).join(""));
  };
  const drag = (event) => {
    const box = chart.getBoundingClientRect();
    const size = chart.viewBox.baseVal;
    const x = ((event.clientX - box.left) / box.width) * size.width;
    const y = ((event.clientY - box.top) / box.height) * size.height;
    const distance = app.guess.map(([n]) => Math.abs(toX(n) - x));
    const share = (y - toY(0)) / (toY(1) - toY(0));
    move(distance.indexOf(Math.min(...distance)), share);
  };
  chart.classList.add("drawable");
  chart.removeAttribute("role"); // what can be operated inside it has to be found
  chart.append(path, ...knobs);
  chart.addEventListener("pointerdown", (event) => {
    chart.setPointerCapture(event.pointerId);
    drag(event);
  });
  chart.addEventListener("pointermove", (event) => {
    if (chart.hasPointerCapture(event.pointerId)) drag(event);
  });
  place();
}

async function extend() {
  extending = start("race", { ...raceOptions(), rounds: rounds(), budget: 400 });
  $("race-said").textContent = t("extending");
  showCompare();
  const job = extending;
  try {
    const extended = await job.promise;
    if (extending === job && app.result) app.extended = extended;
    extending = null;
  } catch (problem) {
    extending = null;
    $("race-said").textContent = t("training_failed", { reason: problem.message });
  }
  changed();
}

/** What choosing gained in the reader's own race; undefined before there is one. */
export function ownGain() {
  if (!app.revealed || !app.result?.history.length) return undefined;
  return app.result.history.at(-1).judged - app.result.twin.at(-1).judged;
}
