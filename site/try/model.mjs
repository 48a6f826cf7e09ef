// The article's model: the same steps as alhelpers/model_numpy.py, with the same figures after every fit.
//
// Numbers are single precision. They are kept in Float64Array, since V8 would convert each on every read, and
// rounded by Math.fround where NumPy rounds: one operation on two floats, done in double precision and rounded,
// gives the float that single precision gives. Sums over pixels are rounded once, at their end: another order of
// them is as good (benchmarks/EXACT.md). Sums over images are not, where the bias is concerned: see `fit`.

export const N_CLASSES = 10;
const SIDE = 28;
export const N_PIXELS = SIDE * SIDE;
const f = Math.fround;

/** Images as their pixels that are not zero, row by row: a zero adds nothing to any sum. */
export class Images {
  /**
   * @param {Uint8Array} pixels grey levels, N_PIXELS of each image one after the other
   * @param {Uint8Array} labels the right class of each
   * @param {Iterable<number>} rows which of the images, in which order; by default all
   */
  constructor(pixels, labels, rows = labels.keys()) {
    this.rows = Int32Array.from(rows);
    this.labels = Uint8Array.from(this.rows, (row) => labels[row]);
    this.start = new Int32Array(this.rows.length + 1);
    this.rows.forEach((row, i) => {
      let count = this.start[i];
      for (let p = row * N_PIXELS; p < (row + 1) * N_PIXELS; p++) if (pixels[p]) count++;
      this.start[i + 1] = count;
    });
    this.place = new Uint16Array(this.start[this.rows.length]); // of the pixel's ten weights
    this.value = new Float64Array(this.place.length);
    this.rows.forEach((row, i) => {
      let at = this.start[i];
      for (let p = 0; p < N_PIXELS; p++) {
        const level = pixels[row * N_PIXELS + p];
        if (!level) continue;
        this.place[at] = p * N_CLASSES;
        this.value[at++] = f(level / 255);
      }
    });
  }

  get length() {
    return this.rows.length;
  }
}

/** The labelled images: what was labelled in which order; and pixel by pixel, which of them have ink there. */
export class Labelled {
  constructor(pool) {
    this.pool = pool;
    this.rows = [];
    this.labels = [];
    this.first = new Int32Array(N_PIXELS + 1);
    for (const place of pool.place) this.first[place / N_CLASSES + 1]++;
    for (let p = 0; p < N_PIXELS; p++) this.first[p + 1] += this.first[p];
    this.end = this.first.slice(0, N_PIXELS);
    this.slope = new Int32Array(pool.place.length); // where an image's ten slopes begin
    this.value = new Float64Array(pool.place.length);
  }

  add(row, label) {
    const { pool, end } = this;
    for (let e = pool.start[row]; e < pool.start[row + 1]; e++) {
      const at = end[pool.place[e] / N_CLASSES]++;
      this.slope[at] = this.rows.length * N_CLASSES;
      this.value[at] = pool.value[e];
    }
    this.rows.push(row);
    this.labels.push(label);
  }
}

/** Softmax regression trained with Adam and stopped on the accuracy on some images; see alhelpers/model.py. */
export class SoftmaxRegression {
  /** @param {{divide?: boolean}} options divide: by n, where the article multiplies by 1/n */
  constructor({ divide = false, learningRate = 0.1, patience = 10 } = {}) {
    Object.assign(this, { divide, patience, learningRate: f(learningRate) });
    this.weights = new Float64Array(N_PIXELS * N_CLASSES); // ten for each pixel
    this.bias = new Float64Array(N_CLASSES);
    this.adam = new Adam(N_PIXELS * N_CLASSES);
    this.biasAdam = new Adam(N_CLASSES);
    this.gradient = new Float64Array(N_CLASSES);
    this.z = new Float64Array(N_CLASSES);
  }

  /** Take over what another model has learned, and its Adam's memory. */
  set({ weights, bias, adam, biasAdam }) {
    this.weights.set(weights);
    this.bias.set(bias);
    this.adam.set(adam);
    this.biasAdam.set(biasAdam);
  }

  /** Train until accuracy on `stop` has not improved for `patience` steps. Returns {correct, steps}. */
  fit(labelled, stop) {
    const n = labelled.rows.length;
    const slopes = new Float64Array(n * N_CLASSES);
    const weights = this.weights.slice();
    const bias = this.bias.slice();
    let best = countCorrect(weights, bias, stop, this.z);
    let steps = 0;
    for (let waits = this.patience; waits > 0; waits--) {
      this.#fillSlopes(slopes, labelled, weights, bias);
      this.adam.begin(this.learningRate);
      this.biasAdam.begin(this.learningRate);
      for (let p = 0; p < N_PIXELS; p++) {
        // A pixel without ink in any labelled image has no gradient, and never had one.
        if (labelled.end[p] === labelled.first[p]) continue;
        sumOverImages(labelled, p, slopes, this.gradient);
        this.adam.step(weights, p * N_CLASSES, this.gradient);
      }
      // Image by image, in their order and rounded each time; another order ends at 87.75 % instead of 89.75 %.
      this.gradient.fill(0);
      for (let i = 0; i < slopes.length; i += N_CLASSES) {
        for (let k = 0; k < N_CLASSES; k++) this.gradient[k] = f(this.gradient[k] + slopes[i + k]);
      }
      this.biasAdam.step(bias, 0, this.gradient);
      steps++;
      const correct = countCorrect(weights, bias, stop, this.z);
      if (correct > best) {
        best = correct;
        waits = this.patience + 1;
        this.weights.set(weights);
        this.bias.set(bias);
      }
    }
    return { correct: best, steps };
  }

  /** Class probabilities of these images of a set, ten for each, one after the other. */
  probabilities(images, rows) {
    const all = new Float64Array(rows.length * N_CLASSES);
    for (let i = 0; i < rows.length; i++) {
      logits(this.weights, this.bias, images, rows[i], this.z);
      softmax(this.z);
      all.set(this.z, i * N_CLASSES);
    }
    return all;
  }

  /** How many of a set of images get the right answer. */
  countCorrect(images) {
    return countCorrect(this.weights, this.bias, images, this.z);
  }

  /** Gradient of the mean cross-entropy by the logits. */
  #fillSlopes(slopes, { pool, rows, labels }, weights, bias) {
    const { z, divide } = this;
    const n = rows.length;
    const share = f(1 / n);
    for (let i = 0; i < n; i++) {
      logits(weights, bias, pool, rows[i], z);
      softmax(z);
      z[labels[i]] = f(z[labels[i]] - 1);
      // Times 1/n. Divided by n, the last bit differs now and then, and with it what is learned.
      for (let k = 0; k < N_CLASSES; k++) slopes[i * N_CLASSES + k] = f(divide ? z[k] / n : z[k] * share);
    }
  }
}

/** What Adam remembers of one variable. Kingma and Ba (2015), in the order of TensorFlow's kernel. */
class Adam {
  static rates = [f(0.9), f(0.999)];

  constructor(size) {
    this.first = new Float64Array(size);
    this.second = new Float64Array(size);
    this.powers = [1, 1];
  }

  set({ first, second, powers }) {
    this.first.set(first);
    this.second.set(second);
    this.powers = powers;
  }

  begin(learningRate) {
    this.powers = this.powers.map((power, i) => f(power * Adam.rates[i]));
    const [power1, power2] = this.powers;
    this.size = f(f(Math.sqrt(f(1 - power2))) / f(1 - power1));
    this.learningRate = learningRate;
  }

  /** Take a step in the ten values of a variable that begin at a place. */
  step(variable, at, gradient) {
    const { first, second, size, learningRate } = this;
    const new1 = f(1 - Adam.rates[0]);
    const new2 = f(1 - Adam.rates[1]);
    const tiny = f(1e-8);
    for (let k = 0; k < N_CLASSES; k++, at++) {
      const g = gradient[k];
      const m = f(first[at] + f(f(g - first[at]) * new1));
      const v = f(second[at] + f(f(f(g * g) - second[at]) * new2));
      first[at] = m;
      second[at] = v;
      variable[at] = f(variable[at] - f(learningRate * f(f(m * size) / f(f(Math.sqrt(v)) + tiny))));
    }
  }
}

/** Ten sums of value times weight over an image's pixels. Written out, for ten registers to hold them. */
function logits(weights, bias, { start, place, value }, row, z) {
  let a = 0, b = 0, c = 0, d = 0, e = 0, g = 0, h = 0, i = 0, j = 0, l = 0;
  for (let at = start[row], end = start[row + 1]; at < end; at++) {
    const p = place[at];
    const x = value[at];
    a += x * weights[p];
    b += x * weights[p + 1];
    c += x * weights[p + 2];
    d += x * weights[p + 3];
    e += x * weights[p + 4];
    g += x * weights[p + 5];
    h += x * weights[p + 6];
    i += x * weights[p + 7];
    j += x * weights[p + 8];
    l += x * weights[p + 9];
  }
  z[0] = f(f(a) + bias[0]);
  z[1] = f(f(b) + bias[1]);
  z[2] = f(f(c) + bias[2]);
  z[3] = f(f(d) + bias[3]);
  z[4] = f(f(e) + bias[4]);
  z[5] = f(f(g) + bias[5]);
  z[6] = f(f(h) + bias[6]);
  z[7] = f(f(i) + bias[7]);
  z[8] = f(f(j) + bias[8]);
  z[9] = f(f(l) + bias[9]);
}

/** The same over the labelled images that have ink in a pixel: the gradient by its ten weights. */
function sumOverImages({ first, end, slope, value }, pixel, slopes, gradient) {
  let a = 0, b = 0, c = 0, d = 0, e = 0, g = 0, h = 0, i = 0, j = 0, l = 0;
  for (let at = first[pixel], last = end[pixel]; at < last; at++) {
    const p = slope[at];
    const x = value[at];
    a += x * slopes[p];
    b += x * slopes[p + 1];
    c += x * slopes[p + 2];
    d += x * slopes[p + 3];
    e += x * slopes[p + 4];
    g += x * slopes[p + 5];
    h += x * slopes[p + 6];
    i += x * slopes[p + 7];
    j += x * slopes[p + 8];
    l += x * slopes[p + 9];
  }
  gradient[0] = f(a);
  gradient[1] = f(b);
  gradient[2] = f(c);
  gradient[3] = f(d);
  gradient[4] = f(e);
  gradient[5] = f(g);
  gradient[6] = f(h);
  gradient[7] = f(i);
  gradient[8] = f(j);
  gradient[9] = f(l);
}

function softmax(z) {
  let most = z[0];
  for (let k = 1; k < N_CLASSES; k++) if (z[k] > most) most = z[k];
  let sum = 0;
  for (let k = 0; k < N_CLASSES; k++) {
    z[k] = f(Math.exp(f(z[k] - most)));
    sum = f(sum + z[k]);
  }
  for (let k = 0; k < N_CLASSES; k++) z[k] = f(z[k] / sum);
}

function countCorrect(weights, bias, images, z) {
  let correct = 0;
  for (let i = 0; i < images.length; i++) {
    logits(weights, bias, images, i, z);
    let answer = 0;
    for (let k = 1; k < N_CLASSES; k++) if (z[k] > z[answer]) answer = k;
    if (answer === images.labels[i]) correct++;
  }
  return correct;
}
