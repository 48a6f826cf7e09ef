"""Softmax regression as the article trains it: one compiled TensorFlow call for a whole early-stopped fit."""

import os
from functools import partial
from typing import NamedTuple

import numpy as np

# Read by TensorFlow when it is imported: no C++ log lines among a notebook's outputs, not even oneDNN's.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# One thread for one operation: these are too small to gain from a second, which had better take the next
# operation (see `Halves`). And nothing is summed in an order that depends on the number of processors.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# TensorFlow imports all of Keras to register its optimisers, a third of the import, unless told that the
# legacy Keras is wanted. Nothing here needs Keras; `tf.keras` still loads, at its first use.
_legacy_keras = os.environ.get("TF_USE_LEGACY_KERAS")
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import tensorflow as tf  # noqa: E402

if _legacy_keras is None:
    del os.environ["TF_USE_LEGACY_KERAS"]
else:
    os.environ["TF_USE_LEGACY_KERAS"] = _legacy_keras


class Halves(NamedTuple):
    """Images as two float32 tensors, the first half of the pixels and the rest.

    Shapes (n, n_features // 2) and (n, n_features - n_features // 2). TensorFlow works on both at the same
    time, where it has two processor cores.
    """

    first: tf.Tensor
    rest: tf.Tensor

    @classmethod
    def of(cls, x: "np.ndarray | Halves") -> "Halves":
        """Halves of an array of shape (n, n_features), or the halves given."""
        if isinstance(x, Halves):
            return x
        half = x.shape[1] // 2
        return cls(*(tf.convert_to_tensor(part, tf.float32) for part in (x[:, :half], x[:, half:])))

    def take(self, indices: np.ndarray) -> "Halves":
        """The images with these indices."""
        return Halves(*(tf.gather(half, indices) for half in self))


class SoftmaxRegression:
    """Ten linear neurons under a softmax, trained full-batch with Adam and stopped on test accuracy.

    Weights start at zero, so training has no randomness. `fit` carries weights and Adam's state from call to
    call; only `reset` clears them.

    Parameters
    ----------
    n_features : int
        Numbers per image.
    n_classes : int
        Number of classes.
    learning_rate : float
        Adam's step size; the article's 0.1.
    patience : int
        Stop after this many steps without a better test accuracy; the article's 10.

    Source: section "Model, training and labeling processes" of the article; Kingma and Ba (2015) for Adam.
    """

    def __init__(
        self, n_features: int, n_classes: int = 10, learning_rate: float = 0.1, patience: int = 10
    ) -> None:
        self.learning_rate = float(learning_rate)
        self.patience = int(patience)
        # Wᵀ, the layout in which its gradient comes, in the halves in which images come; then b.
        half = n_features // 2
        shapes = [n_classes, half], [n_classes, n_features - half], [n_classes]
        self._weights = [tf.Variable(tf.zeros(shape)) for shape in shapes]
        # Adam's first and second moments of each, and the powers of its two decay rates.
        self._moments = [[tf.Variable(tf.zeros(shape)) for _ in range(2)] for shape in shapes]
        self._powers = tf.Variable([0.9, 0.999])
        self.version = 0  # changes whenever the weights may have
        # Compiled at the first call, for each model anew; by way of `partial`, or TensorFlow would count the
        # models together and warn of a function compiled too often. The shapes are left open: a fixed number
        # of images would compile the loop anew in every round.
        images = Halves(*(tf.TensorSpec([None, k]) for _, k in shapes[:2]))
        labels = tf.TensorSpec([None], tf.int32)
        self._compiled_fit = tf.function(
            partial(self._fit), input_signature=[images, labels, labels, images, labels], autograph=False
        )
        self._compiled_predict = tf.function(
            partial(self._predict_proba), input_signature=[images], autograph=False
        )

    @property
    def weights(self) -> np.ndarray:
        """W, float32 of shape (n_features, n_classes)."""
        return tf.concat(self._weights[:2], 1).numpy().T

    @property
    def bias(self) -> np.ndarray:
        """b, float32 of shape (n_classes,)."""
        return self._weights[2].numpy()

    def reset(self) -> None:
        """Forget everything: weights and Adam's state as at the start."""
        for variable in self._variables():
            variable.assign(tf.zeros_like(variable))
        self._powers.assign([0.9, 0.999])
        self.version += 1

    def get_state(self) -> list[np.ndarray]:
        """Weights and Adam's state, to be given to `set_state`."""
        return [v.numpy() for v in self._variables()]

    def set_state(self, state: list[np.ndarray]) -> None:
        """Take over a state that `get_state` returned."""
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)
        self.version += 1

    def predict_proba(self, x: np.ndarray | Halves) -> np.ndarray:
        """Class probabilities, float32 (n, n_classes), of images x, float32 (n, n_features) or `Halves`."""
        return self._compiled_predict(Halves.of(x)).numpy()

    def fit(
        self, x: np.ndarray | Halves, y: np.ndarray, x_test: np.ndarray | Halves, y_test: np.ndarray
    ) -> np.ndarray:
        """Train on x, y until test accuracy has not improved for `patience` steps; keep the best weights.

        The weights at the start count as a candidate, so test accuracy never falls from one call to the next.

        Parameters
        ----------
        x, x_test : float32 arrays of shapes (n, n_features) and (n_test, n_features), or `Halves` of them
        y, y_test : integer arrays of shapes (n,) and (n_test,)

        Returns
        -------
        int32 array of shape (steps + 1,)
            Correct test predictions before training and after each step; the best of them is what was kept.
        """
        return self.fit_predict_proba(x, np.arange(len(y), dtype=np.int32), y, x_test, y_test)[0]

    def fit_predict_proba(
        self,
        x: np.ndarray | Halves,
        labeled: np.ndarray,
        y: np.ndarray,
        x_test: np.ndarray | Halves,
        y_test: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Do as `fit` with x[labeled], y, and as `predict_proba` with x, in one call of TensorFlow.

        Returns
        -------
        int32 array of shape (steps + 1,) and float32 array of shape (len(x), n_classes)
        """
        self.version += 1
        counts, proba = self._compiled_fit(Halves.of(x), labeled, y, Halves.of(x_test), y_test)
        return counts.numpy(), proba.numpy()

    def _variables(self) -> list[tf.Variable]:
        moments = [moment for pair in self._moments for moment in pair]
        return [*self._weights, *moments, self._powers]

    def _logits(self, x: Halves) -> tf.Tensor:
        wt_first, wt_rest, b = self._weights
        product = tf.matmul(x.first, wt_first, transpose_b=True) + tf.matmul(
            x.rest, wt_rest, transpose_b=True
        )
        return tf.nn.bias_add(product, b)

    def _predict_proba(self, x: Halves) -> tf.Tensor:
        return tf.nn.softmax(self._logits(x))

    def _count_correct(self, x: Halves, y: tf.Tensor) -> tf.Tensor:
        hit = tf.argmax(self._logits(x), 1, output_type=tf.int32) == y
        return tf.math.count_nonzero(hit, dtype=tf.int32)

    def _step(self, x: Halves, y: tf.Tensor, power1: tf.Tensor, power2: tf.Tensor) -> None:
        """One full-batch Adam step on the mean cross-entropy.

        The published accuracies hang on two kernels, this cross-entropy and this Adam: the same formulas
        written out in other operations round differently and end up to four points away.
        """
        logits = self._logits(x)
        # Image by image, so here half of the images for each core; a multiple of 8 is cut without a copy.
        n = tf.shape(y)[0]
        half = n // 16 * 8
        slopes = [
            tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits[part], labels=y[part]).backprop
            for part in (slice(half), slice(half, None))
        ]
        # Times 1/n, as TensorFlow's own gradient of a mean has it; divided by n, the last bit differs and the
        # tutorial's last accuracy with it.
        slope = tf.concat(slopes, 0) * (1.0 / tf.cast(n, tf.float32))
        # slopeᵀ x rather than xᵀ slope: twice as fast, because x is then read as it lies in memory.
        gradients = [tf.matmul(slope, half, transpose_a=True) for half in x]
        gradients.append(tf.raw_ops.BiasAddGrad(out_backprop=slope))
        for variable, (m, v), gradient in zip(self._weights, self._moments, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=power1, beta2_power=power2,
                lr=self.learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8, grad=gradient,
            )  # fmt: skip

    def _fit(
        self, x_pool: Halves, labeled: tf.Tensor, y: tf.Tensor, x_test: Halves, y_test: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        x = x_pool.take(labeled)

        def read() -> list[tf.Tensor]:
            return [variable.read_value() for variable in self._weights]

        def keep_going(patience: tf.Tensor, *_: object) -> tf.Tensor:
            return patience > 0

        def step(patience, steps, counts, best, kept, power1, power2):  # noqa: ANN001, ANN202
            self._step(x, y, power1, power2)
            correct = self._count_correct(x_test, y_test)
            better = correct > best
            kept = tf.cond(better, read, lambda: kept)
            patience = tf.where(better, self.patience, patience - 1)
            counts = counts.write(steps + 1, correct)
            best = tf.maximum(best, correct)
            return patience, steps + 1, counts, best, kept, power1 * 0.9, power2 * 0.999

        correct = self._count_correct(x_test, y_test)
        counts = tf.TensorArray(tf.int32, self.patience + 1, dynamic_size=True).write(0, correct)
        start = self.patience, 0, counts, correct, read(), self._powers[0], self._powers[1]
        _, _, counts, _, kept, power1, power2 = tf.while_loop(keep_going, step, start)
        for variable, value in zip(self._weights, kept, strict=True):
            variable.assign(value)
        self._powers.assign([power1, power2])
        return counts.stack(), self._predict_proba(x_pool)
