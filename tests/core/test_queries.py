"""The three measures are their definitions."""

import numpy as np
import pytest
from scipy import stats

from alhelpers.queries import entropy, least_confident, margin


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_measures_are_what_their_names_say(n_classes):
    proba = np.random.default_rng(0).dirichlet(np.full(n_classes, 0.3), 200)
    proba[0] = np.eye(n_classes)[0]  # certain: a probability of 0 has a logarithm, too
    ordered = np.sort(proba, axis=1)
    np.testing.assert_array_equal(least_confident(proba), ordered[:, -1])
    np.testing.assert_array_equal(margin(proba), ordered[:, -1] - ordered[:, -2])
    np.testing.assert_allclose(entropy(proba), -stats.entropy(proba, axis=1), atol=1e-12)
