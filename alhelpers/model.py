"""Softmax regression as the article trains it: one compiled TensorFlow call for a whole early-stopped fit."""

import os
import threading
from functools import cache, partial
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


class _State(NamedTuple):
    """What a model has learned: Wᵀ in halves and b, and Adam's moments of each and powers of decay rates.

    Wᵀ is the layout in which its gradient comes, and the halves are those in which images come.
    """

    weights: list[tf.Tensor]
    first_moments: list[tf.Tensor]
    second_moments: list[tf.Tensor]
    powers: list[tf.Tensor]


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
        self.version = 0  # changes whenever the weights may have
        self._program = _program(n_features, n_classes, self.learning_rate, self.patience)
        self.reset()

    @property
    def weights(self) -> np.ndarray:
        """W, float32 of shape (n_features, n_classes)."""
        return self.get_state()[0].T

    @property
    def class_weights(self) -> np.ndarray:
        """Wᵀ, float32 of shape (n_classes, n_features)."""
        return self.get_state()[0]

    @property
    def bias(self) -> np.ndarray:
        """b, float32 of shape (n_classes,)."""
        return self.get_state()[1]

    def reset(self) -> None:
        """Forget everything: weights and Adam's state as at the start."""
        zeros = [tf.zeros(shape) for shape in self._program.shapes]
        self._state = _State(zeros, zeros, zeros, [tf.constant(0.9), tf.constant(0.999)])
        self.version += 1

    def get_state(self) -> list[np.ndarray]:
        """Wᵀ, b, and Adam's state, to be given to `set_state`."""
        joined = []
        for first, rest, b in self._state[:3]:
            joined += [np.concatenate([first, rest], axis=1), b.numpy()]
        return [*joined, np.array(self._state.powers)]

    def set_state(self, state: list[np.ndarray]) -> None:
        """Take over a state that `get_state` returned."""
        *joined, powers = state
        parts = [
            [*Halves.of(whole), tf.constant(b, tf.float32)]
            for whole, b in zip(joined[::2], joined[1::2], strict=True)
        ]
        self._state = _State(*parts, [tf.constant(power, tf.float32) for power in powers])
        self.version += 1

    def predict_proba(self, x: np.ndarray | Halves) -> np.ndarray:
        """Class probabilities, float32 (n, n_classes), of images x, float32 (n, n_features) or `Halves`."""
        return self._program.predict_proba(self._state.weights, Halves.of(x)).numpy()

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
        return self._fit(x, np.arange(len(y), dtype=np.int32), y, x_test, y_test)[0]

    def fit_predict_proba(
        self,
        x: np.ndarray | Halves,
        labeled: np.ndarray,
        y: np.ndarray,
        x_test: np.ndarray | Halves,
        y_test: np.ndarray,
    ) -> tuple[int, int, np.ndarray]:
        """Do as `fit` with x[labeled], y, and as `predict_proba` with x, in one call of TensorFlow.

        Returns
        -------
        The number of correct test predictions, the number of steps, and float32 of shape (len(x), n_classes)
        """
        counts, proba = self._fit(x, labeled, y, x_test, y_test)
        return int(counts.max()), len(counts) - 1, proba

    @staticmethod
    def prepare(x: np.ndarray) -> Halves:
        """Images, float32 (n, n_features), in the form that the other methods read fastest."""
        return Halves.of(x)

    def _fit(
        self,
        x: np.ndarray | Halves,
        labeled: np.ndarray,
        y: np.ndarray,
        x_test: np.ndarray | Halves,
        y_test: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        self.version += 1
        with self._program.lock:
            counts, proba, self._state = self._program.fit(
                self._state, Halves.of(x), labeled, y, Halves.of(x_test), y_test
            )
        return counts.numpy(), proba.numpy()


@cache
def _program(n_features: int, n_classes: int, learning_rate: float, patience: int) -> "_Program":
    return _Program(n_features, n_classes, learning_rate, patience)


class _Program:
    """The compiled computations of all models of one shape and setting: compiling takes longer than a fit.

    A model's state goes in with a call and comes out again.
    """

    def __init__(self, n_features: int, n_classes: int, learning_rate: float, patience: int) -> None:
        self.learning_rate, self.patience = learning_rate, patience
        half = n_features // 2
        self.shapes = [n_classes, half], [n_classes, n_features - half], [n_classes]
        # TensorFlow's Adam works in place: in these variables, for the time of a fit.
        self._variables = [[tf.Variable(tf.zeros(shape)) for shape in self.shapes] for _ in range(3)]
        self.lock = threading.Lock()
        # Shapes are left open: a fixed number of images would compile the loop anew in every round. `partial`
        # keeps TensorFlow from counting all programs together and warning of a function compiled too often.
        number, labels = tf.TensorSpec([]), tf.TensorSpec([None], tf.int32)
        images = Halves(*(tf.TensorSpec([None, k]) for _, k in self.shapes[:2]))
        weights = [tf.TensorSpec(shape) for shape in self.shapes]
        state = _State(weights, weights, weights, [number, number])
        self.fit = tf.function(
            partial(self._fit),
            input_signature=[state, images, labels, labels, images, labels],
            autograph=False,
        )
        self.predict_proba = tf.function(
            partial(self._predict_proba), input_signature=[weights, images], autograph=False
        )

    def _logits(self, weights: list[tf.Tensor], x: Halves) -> tf.Tensor:
        wt_first, wt_rest, b = weights
        first = tf.matmul(x.first, wt_first, transpose_b=True)
        rest = tf.matmul(x.rest, wt_rest, transpose_b=True)
        return tf.nn.bias_add(first + rest, b)

    def _predict_proba(self, weights: list[tf.Tensor], x: Halves) -> tf.Tensor:
        return tf.nn.softmax(self._logits(weights, x))

    def _count_correct(self, weights: list[tf.Tensor], x: Halves, y: tf.Tensor) -> tf.Tensor:
        hit = tf.argmax(self._logits(weights, x), 1, output_type=tf.int32) == y
        return tf.math.count_nonzero(hit, dtype=tf.int32)

    def _step(self, x: Halves, y: tf.Tensor, power1: tf.Tensor, power2: tf.Tensor) -> list[tf.Tensor]:
        """One full-batch Adam step on the mean cross-entropy; return the new weights.

        The published accuracies hang on two kernels, this cross-entropy and this Adam: the same formulas
        written out in other operations round differently and end up to four points away.
        """
        logits = self._logits(self._read(0), x)
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
        for variable, m, v, gradient in zip(*self._variables, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=power1, beta2_power=power2,
                lr=self.learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8, grad=gradient,
            )  # fmt: skip
        return self._read(0)

    def _read(self, i: int) -> list[tf.Tensor]:
        return [variable.read_value() for variable in self._variables[i]]

    def _fit(
        self,
        state: _State,
        x_pool: Halves,
        labeled: tf.Tensor,
        y: tf.Tensor,
        x_test: Halves,
        y_test: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, _State]:
        x = x_pool.take(labeled)
        for variables, values in zip(self._variables, state[:3], strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

        def keep_going(patience: tf.Tensor, *_: object) -> tf.Tensor:
            return patience > 0

        def step(patience, steps, counts, best, kept, power1, power2):  # noqa: ANN001, ANN202
            weights = self._step(x, y, power1, power2)
            correct = self._count_correct(weights, x_test, y_test)
            better = correct > best
            kept = tf.cond(better, lambda: weights, lambda: kept)
            patience = tf.where(better, self.patience, patience - 1)
            counts = counts.write(steps + 1, correct)
            best = tf.maximum(best, correct)
            return patience, steps + 1, counts, best, kept, power1 * 0.9, power2 * 0.999

        correct = self._count_correct(state.weights, x_test, y_test)
        counts = tf.TensorArray(tf.int32, self.patience + 1, dynamic_size=True).write(0, correct)
        start = self.patience, 0, counts, correct, state.weights, *state.powers
        _, _, counts, _, kept, *powers = tf.while_loop(keep_going, step, start)
        state = _State(kept, self._read(1), self._read(2), powers)
        return counts.stack(), self._predict_proba(kept, x_pool), state
