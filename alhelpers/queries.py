"""Queries: which images to ask about next, as functions of the model's class probabilities.

Each takes probabilities, (n, n_classes), and returns numbers, (n,): the lower, the sooner an image is asked
about. A notebook can pass its own to `ActiveLearner.lowest_first`.
"""

import numpy as np


def least_confident(proba: np.ndarray) -> np.ndarray:
    """Probability of the most probable class. Lewis and Gale (1994)."""
    return proba.max(axis=1)


def margin(proba: np.ndarray) -> np.ndarray:
    """How far the most probable class is ahead of the second. Scheffer, Decomain and Wrobel (2001)."""
    second, first = np.partition(proba, -2, axis=1)[:, -2:].T
    return first - second


def entropy(proba: np.ndarray) -> np.ndarray:
    """Minus the Shannon entropy of the class probabilities. Settles (2009), section 3.1."""
    return (proba * np.log(np.maximum(proba, 1e-30))).sum(axis=1)
