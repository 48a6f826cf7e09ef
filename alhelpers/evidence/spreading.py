"""Labels that flow from labelled images to similar ones."""

import numpy as np
from scipy.sparse import csr_array, diags_array

from alhelpers.evidence.draws import N_CLASSES

N_NEIGHBOURS = 10


def neighbours(x: np.ndarray) -> csr_array:
    """How much each of images x, (n, n_features), passes to its nearest neighbours: (n, n), 0 to all others.

    Takes memory for n² distances. Raises ValueError if there are no more images than N_NEIGHBOURS.
    """
    if len(x) <= N_NEIGHBOURS:
        raise ValueError(f"{len(x)} images have no {N_NEIGHBOURS} neighbours each; give more images")
    square = (x**2).sum(axis=1)
    distance = np.maximum(square[:, None] + square - 2 * x @ x.T, 0)
    np.fill_diagonal(distance, np.inf)
    near = np.argpartition(distance, N_NEIGHBOURS, axis=1)[:, :N_NEIGHBOURS]
    distance = np.take_along_axis(distance, near, axis=1).astype(np.float64)
    weight = np.exp(-distance / np.median(distance)).ravel()
    graph = csr_array((weight, (np.repeat(np.arange(len(x)), N_NEIGHBOURS), near.ravel())), (len(x), len(x)))
    graph = graph.maximum(graph.T)
    root = diags_array(1 / np.sqrt(graph.sum(axis=1)))
    return (root @ graph @ root).tocsr()


def spread_labels(
    graph: csr_array, labeled: np.ndarray, labels: np.ndarray, alpha: float = 0.9
) -> np.ndarray:
    """Labels for all images of the graph: those given, and for the others what spreads from neighbours.

    Each image passes a share alpha of what it holds to its neighbours, again and again, while the labelled
    ones keep feeding in their labels. Every class feeds in the same amount. Where nothing arrives, the most
    frequent of the given labels stands. int64 of shape (n,).

    Source: Zhou, Bousquet, Lal, Weston and Schölkopf (2004), "Learning with Local and Global Consistency".
    """
    source = np.zeros((graph.shape[0], N_CLASSES))
    source[labeled, labels] = 1
    source /= np.maximum(source.sum(axis=0), 1)
    held = source
    for _ in range(100):
        held = alpha * (graph @ held) + (1 - alpha) * source
    answers = held.argmax(axis=1)
    answers[~held.any(axis=1)] = np.bincount(labels).argmax()
    answers[labeled] = labels
    return answers
