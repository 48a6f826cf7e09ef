"""Queries of the experiments: which unlabelled images to ask about next."""

import warnings
import zlib
from collections.abc import Callable

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.linalg import eigh

from alhelpers.data import scale
from alhelpers.learner import ActiveLearner
from alhelpers.queries import entropy, least_confident, margin

# The greedy oracle: how many batches it tries, and from how many low margins some of them are drawn.
N_TRIED, N_LOW = 10, 50
# A cold start: how many labels, how many principal components its clusters are found in, and how many
# neighbours say how typical an image is (20 in the paper).
N_COLD, N_COMPONENTS, N_NEIGHBOURS = 50, 50, 20


def badge(x: np.ndarray, proba: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of n images that are uncertain and unlike each other.

    k-means++ seeding on the gradients that the images would give if the model's answers were right: large
    where it is unsure, and pointing elsewhere for other images. A gradient is the outer product of `slope`
    and the image, so distances need no gradient in full.

    Source: Ash, Zhang, Krishnamurthy, Langford and Agarwal (2020), "Deep Batch Active Learning by Diverse,
    Uncertain Gradient Lower Bounds" (BADGE).
    """
    slope = proba.copy()
    slope[np.arange(len(slope)), proba.argmax(axis=1)] -= 1
    length = (slope**2).sum(axis=1) * (x**2).sum(axis=1)
    chosen = [int(length.argmax())]
    nearest = np.full(len(x), np.inf)
    while True:
        last = chosen[-1]
        distance = length + length[last] - 2 * (slope @ slope[last]) * (x @ x[last])
        nearest = np.minimum(nearest, np.maximum(distance, 0))
        nearest[chosen] = 0
        if len(chosen) == n:
            return np.array(chosen)
        weight = nearest.astype(np.float64)
        if not weight.any():  # only copies of chosen images are left
            weight = np.ones(len(x))
            weight[chosen] = 0
        chosen.append(int(rng.choice(len(x), p=weight / weight.sum())))


def typical(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of the most typical image of each of n clusters, the largest cluster first: a cold start.

    Needs no model. Typical is what lies closest to its nearest neighbours within the cluster. Fewer than n
    positions where clusters stay empty.

    Source: after Hacohen, Dekel and Weinshall (2022), "Active Learning on a Budget: Opposite Strategies Suit
    High and Low Budgets" (TypiClust); on principal components instead of learned features, clustered once.
    """
    centred = x - x.mean(axis=0)
    _, axes = eigh(centred.T @ centred, check_finite=False)
    x = centred @ axes[:, -N_COMPONENTS:]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty", UserWarning)
        warnings.filterwarnings("ignore", "invalid value", RuntimeWarning)  # all images alike
        _, cluster = kmeans2(x, n, minit="++", rng=rng)
    chosen = []
    for k in np.argsort(-np.bincount(cluster, minlength=n), kind="stable"):
        members = np.flatnonzero(cluster == k)
        if not len(members):
            continue
        square = (x[members] ** 2).sum(axis=1)
        distance = np.sqrt(np.maximum(square[:, None] + square - 2 * x[members] @ x[members].T, 0))
        closest = np.sort(distance, axis=1)[:, 1 : N_NEIGHBOURS + 1]
        # A cluster of one has no neighbours; its image is as typical as can be.
        chosen.append(members[closest.mean(axis=1).argmin()] if len(members) > 1 else members[0])
    return np.array(chosen)


# A query puts the images to ask about next first, when n more are wanted, and returns how many it chose.
Query = Callable[[ActiveLearner, int, np.random.Generator], int]


def _lowest(measure: Callable[[np.ndarray], np.ndarray]) -> Query:
    def query(learner: ActiveLearner, n: int, rng: np.random.Generator) -> int:
        if len(learner.labeled):  # before, the model knows nothing
            learner.lowest_first(measure)
        return n

    return query


def _badge(learner: ActiveLearner, n: int, rng: np.random.Generator) -> int:
    if len(learner.labeled):
        x = scale(learner.data.x_pool[learner.unlabeled])
        learner.ask_first(badge(x, learner.predict_proba(learner.unlabeled), n, rng))
    return n


def _typical_then_margin(learner: ActiveLearner, n: int, rng: np.random.Generator) -> int:
    n_typical = min(N_COLD, learner.data.n_pool)
    if not len(learner.labeled):
        learner.ask_first(typical(scale(learner.data.x_pool), n_typical, rng))
    if len(learner.labeled) >= n_typical:
        learner.lowest_first(margin)
        return n
    return min(n, n_typical - len(learner.labeled))  # what comes after them is in no order yet


COMPARED = ("random", "least confident", "margin", "entropy", "badge", "typical, then margin")
"""The queries that the experiments compare."""
QUERIES: dict[str, Query] = {
    "random": lambda learner, n, rng: n,  # the pool is in random order
    "least confident": _lowest(least_confident),
    "margin": _lowest(margin),
    "entropy": _lowest(entropy),
    "badge": _badge,
    "typical, then margin": _typical_then_margin,
}


def _greedy_oracle(learner: ActiveLearner, n: int, rng: np.random.Generator) -> int:
    """Of some batches the one whose labels, which it looks up, make the model right on most of the pool.

    It tries what margin, least confident, entropy and badge would ask for, and random batches, half of them
    from the lowest margins. So it is greedy, bounded by what it tries, and no bound for other queries; it
    cheats on the pool, but not on the images that judge.
    """
    if not len(learner.labeled):
        return n
    proba, n_rest = learner.predict_proba(learner.unlabeled), len(learner.unlabeled)
    orders = [np.argsort(measure(proba), kind="stable") for measure in (margin, least_confident, entropy)]
    batches = [order[:n] for order in orders]
    batches.append(badge(scale(learner.data.x_pool[learner.unlabeled]), proba, n, rng))
    while len(batches) < N_TRIED:
        few = orders[0][: max(N_LOW, n)] if len(batches) % 2 else np.arange(n_rest)
        batches.append(rng.choice(few, n, replace=False))
    right = [_right_with(batch, learner) for batch in batches]
    learner.ask_first(batches[int(np.argmax(right))])
    return n


def _right_with(batch: np.ndarray, learner: ActiveLearner) -> int:
    """How much of the pool a copy of the learner gets right once it has these labels."""
    trial = learner.copy()
    trial.ask_first(batch)
    trial.label_manually(len(batch))
    trial.fit(verbose=False)
    answers = trial.predict_proba(np.arange(learner.data.n_pool)).argmax(axis=1)
    return int(np.count_nonzero(answers == learner.data.y_pool))


ORACLE = "greedy oracle"
ALL_QUERIES = QUERIES | {ORACLE: _greedy_oracle}


def number_of(query: str) -> int:
    """A number of each query's own, which its random numbers come from, whatever others there are."""
    compared = (*COMPARED, ORACLE)
    return compared.index(query) if query in compared else zlib.crc32(query.encode())


def mix_in(learner: ActiveLearner, n: int, share: float, rng: np.random.Generator) -> None:
    """Put random images in the places of the last of the n that come first, this share of them."""
    n_random = round(share * n)
    if n_random and len(learner.labeled):  # the first batch is random anyway
        chosen, rest = np.arange(n - n_random), np.arange(n - n_random, len(learner.unlabeled))
        learner.ask_first(np.concatenate([chosen, rng.choice(rest, n_random, replace=False)]))
