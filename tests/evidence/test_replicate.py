"""Replicates go through the article's rounds, choose what they say they choose, and repeat themselves."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import EXACT
from scipy.optimize import minimize

from alhelpers.data import Dataset, load_mnist, scale
from alhelpers.evidence import draws, processes, queries, runs, spreading
from alhelpers.evidence.converged import Converged
from alhelpers.evidence.draws import Draw
from alhelpers.evidence.runs import Recipe


def as_draw(data: Dataset) -> Draw:
    """The images of a Dataset, whose test images stop the training and judge it, as in the article."""
    x_test, y_test = scale(data.x_test), data.y_test.astype(np.int64)
    return Draw(0, scale(data.x_pool), data.y_pool.astype(np.int64), x_test, y_test, x_test, y_test)


@pytest.fixture(scope="module")
def small():
    return draws.draw(5, 300, 100)


@pytest.mark.skipif(not EXACT, reason="TensorFlow and NumPy need not round alike on other processors")
def test_the_article_s_run_goes_through_the_rounds_of_active_learner_to_the_end():
    from alhelpers import ActiveLearner

    data = load_mnist()
    learner = ActiveLearner(data)
    while len(learner.labeled) < 400:
        learner.label_manually(10)
        learner.fit(verbose=False)
        learner.least_confident_first()
    queried = learner.labeled.tolist()
    while len(learner.unlabeled):
        learner.most_confident_first()
        learner.auto_label(10)
        learner.fit(verbose=False)
    images = as_draw(data)
    # In a process of one thread, as replicates are meant to run.
    (done,) = processes.in_processes(to_the_end, [images], 1)
    accuracy = runs.score(images.x_test, images.y_test, done)[0]
    assert done.labeled[:400].tolist() == queried
    assert accuracy.tolist() == learner.history.column("accuracy").tolist()
    assert done.steps.tolist() == learner.history.column("steps").tolist()


def to_the_end(images):
    return runs.run(images, Recipe("least confident"), 400, 10)


@pytest.mark.skipif(not EXACT, reason="TensorFlow and NumPy need not round alike on other processors")
@pytest.mark.parametrize("seed", [1, 2])
def test_other_draws_agree_where_no_query_amplifies_rounding(seed):
    from alhelpers import ActiveLearner

    data = load_mnist(1000, 400, seed)
    learner = ActiveLearner(data)
    for _ in range(20):
        learner.label_manually(10)
        learner.fit(verbose=False)
    images = as_draw(data)
    done = runs.run(images, Recipe("random"), 200)
    accuracy = runs.score(images.x_test, images.y_test, done)[0]
    assert accuracy.tolist() == learner.history.column("accuracy").tolist()


def test_a_draw_is_load_mnist_s_pool_cut_in_two():
    images, data = draws.draw(7, 50, 20), load_mnist(70, 1, seed=7)
    np.testing.assert_array_equal(np.vstack([images.x_pool, images.x_validation]), scale(data.x_pool))
    np.testing.assert_array_equal(np.concatenate([images.y_pool, images.y_validation]), data.y_pool)
    assert images.x_test.shape == (10_000, 784)


def test_a_draw_for_choosing_keeps_the_test_images_unseen():
    images = draws.draw(7, 50, 20, test=False)
    test = {row.tobytes() for row in draws.draw(7, 50, 20).x_test}
    seen = [row.tobytes() for row in np.vstack(images[1::2])]
    assert not test & set(seen)
    assert len(set(seen)) > 0.999 * len(seen), "pool, validation and scoring images overlap"


def test_an_impossible_draw_says_what_is_possible():
    with pytest.raises(ValueError, match=r"60000 pool and 400 validation images; .* at most 60,000"):
        draws.draw(0, 60_000, 400)


@pytest.mark.parametrize("model", runs.MODELS)
@pytest.mark.parametrize("query", queries.QUERIES)
def test_the_same_call_gives_the_same_numbers_and_a_clean_record(query, model, small):
    one, other = (runs.run(small, Recipe(query, model, 7), 60) for _ in range(2))
    for name in ("labeled", "labels", "n_labels", "steps", "weights", "bias"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert len(set(one.labeled.tolist())) == 60, "an image was labelled twice"
    np.testing.assert_array_equal(one.labels, small.y_pool[one.labeled])
    if not query.startswith("typical"):
        assert one.labeled[:7].tolist() == list(range(7)), "every run begins with the same batch"


def test_every_query_but_random_depends_on_the_model(small):
    first = {q: tuple(runs.run(small, Recipe(q), 40).labeled) for q in queries.QUERIES}
    assert first["random"] == tuple(range(40))
    assert len(set(first.values())) == len(first)


@pytest.mark.parametrize(
    ("query", "order"),
    [("least confident", [2, 0, 1, 3]), ("margin", [0, 2, 1, 3]), ("entropy", [2, 1, 0, 3])],
)
def test_queries_ask_for_the_most_uncertain_first(query, order):
    # Worked out by hand: 0 hesitates between two classes, 1 and 2 spread over all three, 3 is sure.
    proba = np.array([[0.5, 0.49, 0.01], [0.56, 0.22, 0.22], [0.4, 0.3, 0.3], [0.98, 0.01, 0.01]])
    assert np.argsort(queries.UNCERTAINTY[query](proba)).tolist() == order


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


@pytest.mark.parametrize("n", [60, 1200])  # fewer and more images than pixels
def test_converged_finds_the_optimum_from_anywhere(n):
    images = draws.draw(1, 1300, 10)
    x, y, C = images.x_pool[:n], images.y_pool[:n], 0.3
    model = Converged(784, C, tolerance=1e-5)
    model.fit(x, y)
    elsewhere = Converged(784, C, tolerance=1e-5)
    elsewhere.fit(images.x_pool[-300:], images.y_pool[-300:])
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


def test_refitting_forgets_the_last_round(small):
    batches = Recipe("random", batch_size=20, refit=True)
    last = runs.run(small, batches, 60, record_every=20)
    once = runs.run(small, Recipe("random", batch_size=60), 60)
    np.testing.assert_array_equal(last.weights[-1], once.weights[-1])


def test_score_is_the_share_of_right_answers(small):
    runs = [runs.run(small, Recipe(query), 50) for query in ("random", "margin")]
    scores = runs.score(small.x_test, small.y_test, *runs)
    for run, found in zip(runs, scores, strict=True):
        for weights, bias, accuracy in zip(run.weights, run.bias, found, strict=True):
            answers = (small.x_test @ weights.T + bias).argmax(axis=1)
            assert accuracy == pytest.approx(np.mean(answers == small.y_test), abs=2e-4)


def test_spread_labels_follow_the_clusters_and_keep_what_was_given():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(k * 4, 1, (100, 5)) for k in range(3)]).astype(np.float32)
    truth = np.repeat(range(3), 100)
    labels = spreading.spread_labels(x, np.array([0, 100, 200]), np.array([0, 1, 2]))
    assert np.mean(labels == truth) > 0.98
    lone = spreading.spread_labels(x, np.array([0, 100, 200, 1]), np.array([0, 1, 2, 2]))
    assert lone[1] == 2, "a given label was changed"
    far = spreading.spread_labels(1000 * x, np.array([0, 1, 100]), np.array([0, 0, 1]))
    assert (far[200:] == 0).all(), "where nothing arrives, the most frequent label stands"
    with pytest.raises(ValueError, match="9 images have no 10 neighbours each"):
        spreading.spread_labels(x[:9], np.array([0]), np.array([0]))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"query": "least sure"}, "query is 'least sure'; give one of random, least confident"),
        ({"model": "tree"}, "model is 'tree'; give one of early stopped, converged"),
        ({"batch_size": 2.5}, "batch_size is 2.5; give a whole number from 1 up"),
        ({"patience": 0}, "patience is 0"),
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
        runs.run(small, Recipe(batch_size=batch_size), **numbers)


def test_a_cold_start_ends_before_margins_begin_whatever_the_batch(small):
    sevens, tens = (runs.run(small, Recipe("typical, then margin", batch_size=n), 70) for n in (7, 10))
    assert sevens.labeled[:50].tolist() == tens.labeled[:50].tolist()
    assert sevens.labeled[50:].tolist() != tens.labeled[50:].tolist()


def test_a_fit_that_finds_no_optimum_says_so(small):
    with pytest.warns(UserWarning, match="no optimum after 1,000 steps; take a larger tolerance"):
        Converged(784, tolerance=0).fit(small.x_pool[:30], small.y_pool[:30])


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
        pytest.skip("looks for processes where Linux lists them")
    code = "import time; from alhelpers.evidence.processes import in_processes; "
    code += "list(in_processes(time.sleep, [600, 600], 2))"
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until(lambda: len(children(parent.pid)) >= 2)
    workers = children(parent.pid)
    parent.kill()
    parent.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited for half a minute"
        time.sleep(0.1)


def children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in listed if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_replicates_need_no_tensorflow():
    code = "import sys; import alhelpers.evidence.experiments; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
