// Where the reader is, in the address (settings) and, only if asked for, in the browser's storage (labels too).

export const DEFAULTS = { seed: 3, query: "least confident", batch: 10, budget: 50, judge: "stopped", mean: "times" };

/** Of each setting: the values it may have, or a function that says whether it may have one. */
export const ALLOWED = {
  seed: (value) => Number.isInteger(value) && value >= 1 && value <= 9999,
  query: ["least confident", "margin", "entropy", "random", "by eye"],
  batch: [5, 10],
  budget: [50, 400],
  judge: ["others", "stopped"],
  mean: ["times", "divided"],
};
const STORED = "alhelpers try";
export const MOST_ANSWERS = 50;

function allows(name, value) {
  const allowed = ALLOWED[name];
  return Array.isArray(allowed) ? allowed.includes(value) : allowed(value);
}

/** Settings from the part of an address after #; what makes no sense is left out and returned as `refused`. */
export function readFragment(fragment) {
  const settings = { ...DEFAULTS };
  const refused = [];
  for (const [name, text] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    if (!Object.hasOwn(DEFAULTS, name)) {
      // A name alone is a place on the page.
      if (text !== "") refused.push(`${name}=${text}`);
      continue;
    }
    const value = typeof DEFAULTS[name] === "number" ? (/^\d{1,4}$/.test(text) ? Number(text) : NaN) : text.replace(/-/g, " ");
    if (allows(name, value)) settings[name] = value;
    else refused.push(`${name}=${text}`);
  }
  return { settings, refused: refused.map((one) => one.slice(0, 60)) };
}

/** The part of an address that leads back to these settings; what is as by default is left out, but for the seed. */
export function writeFragment(settings) {
  const parts = Object.keys(DEFAULTS)
    .filter((name) => name === "seed" || settings[name] !== DEFAULTS[name])
    .map((name) => `${name}=${String(settings[name]).replace(/ /g, "-")}`);
  return `#${parts.join("&")}`;
}

/** What was kept in this browser, or null if there is nothing, or nothing that makes sense. */
export function load(storage) {
  try {
    const kept = JSON.parse(storage().getItem(STORED));
    const fine =
      ["seed", "query", "batch"].every((name) => allows(name, kept.settings[name])) &&
      typeof kept.name === "string" &&
      kept.answers.length <= MOST_ANSWERS &&
      kept.answers.every(isAnswer) &&
      new Set(kept.answers.map(({ row }) => row)).size === kept.answers.length &&
      kept.picked.every(Number.isInteger);
    return fine ? kept : null;
  } catch {
    return null;
  }
}

function isAnswer({ row, label, by, round, when, milliseconds }) {
  const whole = (value, most) => Number.isInteger(value) && value >= 0 && value <= most;
  return (
    whole(row, 3999) && (label === null || whole(label, 9)) && ["person", "key"].includes(by) &&
    whole(round, MOST_ANSWERS) && !Number.isNaN(Date.parse(when)) && whole(milliseconds, Number.MAX_SAFE_INTEGER)
  );
}

/** Keep something in this browser, or with null nothing any more; whether that could be done. */
export function keep(storage, what) {
  try {
    if (what === null) storage().removeItem(STORED);
    else storage().setItem(STORED, JSON.stringify(what));
    return true;
  } catch {
    return false;
  }
}

/** The answers as rows for `Ledger.import_labels`; digests are those of `load_images`, 32 bytes an image. */
export function toCsv(answers, digests, name) {
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replace(/"/g, '""')}"` : value);
  const lines = answers.map(({ row, label, by, round, when, milliseconds }) => {
    const digest = Array.from(digests.subarray(row * 32, row * 32 + 32), (byte) => byte.toString(16).padStart(2, "0"));
    const labeller = by === "key" ? "answer key" : name;
    return [digest.join(""), `image ${row}`, label ?? "", labeller, when, round, milliseconds].map((one) => cell(String(one)));
  });
  return ["image,name,label,labeller,when,round,milliseconds", ...lines.map((line) => line.join())].join("\r\n") + "\r\n";
}
