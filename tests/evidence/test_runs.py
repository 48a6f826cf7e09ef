"""Replicates go through the article's rounds, choose what they say they choose, and repeat themselves."""

import os
import subprocess
import sys

import numpy as np
import psutil
import pytest
from helpers import wait_for
from scipy.optimize import minimize

from alhelpers.data import load_mnist, scale
from alhelpers.evidence import converged, draws, processes, queries, runs, spreading
from alhelpers.evidence.converged import Converged
from alhelpers.evidence.draws import Draw
from alhelpers.evidence.runs import Recipe
from alhelpers.learner import ActiveLearner
from alhelpers.model_numpy import SoftmaxRegression
from alhelpers.queries import entropy, least_confident, margin


@pytest.fixture(scope="module")
def small():
    return draws.draw(5, 300, 100)


def test_a_run_is_the_article_s_loop():
    learner = ActiveLearner(load_mnist(), model=SoftmaxRegression)
    while len(learner.labeled) < 60:
        learner.label_manually(10)
        learner.fit(verbose=False)
        learner.least_confident_first()
    # The test images stop the training and judge it, as in the article.
    x, y = scale(learner.data.x_test), learner.data.y_test
    done = runs.replicate(Draw(0, learner.data, x, y), Recipe(), 60)
    assert done.learner.labeled.tolist() == learner.labeled.tolist()
    assert list(done.learner.history.column("accuracy")) == list(learner.history.column("accuracy"))
    assert runs.score(x, y, done).tolist() == learner.history.column("accuracy").tolist()


def test_a_run_goes_on_with_the_model_s_own_labels_to_the_end_of_the_pool(small):
    done = runs.replicate(small, Recipe(), 50, auto_batch_size=100, record_every=50)
    assert done.n_labels.tolist() == [50, 150, 250, 300]
    assert done.learner.label_source.tolist() == ["person"] * 50 + ["model"] * 250
    assert sorted(done.learner.labeled) == list(range(300))


def test_a_draw_is_load_mnist_s_pool_cut_in_two():
    images, data = draws.draw(7, 50, 20), load_mnist(70, 1, seed=7)
    ours = images.data
    np.testing.assert_array_equal(np.concatenate([ours.x_pool, ours.x_test]), data.x_pool)
    np.testing.assert_array_equal(np.concatenate([ours.y_pool, ours.y_test]), data.y_pool)
    assert images.x_test.shape == (10_000, 784)


def test_a_draw_for_choosing_keeps_the_test_images_unseen():
    images = draws.draw(7, 50, 20, test=False)
    test = {row.tobytes() for row in draws.draw(7, 50, 20).x_test}
    seen = [row.tobytes() for x in (images.data.x_pool, images.data.x_test) for row in scale(x)]
    seen += [row.tobytes() for row in images.x_test]
    assert not test & set(seen)
    assert len(set(seen)) > 0.999 * len(seen), "pool, validation and scoring images overlap"


@pytest.mark.parametrize("C", [None, 0.1], ids=["early stopped", "converged"])
@pytest.mark.parametrize("query", queries.QUERIES)
def test_the_same_call_gives_the_same_numbers_and_a_clean_record(query, C, small):
    one, other = (runs.replicate(small, Recipe(query, C, 7), 60) for _ in range(2))
    for name in ("n_labels", "weights", "bias"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.n_labels.tolist() == [60] if query != "typical, then margin" else [50, 60]
    learner = one.learner
    assert learner.labeled.tolist() == other.learner.labeled.tolist()
    assert len(set(learner.labeled.tolist())) == 60, "an image was labelled twice"
    np.testing.assert_array_equal(learner.labels, small.data.y_pool[learner.labeled])
    if query != "typical, then margin":
        assert learner.labeled[:7].tolist() == list(range(7)), "every run begins with the same batch"


def test_every_query_but_random_depends_on_the_model(small):
    first = {q: tuple(runs.replicate(small, Recipe(q), 40).learner.labeled) for q in queries.QUERIES}
    assert first["random"] == tuple(range(40))
    assert len(set(first.values())) == len(first)


@pytest.mark.parametrize(
    ("measure", "order"),
    [(least_confident, [2, 0, 1, 3]), (margin, [0, 2, 1, 3]), (entropy, [2, 1, 0, 3])],
)
def test_queries_ask_for_the_most_uncertain_first(measure, order):
    # Worked out by hand: 0 hesitates between two classes, 1 and 2 spread over all three, 3 is sure.
    proba = np.array([[0.5, 0.49, 0.01], [0.56, 0.22, 0.22], [0.4, 0.3, 0.3], [0.98, 0.01, 0.01]])
    assert np.argsort(measure(proba)).tolist() == order


def test_badge_takes_unlike_images_and_none_twice():
    rng = np.random.default_rng(0)
    x = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)  # three images, twenty copies of each
    proba = np.tile(np.float32([0.4, 0.3, 0.3]), (60, 1))
    chosen = queries.badge(x, proba, 3, rng)
    assert sorted(chosen // 20) == [0, 1, 2]
    assert sorted(queries.badge(x, proba, 60, rng)) == list(range(60)), "copies are left for the end"


def test_typical_takes_the_middle_of_each_cluster_the_largest_first():
    rng = np.random.default_rng(0)
    centres = 20 * np.eye(4, 60)
    sizes = [40, 60, 25, 30]
    x = np.concatenate([c + rng.normal(size=(n, 60)) for c, n in zip(centres, sizes, strict=True)])
    chosen = queries.typical(x.astype(np.float32), 4, rng)
    cluster = np.repeat(range(4), sizes)
    assert cluster[chosen].tolist() == [1, 0, 3, 2]
    for k, position in zip(cluster[chosen], chosen, strict=True):
        distance = np.linalg.norm(x[cluster == k] - centres[k], axis=1)
        assert np.linalg.norm(x[position] - centres[k]) < np.median(distance)


def test_clusters_of_one_size_and_images_that_measure_the_same_are_asked_about_in_their_order(
    monkeypatch, small
):
    # Many, of few distinct values: an unstable sort changes their order.
    rng, sizes = np.random.default_rng(0), [3, 2] * 15
    clusters = np.repeat(np.arange(30), sizes)
    monkeypatch.setattr(queries, "kmeans2", lambda *_, **__: (None, clusters))
    x = rng.normal(size=(len(clusters), 60)).astype(np.float32)
    chosen = queries.typical(x, 30, rng)
    assert clusters[chosen].tolist() == [*range(0, 30, 2), *range(1, 30, 2)]

    learner = ActiveLearner(small.data, model=SoftmaxRegression)
    learner.label_manually(1)
    left, thirds = learner.unlabeled, learner.unlabeled % 3
    query = queries._lowest(lambda proba: thirds.astype(np.float32))
    assert query(learner, 7, rng) == 7
    in_order = [i for rest in range(3) for i in left if i % 3 == rest]
    assert learner.unlabeled.tolist() == in_order

    learner.unlabeled, tried = left, []
    for name in ("margin", "least_confident", "entropy"):
        monkeypatch.setattr(queries, name, lambda proba: thirds.astype(np.float32))
    monkeypatch.setattr(queries, "_right_with", lambda batch, _: tried.append(left[batch].tolist()) or 0)
    queries.ALL_QUERIES[queries.ORACLE](learner, 7, rng)
    assert tried[:3] == [in_order[:7]] * 3


@pytest.mark.parametrize("n", [60, 1200])  # fewer and more images than pixels
def test_converged_finds_the_optimum_from_anywhere(n):
    images = draws.draw(1, 1300, 10)
    pool, C = scale(images.data.x_pool), 0.3
    x, y = pool[:n], images.data.y_pool[:n]
    model = Converged(784, C, tolerance=1e-6)
    model.fit(x, y)
    elsewhere = Converged(784, C, tolerance=1e-6)
    elsewhere.fit(pool[-300:], images.data.y_pool[-300:])
    elsewhere.fit(x, y)

    x1 = np.column_stack([x, np.ones(n)]).astype(np.float64)
    hit = np.eye(10)[y]

    def objective(flat):
        w = flat.reshape(10, -1)
        z = x1 @ w.T
        z -= z.max(axis=1, keepdims=True)
        log_proba = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        gradient = C * (np.exp(log_proba) - hit).T @ x1 + w
        return -C * (hit * log_proba).sum() + (w**2).sum() / 2, gradient.ravel()

    best = minimize(
        objective, np.zeros(7850), jac=True, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-6}
    )
    for fitted in (model, elsewhere):
        joined = np.column_stack([fitted.weights.T, fitted.bias]).astype(np.float64)
        assert objective(joined.ravel())[0] < best.fun * (1 + 1e-4)
        answers = (x1 @ joined.T).argmax(axis=1)
        assert np.mean(answers == (x1 @ best.x.reshape(10, -1).T).argmax(axis=1)) > 0.995


def test_converged_agrees_with_itself_for_few_and_many_images():
    images = draws.draw(1, 900, 10)
    x, y = scale(images.data.x_pool), images.data.y_pool
    dark = Converged(2000, 0.3, tolerance=1e-8)  # more pixels than images, all of them dark
    dark.fit(np.pad(x, ((0, 0), (0, 2000 - 784))), y)
    model = Converged(784, 0.3, tolerance=1e-8)
    model.fit(x, y)
    np.testing.assert_allclose(dark.weights[:784], model.weights, atol=1e-4)


def test_random_labels_are_fitted_only_where_a_fit_is_looked_at(small):
    def both(**settings):
        runs_of = [runs.replicate(small, Recipe(**settings), 60, record_every=n) for n in (30, 10)]
        return [len(run.learner.history) for run in runs_of], *runs_of

    fits, few, many = both(query="random", C=0.1)
    assert fits == [2, 6]
    np.testing.assert_allclose(few.weights, many.weights[[2, 5]], atol=1e-3)
    fits, few, many = both(query="random", refitted=True)
    assert fits == [2, 6]
    np.testing.assert_array_equal(few.weights, many.weights[[2, 5]])
    for settings in ({"query": "random"}, {"query": "margin", "C": 0.1}, {"refitted": True}):
        fits, few, many = both(**settings)
        assert fits == [6, 6], "each fit leaves its mark on the next, or the query looks at it"
        np.testing.assert_array_equal(few.weights, many.weights[[2, 5]])


def test_a_model_that_labels_the_rest_itself_is_fitted_every_time(small):
    done = runs.replicate(small, Recipe("random", 0.1), 50, auto_batch_size=50, record_every=300)
    assert len(done.learner.history) == 10
    right = done.learner.labels[50:] == small.data.y_pool[done.learner.labeled[50:]]
    assert right.mean() > 0.5


def test_accuracies_are_of_the_fits_asked_for_and_of_the_last(small):
    done = runs.replicate(small, Recipe(), 70)
    row = runs.row_of("a", 5, Recipe())
    every_ten = runs.accuracies(row, done, small.x_test, small.y_test)
    assert [row.n_labels for row in every_ten] == list(range(10, 80, 10))
    assert runs.accuracies(row, done, small.x_test, small.y_test, 30) == [every_ten[i] for i in (2, 5, 6)]


def test_refitting_forgets_the_last_round(small):
    last = runs.replicate(small, Recipe("random", batch_size=20, refitted=True), 60, record_every=20)
    once = runs.replicate(small, Recipe("random", batch_size=60), 60)
    np.testing.assert_array_equal(last.weights[-1], once.weights[-1])


def test_spread_labels_follow_the_clusters_and_keep_what_was_given():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(k * 4, 1, (100, 5)) for k in range(3)]).astype(np.float32)
    truth = np.repeat(range(3), 100)
    graph = spreading.neighbours(x)
    labels = spreading.spread_labels(graph, np.array([0, 100, 200]), np.array([0, 1, 2]))
    assert np.mean(labels == truth) > 0.98
    lone = spreading.spread_labels(graph, np.array([0, 100, 200, 1]), np.array([0, 1, 2, 2]))
    assert lone[1] == 2, "a given label was changed"
    far = spreading.spread_labels(spreading.neighbours(1000 * x), np.array([0, 1, 100]), np.array([0, 0, 1]))
    assert (far[200:] == 0).all(), "where nothing arrives, the most frequent label stands"
    with pytest.raises(ValueError, match="9 images have no 10 neighbours each"):
        spreading.neighbours(x[:9])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"query": "least sure"}, "query is 'least sure'; give one of random, least confident"),
        ({"batch_size": 2.5}, "batch_size is 2.5; give a whole number from 1 up"),
        ({"C": -1}, "C is -1; give a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
    ],
)
def test_an_impossible_recipe_says_why(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Recipe(**settings)


@pytest.mark.parametrize(
    ("batch_size", "numbers", "sentence"),
    [
        (10, {"label_budget": 301}, "batch size 10 and label budget 301 do not fit a pool of 300"),
        (50, {"label_budget": 40}, "batch size 50 and label budget 40 do not fit"),
        (10, {"label_budget": 20.0}, "label_budget is 20.0; give a whole number"),
        (10, {"label_budget": 20, "auto_batch_size": 0}, "auto_batch_size is 0"),
        (10, {"label_budget": 20, "record_every": 0}, "record_every is 0"),
    ],
)
def test_an_impossible_run_says_why(batch_size, numbers, sentence, small):
    with pytest.raises(ValueError, match=sentence):
        runs.replicate(small, Recipe(batch_size=batch_size), **numbers)


def test_a_cold_start_ends_before_margins_begin_whatever_the_batch(small):
    sevens, tens = (runs.replicate(small, Recipe("typical, then margin", batch_size=n), 70) for n in (7, 10))
    assert sevens.learner.labeled[:50].tolist() == tens.learner.labeled[:50].tolist()
    assert sevens.learner.labeled[50:].tolist() != tens.learner.labeled[50:].tolist()


def test_a_fit_that_finds_no_optimum_says_so(small, monkeypatch):
    monkeypatch.setattr(converged, "MOST_STEPS", 3)
    with pytest.warns(UserWarning, match=r"no optimum after 3 steps; take a larger tolerance"):
        Converged(784).fit(scale(small.data.x_pool[:30]), small.data.y_pool[:30])


def test_work_in_processes_comes_back_in_order_and_a_dead_worker_is_named():
    assert list(processes.in_processes(divmod_by_seven, range(20), 2)) == [divmod(n, 7) for n in range(20)]
    before = dict(os.environ)
    with pytest.raises(RuntimeError, match="a worker process ended before its work did"):
        list(processes.in_processes(os._exit, [9, 9], 2))
    assert dict(os.environ) == before


def divmod_by_seven(n):
    return divmod(n, 7)


def test_a_function_in_no_file_is_refused_and_a_killed_parent_leaves_no_workers_behind(tmp_path):
    code = "from alhelpers.evidence.processes import in_processes\n"
    code += "def f(n): return n\nlist(in_processes(f, [1]))"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "cannot import the function 'f', for it stands in no file; put it into a .py file" in asked.stderr

    if sys.platform != "linux":
        pytest.skip("tried on Linux alone")
    code = "import time; from alhelpers.evidence.processes import in_processes; "
    code += "list(in_processes(time.sleep, [600, 600], 2))"
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    workers = wait_for(lambda: len(found := workers_of(parent.pid)) >= 2 and found)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(worker.is_running() for worker in workers))


def workers_of(pid):
    started = psutil.Process(pid).children()
    return [child for child in started if "spawn_main" in " ".join(child.cmdline())]
