"""One fit does what a plain loop of the same steps does."""

import copy
import os
import subprocess
import sys

import numpy as np
import pytest

from alhelpers import load_mnist, model, model_numpy
from alhelpers.data import scale


@pytest.fixture(params=[model, model_numpy], ids=["TensorFlow", "NumPy"])
def make(request):
    return request.param.SoftmaxRegression


@pytest.fixture(scope="module")
def arrays():
    data = load_mnist(300, 100)
    return scale(data.x_pool), data.y_pool, scale(data.x_test), data.y_test


def numpy_curve(x, y, x_test, y_test, steps):
    """Correct test predictions over Adam steps in float64 NumPy, written from the formulas."""
    w, b = np.zeros((x.shape[1], 10)), np.zeros(10)
    m, v = [0 * w, 0 * b], [0 * w, 0 * b]
    counts = [((x_test @ w + b).argmax(1) == y_test).sum()]
    for t in range(1, steps + 1):
        z = x @ w + b
        e = np.exp(z - z.max(1, keepdims=True))
        slope = (e / e.sum(1, keepdims=True) - np.eye(10)[y]) / len(x)
        for i, (theta, g) in enumerate([(w, x.T @ slope), (b, slope.sum(0))]):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            step_size = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            theta -= step_size * m[i] / (np.sqrt(v[i]) + 1e-8)
        counts.append(((x_test @ w + b).argmax(1) == y_test).sum())
    return np.array(counts)


def test_a_fit_follows_the_formulas(make, arrays):
    counts = make(784).fit(*arrays)
    expected = numpy_curve(*(a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays), 5)
    assert np.abs(counts[:6] - expected).max() <= 1, "rounding may turn one close call, not more"


def test_a_fit_stops_after_its_patience_and_keeps_the_best(make, arrays):
    _, _, x_test, y_test = arrays
    for patience in (3, 10):
        model = make(784, patience=patience)
        counts = model.fit(*arrays)
        best = int(np.argmax(counts))
        assert len(counts) - 1 - best == patience
        assert model.n_iter_ == len(counts) - 1
        kept = (model.predict_proba(x_test).argmax(axis=1) == y_test).sum()
        assert kept == counts.max()


def test_by_default_patience_and_learning_rate_are_the_article_s(make, arrays):
    counts = make(784).fit(*arrays)
    assert len(counts) - 1 - int(np.argmax(counts)) == 10
    assert np.array_equal(counts, make(784, learning_rate=0.1, patience=10).fit(*arrays))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"learning_rate": -1}, "learning_rate is -1; give a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; give a number above 0"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'; give a number above 0"),
        ({"patience": 0}, "patience is 0; give a whole number from 1 up"),
        ({"patience": 2.5}, "patience is 2.5; give a whole number from 1 up"),
    ],
)
def test_settings_that_train_nothing_are_refused(make, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(784, **settings)


def test_probabilities_are_the_softmax_of_weights_and_bias(make, arrays):
    x = arrays[0]
    model = make(784)
    model.fit(*arrays)
    z = x.astype(np.float64) @ model.weights + model.bias
    e = np.exp(z - z.max(axis=1, keepdims=True))
    assert np.allclose(model.predict_proba(x), e / e.sum(axis=1, keepdims=True), atol=1e-5)


def test_state_carries_over_and_reset_clears_it(make, arrays):
    model = make(784)
    first = model.fit(*arrays)
    twin = copy.deepcopy(model)
    second = model.fit(*arrays)
    assert np.array_equal(twin.fit(*arrays), second), "a copy has weights and Adam's state of its own"
    assert second[0] == first.max(), "the second fit starts from the weights the first one kept"
    model.reset()
    assert np.array_equal(model.fit(*arrays), first)


def test_weights_can_be_set(make, arrays):
    model = make(784)
    model.fit(*arrays)
    before = model.predict_proba(arrays[0])
    model.weights = -model.weights
    model.weights = -model.weights
    assert model.weights.shape == (784, 10)
    assert np.array_equal(model.predict_proba(arrays[0]), before)
    model.weights = model.weights + 1
    assert not np.array_equal(model.predict_proba(arrays[0]), before)


def test_importing_leaves_keras_for_later_and_still_reachable():
    code = """
import os, sys
import alhelpers.model
assert "keras" not in sys.modules, "Keras was imported at start"
assert "TF_USE_LEGACY_KERAS" not in os.environ
import tensorflow as tf
assert tf.keras.layers.Dense(3).units == 3
"""
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
