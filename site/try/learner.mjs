// Which images are labelled, in which order, and the model trained on them: alhelpers/learner.py, smaller.
import { Labelled, N_CLASSES, SoftmaxRegression } from "./model.mjs";

/** Of ten class probabilities a number: the lower, the sooner an image is asked about. See alhelpers/queries.py. */
export const MEASURES = {
  "least confident": (proba) => Math.max(...proba),
  margin: (proba) => {
    const [first, second] = [...proba].sort((a, b) => b - a);
    return first - second;
  },
  entropy: (proba) => proba.reduce((sum, p) => sum + p * Math.log(Math.max(p, 1e-30)), 0),
};

export class Learner {
  /** pool: to label from; stop: images that end a fit, by which it also chooses; judge: images it never sees. */
  constructor(pool, stop, judge, options) {
    Object.assign(this, { pool, stop, judge, options });
    this.reset();
  }

  reset() {
    this.model = new SoftmaxRegression(this.options);
    this.labelled = new Labelled(this.pool);
    this.unlabelled = [...this.pool.labels.keys()];
    this.history = [];
  }

  /** Another learner in the same state that goes its own way from here. */
  copy() {
    const other = new Learner(this.pool, this.stop, this.judge, this.options);
    this.labelled.rows.forEach((row, i) => other.labelled.add(row, this.labelled.labels[i]));
    other.unlabelled = [...this.unlabelled];
    other.model.set(this.model);
    return other;
  }

  /** Label the first n unlabelled images, by default as the answer key says; null means "cannot tell". */
  label(n, labels = this.unlabelled.slice(0, n).map((row) => this.pool.labels[row])) {
    this.unlabelled.splice(0, n).forEach((row, i) => {
      if (labels[i] !== null) this.labelled.add(row, labels[i]);
    });
  }

  /** Label the first n unlabelled images with what the model finds most probable. */
  autoLabel(n) {
    this.label(n, this.probabilities(this.unlabelled.slice(0, n)).map((proba) => proba.indexOf(Math.max(...proba))));
  }

  /** Train on all labels so far; weights and Adam's memory carry on. */
  fit(stage = "") {
    const { correct, steps } = this.model.fit(this.labelled, this.stop);
    const judged = this.judge ? this.model.countCorrect(this.judge) / this.judge.length : undefined;
    const accuracy = correct / this.stop.length;
    this.history.push({ stage, nLabels: this.labelled.rows.length, accuracy, steps, judged });
    return this.history.at(-1);
  }

  /** Put the unlabelled images with the lowest measure first; those that measure the same keep their order. */
  lowestFirst(measure) {
    const values = this.probabilities(this.unlabelled).map(measure);
    const order = [...values.keys()].sort((i, j) => values[i] - values[j] || i - j);
    this.unlabelled = order.map((i) => this.unlabelled[i]);
  }

  /** Put these unlabelled images first. */
  askFirst(rows) {
    const chosen = new Set(rows);
    this.unlabelled = [...rows, ...this.unlabelled.filter((row) => !chosen.has(row))];
  }

  /** Ten class probabilities for each of these pool images. */
  probabilities(rows) {
    const all = this.model.probabilities(this.pool, rows);
    return Array.from(rows, (_, i) => all.subarray(i * N_CLASSES, (i + 1) * N_CLASSES));
  }
}

/** The article's fits one by one, in the order of alhelpers/running/exact.py: 403 of them, or those up to 400 labels. */
export function* articleFits(pool, stop, judge, { divide = false, parts = ["one fit", "active", "auto"] } = {}) {
  const learner = new Learner(pool, stop, judge, { divide });
  if (parts.includes("one fit")) {
    for (const [n, stage] of [[pool.length, "ground_truth"], [400, "random"]]) {
      learner.reset();
      learner.label(n);
      yield learner.fit(stage);
    }
    learner.reset();
  }
  for (let round = 0; round < 40; round++) {
    learner.label(10);
    yield learner.fit("active");
    learner.lowestFirst(MEASURES["least confident"]);
  }
  if (!parts.includes("auto")) return;
  const naive = learner.copy();
  naive.autoLabel(naive.unlabelled.length);
  yield naive.fit("naive_auto");
  while (learner.unlabelled.length) {
    learner.lowestFirst((proba) => -MEASURES["least confident"](proba));
    learner.autoLabel(Math.min(10, learner.unlabelled.length));
    yield learner.fit("auto");
  }
}
