// The few things that every part of the page does: texts, numbers, elements, digits.
import { N_PIXELS } from "./model.mjs";

export const $ = (id) => document.getElementById(id);
const read = (id) => JSON.parse($(id).textContent);
const TEXTS = read("texts");
/** What site/try/build.py has computed from the committed results. */
export const FACTS = read("facts");

/** A text of texts.json, with values in place of its {names}. */
export function t(key, values = {}) {
  return TEXTS[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

const formats = {}; // by decimals: kept, because making one is slow

export function number(value, digits = 0) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  formats[digits] ??= new Intl.NumberFormat(document.documentElement.lang, options);
  return formats[digits].format(value);
}

export const percent = (share, digits = 1) => `${number(100 * share, digits)}%`;

/** A difference of accuracies in percentage points, with its sign. */
export function points(share, digits = 1) {
  const rounded = Number((100 * share).toFixed(digits));
  return `${rounded < 0 ? "−" : "+"}${number(Math.abs(rounded), digits)}`;
}

/** An element; attributes that are functions are listeners. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A digit of the page as a picture, hidden from screen readers if it has no label; its ink is black, which the style sheet turns round in the dark. */
export function digit(pixels, row, label, name = "digit") {
  const words = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  const canvas = make("canvas", { width: 28, height: 28, class: name, ...words });
  const image = new ImageData(28, 28);
  for (let p = 0; p < N_PIXELS; p++) image.data[4 * p + 3] = pixels[row * N_PIXELS + p];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Ten pictures of what speaks for a digit (blue) and against it (orange). */
export function weightImages(weights) {
  const most = weights.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
  return [...Array(10).keys()].map((k) => {
    const canvas = make("canvas", { width: 28, height: 28, class: "weights", role: "img", "aria-label": t("weights_of", { digit: k }) });
    const image = new ImageData(28, 28);
    for (let p = 0; p < N_PIXELS; p++) {
      const weight = weights[p * 10 + k];
      image.data.set([...(weight > 0 ? [0, 114, 178] : [213, 94, 0]), 255 * Math.sqrt(Math.abs(weight) / most)], 4 * p);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    return make("figure", {}, canvas, make("figcaption", {}, String(k)));
  });
}

/** Show one of some elements. */
export function show(element, visible = true) {
  element.hidden = !visible;
}

/** If what has the focus has just been hidden or disabled, the first of some elements that can take it does, or keys would go nowhere. */
export function passFocus(...ids) {
  const gone = (element) => element.disabled || element.closest("[hidden]");
  if (gone(document.activeElement)) ids.map($).find((element) => !gone(element))?.focus({ preventScroll: true });
}
