// Charts in SVG, drawn by hand: lines with bands, and rows of dots. Colours are classes of the style sheet.
import { make, number, t } from "./dom.mjs";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 46, right: 18, top: 10, bottom: 42 };

/** An element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A scale from values to pixels, by pieces if there are more than two values. */
export function scale(values, pixels) {
  return (value) => {
    let i = 1;
    while (i < values.length - 1 && value > values[i]) i++;
    const share = (value - values[i - 1]) / (values[i] - values[i - 1]);
    return pixels[i - 1] + share * (pixels[i] - pixels[i - 1]);
  };
}

/** Draw into a figure's frame now and whenever its width changes. Returns a function that draws again. */
export function responsive(frame, drawing) {
  let width = 0;
  const again = () => frame.replaceChildren(drawing(Math.max(frame.clientWidth, 280)));
  new ResizeObserver(() => {
    if (frame.clientWidth !== width) {
      width = frame.clientWidth;
      again();
    }
  }).observe(frame);
  return again;
}

/**
 * A chart with both axes, and room for more: its svg, and the scales x and y.
 * An axis has domain (its ends, or its pieces), ticks, title, and for x the share of the width for each piece.
 */
function axes(width, height, label, x, y) {
  const right = width - MARGIN.right;
  const shares = x.shares ?? [0, 1];
  const toX = scale(x.domain, shares.map((share) => MARGIN.left + share * (right - MARGIN.left)));
  const toY = scale(y.domain, [height - MARGIN.bottom, MARGIN.top]);
  const bottom = height - MARGIN.bottom;
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "chart" });
  for (const tick of y.ticks ?? []) {
    chart.append(
      svg("line", { x1: MARGIN.left, x2: right, y1: toY(tick), y2: toY(tick), class: "grid" }),
      svg("text", { x: MARGIN.left - 6, y: toY(tick) + 4, "text-anchor": "end" }, y.format(tick)),
    );
  }
  for (const tick of x.ticks) {
    chart.append(
      svg("line", { x1: toX(tick), x2: toX(tick), y1: bottom, y2: bottom + 4, class: "axis" }),
      svg("text", { x: toX(tick), y: bottom + 17, "text-anchor": "middle" }, x.format ? x.format(tick) : number(tick)),
    );
  }
  chart.append(
    svg("line", { x1: MARGIN.left, x2: right, y1: bottom, y2: bottom, class: "axis" }),
    svg("text", { x: (MARGIN.left + right) / 2, y: height - 6, "text-anchor": "middle", class: "title" }, x.title),
  );
  return { chart, toX, toY, bottom };
}

/**
 * Lines over bands. lines: [{points: [[x, y]], class, dots}]; bands: [{points: [[x, low, high]], class}];
 * rules: [{x, class}] for upright lines. Returns the svg and its scales.
 */
export function lineChart(width, { height = 300, label, x, y, lines = [], bands = [], rules = [] }) {
  const drawn = axes(width, height, label, x, y);
  const { chart, toX, toY, bottom } = drawn;
  const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${toX(a).toFixed(1)},${toY(b).toFixed(1)}`).join("");
  for (const rule of rules) {
    chart.append(svg("line", { x1: toX(rule.x), x2: toX(rule.x), y1: MARGIN.top, y2: bottom, class: `rule ${rule.class ?? ""}` }));
  }
  for (const { points, class: name } of bands) {
    const there = points.map(([a, low]) => [a, low]);
    const back = points.map(([a, , high]) => [a, high]).reverse();
    chart.append(svg("path", { d: `${path([...there, ...back])}Z`, class: `band ${name}` }));
  }
  for (const { points, class: name, dots } of lines) {
    if (points.length > 1) chart.append(svg("path", { d: path(points), class: `line ${name}` }));
    if (dots || points.length === 1) {
      for (const [a, b] of points) chart.append(svg("circle", { cx: toX(a), cy: toY(b), r: 3.5, class: `dot ${name}` }));
    }
  }
  return drawn;
}

/**
 * Rows of dots that are heaped where they meet. rows: [{name, note, values, class, interval: [mean, low, high], mark}].
 */
export function dotChart(width, { label, x, rows, rowHeight = 116 }) {
  const height = MARGIN.top + MARGIN.bottom + rows.length * rowHeight;
  const { chart, toX, bottom } = axes(width, height, label, x, { domain: [0, 1] });
  chart.append(svg("line", { x1: toX(0), x2: toX(0), y1: MARGIN.top, y2: bottom, class: "rule" }));
  rows.forEach(({ name, note = "", values, class: kind, interval, mark }, row) => {
    const top = MARGIN.top + row * rowHeight;
    const base = top + rowHeight - 22;
    chart.append(
      svg("text", { x: 0, y: top + 13, class: "row-name" }, name),
      svg("text", { x: 0, y: top + 31 }, note),
    );
    const heaps = new Map();
    for (const value of values) {
      const at = Math.round(toX(value) / 7);
      heaps.set(at, (heaps.get(at) ?? 0) + 1);
    }
    const step = Math.min(7, (base - top - 26) / Math.max(...heaps.values(), 1));
    for (const [at, count] of heaps) {
      for (let i = 0; i < count; i++) chart.append(svg("circle", { cx: at * 7, cy: base - 5 - i * step, r: 3, class: `dot ${kind}` }));
    }
    if (interval) {
      // Of two races it may be wider than the page, which is not to scroll sideways.
      const [mean, low, high] = interval.map((end) => Math.min(Math.max(toX(end), 0), width));
      chart.append(
        svg("line", { x1: low, x2: high, y1: base + 8, y2: base + 8, class: "interval" }),
        svg("line", { x1: mean, x2: mean, y1: base + 3, y2: base + 13, class: "interval" }),
      );
    }
    if (mark !== undefined) {
      const at = toX(mark);
      chart.append(svg("path", { d: `M${at},${base - 10}l6,7l-6,7l-6,-7Z`, class: "mark" }));
    }
  });
  return { chart };
}

/** The same figures for those who do not see the chart, and for those who want the numbers. */
export function fillTable(details, header, rows) {
  const line = (tag, cells) => make("tr", {}, ...cells.map((cell) => make(tag, tag === "th" ? { scope: "col" } : {}, cell)));
  const table = make("table", {}, make("thead", {}, line("th", header)), make("tbody", {}, ...rows.map((row) => line("td", row))));
  details.replaceChildren(make("summary", {}, t("table")), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("table") }, table));
}
