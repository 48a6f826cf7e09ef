"""The article's model, softmax regression, in TensorFlow. `model_numpy.py` has the same in NumPy alone."""

import os
from unittest.mock import patch

import numpy as np

from alhelpers.errors import check_count, check_positive

# TensorFlow reads these when it is imported. The first two keep its C++ log lines out of notebooks. With the
# others every x86-64 processor sums in the same order, whatever it has of cores and vector units: figures of
# the article do not hang on that, but those of other draws do.
SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
SETTINGS |= {"TF_NUM_INTRAOP_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"}
os.environ |= SETTINGS | os.environ
# TensorFlow imports all of Keras, a third of its time, unless told that the legacy Keras is wanted. Nothing
# here needs either; `tf.keras` still loads at its first use.
with patch.dict(os.environ, TF_USE_LEGACY_KERAS="1"):
    import tensorflow as tf

DECAY1, DECAY2, EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-8)  # Adam's own defaults
IMAGES, LABELS = tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)
NUMBER, STATE = tf.TensorSpec([]), (tf.TensorSpec([None, None]), tf.TensorSpec([None]))  # STATE: Wᵀ and b
FIT = [*3 * (STATE,), (NUMBER, NUMBER), *2 * (IMAGES, LABELS), NUMBER, tf.TensorSpec([], tf.int32)]


class SoftmaxRegression:
    """Ten linear neurons under a softmax, trained full-batch with Adam and stopped on test accuracy.

    Weights start at zero, so training has no randomness. `fit` goes on from where the last one ended, until
    `reset`. `weights` is W, (n_features, n_classes), `bias` b, (n_classes,), `n_iter_` the last fit's steps.
    Raises ValueError unless `learning_rate`, Adam's step size, and `patience`, in steps, are above 0.

    Source: section "Model, training and labeling processes" of the article; Kingma and Ba (2015) for Adam.
    """

    def __init__(
        self, n_features: int, n_classes: int = 10, learning_rate: float = 0.1, patience: int = 10
    ) -> None:
        self.n_features, self.n_classes = n_features, n_classes
        self.learning_rate = check_positive("learning_rate", learning_rate)
        self.patience = check_count("patience", patience)
        self.reset()

    def reset(self) -> None:
        """Forget everything: weights and Adam's state as at the start."""
        zeros = tf.zeros([self.n_classes, self.n_features]), tf.zeros(self.n_classes)
        self._kept, self._adam = zeros, (zeros, zeros, (tf.constant(DECAY1), tf.constant(DECAY2)))

    weights = property(
        lambda self: self._kept[0].numpy().T,
        lambda self, W: setattr(self, "_kept", (tf.constant(W.T, tf.float32), self._kept[1])),
    )
    bias = property(lambda self: self._kept[1].numpy())

    @staticmethod
    def prepare(x: np.ndarray) -> tf.Tensor:
        """Images that are used again and again, converted once; `fit` and `predict_proba` take them, too."""
        return tf.constant(x, tf.float32)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (n, n_classes), of images x, float32 (n, n_features)."""
        return _predict_proba(*self._kept, x).numpy()

    def fit(self, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> np.ndarray:
        """Train on x, y until test accuracy has not improved for `patience` steps; keep the best weights.

        The weights at the start count as a candidate, so test accuracy never falls from one call to the next.
        Images are float32, (n, n_features), and labels integers, (n,). Returns int32 of shape (n_iter_ + 1,):
        correct test predictions before training and after each step; the best of them is what was kept.
        """
        y, y_test = y.astype(np.int32), y_test.astype(np.int32)
        counts, self._kept, self._adam = _train(
            self._kept, *self._adam, x, y, x_test, y_test, self.learning_rate, self.patience
        )
        self.n_iter_ = len(counts) - 1
        return counts.numpy()


def _logits(weights: tf.Tensor, bias: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    # The weights lie as Wᵀ, as their gradient comes: half the time of the other way round.
    return tf.matmul(x, weights, transpose_b=True) + bias


@tf.function(input_signature=[*STATE, IMAGES], autograph=False)
def _predict_proba(weights: tf.Tensor, bias: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(_logits(weights, bias, x))


def _count_correct(weights: tf.Tensor, bias: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    hit = tf.argmax(_logits(weights, bias, x), 1, output_type=tf.int32) == y
    return tf.math.count_nonzero(hit, dtype=tf.int32)


def _gradients(weights: tf.Tensor, bias: tf.Tensor, halves: list[tuple]) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of the mean cross-entropy, from two halves of the images: one for each processor core."""
    kernel = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits
    slopes = [kernel(features=_logits(weights, bias, x), labels=y).backprop for x, y in halves]
    # Times 1/n. Divided by n, the last bit differs, and with it what is learned: 85.5% instead of 89.75%.
    share = 1 / tf.cast(tf.add_n([tf.shape(y)[0] for _, y in halves]), tf.float32)
    slopes = [slope * share for slope in slopes]
    parts = [tf.matmul(slope, x, transpose_a=True) for slope, (x, _) in zip(slopes, halves, strict=True)]
    return tf.add_n(parts), tf.reduce_sum(tf.concat(slopes, 0), 0)


@tf.function(input_signature=FIT, autograph=False)
def _train(kept, firsts, seconds, powers, x, y, x_test, y_test, rate, patience):  # noqa: ANN001, ANN202
    half = tf.shape(y)[0] // 16 * 8  # a multiple of 8 images is cut without a copy
    halves = [(x[:half], y[:half]), (x[half:], y[half:])]

    def step(waits, counts, best, kept, now, firsts, seconds, powers):  # noqa: ANN001, ANN202
        size = rate * tf.sqrt(1 - powers[1]) / (1 - powers[0])
        gradients = _gradients(*now, halves)
        firsts = [m + (g - m) * (1 - DECAY1) for m, g in zip(firsts, gradients, strict=True)]
        seconds = [v + (g * g - v) * (1 - DECAY2) for v, g in zip(seconds, gradients, strict=True)]
        moments = zip(now, firsts, seconds, strict=True)
        now = [value - m * size / (tf.sqrt(v) + EPSILON) for value, m, v in moments]
        correct = _count_correct(*now, x_test, y_test)
        better = correct > best
        kept = [tf.where(better, new, old) for new, old in zip(now, kept, strict=True)]
        waits, counts = tf.where(better, patience, waits - 1), counts.write(counts.size(), correct)
        powers = powers[0] * DECAY1, powers[1] * DECAY2
        best = tf.maximum(best, correct)
        return waits, counts, best, (*kept,), (*now,), (*firsts,), (*seconds,), powers

    correct = _count_correct(*kept, x_test, y_test)
    counts = tf.TensorArray(tf.int32, 0, dynamic_size=True).write(0, correct)
    start = patience, counts, correct, kept, kept, firsts, seconds, powers
    _, counts, _, kept, _, *adam = tf.while_loop(lambda waits, *_: waits > 0, step, start)
    return counts.stack(), kept, adam
