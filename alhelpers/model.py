"""Softmax regression as the article trains it: one compiled TensorFlow call for a whole early-stopped fit."""

import os
from functools import partial
from typing import NamedTuple

import numpy as np

# Read by TensorFlow when it is imported: no C++ log lines among a notebook's outputs, not even oneDNN's.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# TensorFlow imports all of Keras to register its optimisers, a third of the import, unless told that the
# legacy Keras is wanted. Nothing here needs Keras; `tf.keras` still loads, at its first use.
_legacy_keras = os.environ.get("TF_USE_LEGACY_KERAS")
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import tensorflow as tf  # noqa: E402

if _legacy_keras is None:
    del os.environ["TF_USE_LEGACY_KERAS"]
else:
    os.environ["TF_USE_LEGACY_KERAS"] = _legacy_keras


class Columns(NamedTuple):
    """Images as columns, a float32 tensor of shape (n_features, n).

    In this layout the product with the weights is quickest. Turning images round takes longer than the
    product, so it pays for images that are asked about again and again.
    """

    tensor: tf.Tensor

    @classmethod
    def of(cls, x: "np.ndarray | Columns") -> "Columns":
        """Columns from an array of shape (n, n_features), or as they are."""
        return x if isinstance(x, Columns) else cls(tf.transpose(tf.convert_to_tensor(x, tf.float32)))


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
        # Wᵀ: the layout in which its gradient comes, so that no step has to turn it round.
        self._wt = tf.Variable(tf.zeros([n_classes, n_features]))
        self._b = tf.Variable(tf.zeros([n_classes]))
        # Adam's first and second moments, and the powers of its two decay rates.
        self._moments = [[tf.Variable(tf.zeros_like(v)) for _ in range(2)] for v in (self._wt, self._b)]
        self._powers = tf.Variable([0.9, 0.999])
        self.version = 0  # changes whenever the weights may have
        # Compiled at the first call, for each model anew; by way of `partial`, or TensorFlow would count the
        # models together and warn of a function compiled too often. The shapes are left open: a fixed number
        # of images would compile the loop anew in every round.
        rows, columns = tf.TensorSpec([None, n_features]), tf.TensorSpec([n_features, None])
        labels = tf.TensorSpec([None], tf.int32)
        self._compiled_fit = tf.function(
            partial(self._fit), input_signature=[rows, labels, columns, labels], autograph=False
        )
        self._compiled_predict = tf.function(
            partial(self._predict_proba), input_signature=[columns], autograph=False
        )

    @property
    def weights(self) -> np.ndarray:
        """W, float32 of shape (n_features, n_classes)."""
        return self._wt.numpy().T

    @property
    def bias(self) -> np.ndarray:
        """b, float32 of shape (n_classes,)."""
        return self._b.numpy()

    def reset(self) -> None:
        """Forget everything: weights and Adam's state as at the start."""
        for variable in (self._wt, self._b, *self._moments[0], *self._moments[1]):
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

    def predict_proba(self, x: np.ndarray | Columns) -> np.ndarray:
        """Class probabilities, float32 (n, n_classes), of images x, float32 (n, n_features) or `Columns`."""
        return self._compiled_predict(Columns.of(x).tensor).numpy()

    def fit(
        self, x: np.ndarray, y: np.ndarray, x_test: np.ndarray | Columns, y_test: np.ndarray
    ) -> np.ndarray:
        """Train on x, y until test accuracy has not improved for `patience` steps; keep the best weights.

        The weights at the start count as a candidate, so test accuracy never falls from one call to the next.

        Parameters
        ----------
        x, x_test : float32 arrays of shapes (n, n_features) and (n_test, n_features), the latter or `Columns`
        y, y_test : integer arrays of shapes (n,) and (n_test,)

        Returns
        -------
        int32 array of shape (steps + 1,)
            Correct test predictions before training and after each step; the best of them is what was kept.
        """
        self.version += 1
        return self._compiled_fit(x, y, Columns.of(x_test).tensor, y_test).numpy()

    def _variables(self) -> list[tf.Variable]:
        return [self._wt, self._b, *self._moments[0], *self._moments[1], self._powers]

    def _logits(self, columns: tf.Tensor) -> tf.Tensor:
        """Of shape (n_classes, n), for images as columns."""
        return tf.matmul(self._wt, columns) + self._b[:, None]

    def _predict_proba(self, columns: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.transpose(self._logits(columns)))

    def _count_correct(self, columns: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        hit = tf.argmax(self._logits(columns), 0, output_type=tf.int32) == y
        return tf.math.count_nonzero(hit, dtype=tf.int32)

    def _step(self, x: tf.Tensor, y: tf.Tensor, power1: tf.Tensor, power2: tf.Tensor) -> None:
        """One full-batch Adam step on the mean cross-entropy.

        The published accuracies hang on two kernels, this cross-entropy and this Adam: the same formulas
        written out in other operations round differently and end up to four points away.
        """
        logits = tf.nn.bias_add(tf.matmul(x, self._wt, transpose_b=True), self._b)
        _, slope = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=y)
        # Times 1/n, as TensorFlow's own gradient of a mean has it; divided by n, the last bit differs and the
        # tutorial's last accuracy with it.
        slope = slope * (1.0 / tf.cast(tf.shape(y)[0], tf.float32))
        # slopeᵀ x rather than xᵀ slope: twice as fast, because x is then read as it lies in memory.
        grad_wt = tf.matmul(slope, x, transpose_a=True)
        grad_b = tf.raw_ops.BiasAddGrad(out_backprop=slope)
        for variable, (m, v), grad in zip((self._wt, self._b), self._moments, (grad_wt, grad_b), strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=power1, beta2_power=power2,
                lr=self.learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8, grad=grad,
            )  # fmt: skip

    def _fit(self, x: tf.Tensor, y: tf.Tensor, test_columns: tf.Tensor, y_test: tf.Tensor) -> tf.Tensor:
        def keep_going(patience: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return patience > 0

        def step(patience, steps, counts, best, best_wt, best_b, power1, power2):  # noqa: ANN001, ANN202
            self._step(x, y, power1, power2)
            correct = self._count_correct(test_columns, y_test)
            better = correct > best
            best_wt, best_b = tf.cond(
                better, lambda: (self._wt.read_value(), self._b.read_value()), lambda: (best_wt, best_b)
            )
            patience = tf.where(better, self.patience, patience - 1)
            counts = counts.write(steps + 1, correct)
            best = tf.maximum(best, correct)
            return patience, steps + 1, counts, best, best_wt, best_b, power1 * 0.9, power2 * 0.999

        correct = self._count_correct(test_columns, y_test)
        counts = tf.TensorArray(tf.int32, self.patience + 1, dynamic_size=True).write(0, correct)
        start = (
            self.patience, 0, counts, correct, self._wt.read_value(), self._b.read_value(),
            self._powers[0], self._powers[1],
        )  # fmt: skip
        _, _, counts, _, best_wt, best_b, power1, power2 = tf.while_loop(keep_going, step, start)
        self._wt.assign(best_wt)
        self._b.assign(best_b)
        self._powers.assign([power1, power2])
        return counts.stack()
