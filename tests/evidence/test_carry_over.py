"""Other data, rare classes, random labels mixed in and slips where it is hard."""

from unittest.mock import MagicMock

import numpy as np
import pytest

from alhelpers.data import Dataset, scale
from alhelpers.errors import UserError
from alhelpers.evidence import carry_over, datasets, queries, table
from alhelpers.evidence.converged import Converged
from alhelpers.evidence.draws import Source, draw, with_rare_class, with_slips
from alhelpers.evidence.runs import Recipe, replicate, score
from alhelpers.evidence.table import Results
from alhelpers.files import PACKAGE
from alhelpers.learner import ActiveLearner
from alhelpers.model_numpy import SoftmaxRegression
from alhelpers.queries import entropy, least_confident, margin


def numbered(n=300, n_features=3):
    """Rows that can be told apart: the first feature is the row's number."""
    rng = np.random.default_rng(0)
    x = rng.normal(5, 2, (n, n_features))
    x[:, 0] = np.arange(n)
    return x, np.repeat(["ham", "spam", "eggs"], n // 3)


def test_rows_that_judge_are_the_same_in_every_draw_and_unseen_by_tuning():
    x = np.arange(300, dtype=np.uint16).view(np.uint8).reshape(300, 1, 2)  # images that tell their number

    def numbers(images):
        return {tuple(row) for row in scale(images).tolist()}

    source = Source.of(x, numbered()[1])
    assert (len(source.y), len(source.y_test)) == (200, 100)
    for test in (True, False):
        pools, judges = [], []
        for images in (draw(seed, 100, 20, test, source) for seed in (1, 2)):
            parts = (
                numbers(images.data.x_pool),
                numbers(images.data.x_test),
                {*map(tuple, images.x_test.tolist())},
            )
            assert [len(part) for part in parts] == [100, 20, 100 if test else 80]
            assert len(set.union(*parts)) == sum(map(len, parts)), "rows stand twice"
            pools.append(parts[0])
            judges.append(parts[2])
            assert (numbers(source.x_test) == parts[2]) == test
            assert test or not numbers(source.x_test) & set.union(*parts)
        assert pools[0] != pools[1]
        assert (judges[0] == judges[1]) == test


def test_features_are_standardised_with_what_the_pool_alone_tells():
    x, y = numbered()
    source = Source.of(x, y)
    images = draw(3, 100, 20, source=source)
    np.testing.assert_allclose(images.data.x_pool.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(images.data.x_pool.std(axis=0), 1, atol=1e-6)
    louder = draw(3, 100, 20, source=source._replace(x_test=source.x_test * 1000))
    np.testing.assert_array_equal(images.data.x_pool, louder.data.x_pool)
    assert np.abs(louder.x_test).max() > 100 * np.abs(images.x_test).max()
    logs = draw(3, 100, 20, source=Source.of(np.abs(x), y, counts=True))
    one_more = draw(3, 100, 20, source=Source.of(np.log1p(np.abs(x)), y))
    np.testing.assert_array_equal(logs.x_test, one_more.x_test)


def test_labels_may_be_of_any_kind():
    source = Source.of(*numbered())
    assert set(source.y) == {0, 1, 2}
    y = numbered()[1]
    assert (y[source.x[source.y == 0, 0].astype(int)] == "eggs").all(), "in sorted order"


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (np.zeros((9, 2)), np.zeros(9, int), "all 9 labels are .*0.*; give labels of at least two classes"),
        (np.zeros((3, 2)), np.arange(3), "there are 3 rows; give at least 6"),
        (np.array([[1, np.nan]] * 9), np.arange(9), "holds what is no finite number; fill it in or leave"),
        (np.array([["a", "b"]] * 9), np.arange(9), "holds what is no finite number"),
        (np.zeros((9, 2)), np.arange(8), r"x has shape \(9, 2\) and y \(8,\); give a row of x for each"),
        (np.zeros(9), np.arange(9), r"x has shape \(9,\)"),
    ],
)
def test_data_that_cannot_be_drawn_from_end_in_one_sentence(x, y, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        Source.of(x, y)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="give numbers from 0 up"):
        Source.of(np.full((9, 2), -3), np.arange(9), counts=True)
    with pytest.raises(ValueError, match=r"100 pool and 400 validation images; .* together at most 200"):
        draw(0, 100, source=Source.of(*numbered()))


@pytest.mark.parametrize("C", [None, 0.1], ids=["NumPy", "converged"])
@pytest.mark.parametrize("name", datasets.SIZES)
def test_every_data_set_can_be_learned(name, C):
    images = datasets.draw_of(name, 0)
    done = replicate(images, Recipe("margin", C), 100, record_every=100)
    most_frequent = np.bincount(images.y_test).max() / len(images.y_test)
    assert score(images.x_test, images.y_test, done)[-1] > most_frequent + 0.1


def test_a_feature_that_never_changes_does_not_matter():
    x, y = numbered()
    same = np.column_stack([x, np.full(len(x), 0.1)])
    one, other = (draw(0, 100, 20, source=Source.of(rows, y)) for rows in (x, same))
    assert (other.data.x_pool[:, -1] == 0).all()
    for model in (SoftmaxRegression, Converged):
        curves = []
        for images in (one, other):
            learner = ActiveLearner(images.data, model=model)
            learner.label_manually(60)
            learner.fit(verbose=False)
            curves.append(learner.history[-1].accuracy)
        assert curves[0] == curves[1]


def test_three_rows_are_enough_for_a_learner():
    x = np.float32([[0, 1], [1, 0], [1, 1]])
    for model in (SoftmaxRegression, Converged):
        learner = ActiveLearner(Dataset(x, np.arange(3), x, np.arange(3)), model=model)
        learner.label_manually(3)
        learner.fit(verbose=False)
        assert learner.score(x, np.arange(3)) == 1


def test_a_data_set_that_does_not_exist_is_not_read():
    with pytest.raises(ValueError, match="there is no data set 'iris'; give one of spambase"):
        datasets.read("iris")


def test_shipped_data_sets_are_what_their_page_says():
    shapes = {name: datasets.read(name)[0].shape for name in datasets.SIZES}
    assert shapes == {
        "spambase": (4601, 57), "satellite": (6435, 36), "letters": (20000, 16), "digits8x8": (1797, 64)
    }  # fmt: skip
    page = (PACKAGE / "datasets" / "UCI.md").read_text(encoding="utf-8")
    for name in datasets.SIZES:
        x, y, classes = datasets.read(name)
        assert f"`{name}.npz`" in page
        assert sorted(set(y)) == list(range(len(classes)))
        assert f"({len(x)}, " in page


def test_a_rare_class_is_as_rare_as_said_and_lies_anywhere_in_the_pool():
    images = draw(5)
    rare = with_rare_class(images, 7, 0.01)
    y = rare.data.y_pool
    assert np.mean(y == 7) == pytest.approx(0.01, abs=0.0005)
    assert np.count_nonzero(y != 7) == np.count_nonzero(images.data.y_pool != 7)
    where = np.flatnonzero(y == 7) / len(y)
    assert where.min() < 0.2
    assert where.max() > 0.8
    np.testing.assert_array_equal(rare.x_test, images.x_test)
    with pytest.raises(ValueError, match="class 7 is less than 50% of the pool already"):
        with_rare_class(images, 7, 0.5)


def test_slips_fall_where_their_probabilities_are():
    images = draw(5, 300, 10)
    shares = np.where(np.arange(300) < 100, 0.5, 0)
    wrong = with_slips(images, shares).data.y_pool != images.data.y_pool
    assert 35 < wrong[:100].sum() < 65
    assert not wrong[100:].any()


def test_a_mixed_batch_has_its_share_of_random_images_at_its_end():
    learner = ActiveLearner(draw(5, 300, 10).data, model=SoftmaxRegression)
    learner.label_manually(10)
    learner.fit(verbose=False)
    learner.lowest_first(margin)
    before = learner.unlabeled.copy()
    queries.mix_in(learner, 10, 0.2, np.random.default_rng(0))
    assert learner.unlabeled[:8].tolist() == before[:8].tolist()
    assert sorted(learner.unlabeled) == sorted(before)
    assert set(learner.unlabeled[8:10]) != set(before[8:10])
    chosen = learner.unlabeled.copy()
    queries.mix_in(learner, 10, 0, np.random.default_rng(0))
    assert learner.unlabeled.tolist() == chosen.tolist()
    with pytest.raises(ValueError, match="random_share is 2; give a number from 0 to 1"):
        Recipe(random_share=2)


def test_a_batch_all_of_random_images_is_no_margin_at_all():
    images = draw(5, 300, 10)
    mixed = replicate(images, Recipe("margin", 0.1, random_share=1.0), 60)
    asked = replicate(images, Recipe("margin", 0.1), 60)
    overlap = len(set(mixed.learner.labeled[10:]) & set(asked.learner.labeled[10:]))
    assert overlap < 25


def test_the_oracle_takes_no_worse_a_batch_than_the_queries_would():
    images = datasets.draw_of("digits8x8", 1)

    def learner():
        fresh = ActiveLearner(images.data, model=Converged)
        fresh.label_manually(30)
        fresh.fit(verbose=False)
        return fresh

    def right(asked):
        asked.label_manually(10)
        asked.fit(verbose=False)
        pool = asked.predict_proba(np.arange(asked.data.n_pool)).argmax(axis=1)
        return np.mean(pool == asked.data.y_pool)

    oracle = learner()
    assert queries.ALL_QUERIES[queries.ORACLE](oracle, 10, np.random.default_rng(0)) == 10
    best = right(oracle)
    for measure in (margin, least_confident, entropy):
        other = learner()
        other.lowest_first(measure)
        assert best >= right(other)


@pytest.fixture(scope="module")
def committed():
    return Results(table.read(experiments=carry_over.EXPERIMENTS))


def test_each_c_is_the_one_that_the_tuning_draws_prefer(committed):
    tuning = committed.select(experiment="carry-over tuning")

    def best(candidates, **columns):
        def mean(C):
            return np.mean([tuning.last(query=q, C=C, **columns) for q in ("random", "margin")])

        return max(candidates, key=mean)

    for name in datasets.SIZES:
        assert best(carry_over.CS, dataset=name) == carry_over.BEST_C[name]
    for share in carry_over.RARE_SHARES:
        rare = best(carry_over.RARE_CS, setting=share, measure="balanced accuracy")
        assert rare == carry_over.BEST_RARE_C[share]


def test_tensorflow_s_model_learns_rows_of_features_as_numpy_s_does():
    pytest.importorskip("tensorflow")
    from alhelpers.model import SoftmaxRegression as TensorFlows

    for name in datasets.SIZES:
        data = datasets.draw_of(name, 0).data
        accuracies = []
        for model in (TensorFlows, SoftmaxRegression):
            learner = ActiveLearner(data, model=model)
            for _ in range(5):
                learner.label_manually(20)
                learner.fit(verbose=False)
                learner.lowest_first(margin)
            accuracies.append(learner.history.column("accuracy"))
        # A query makes much of the last bit; with these four no fit differed where it was measured.
        assert np.abs(accuracies[0] - accuracies[1]).max() < 0.1, name


def test_of_images_with_the_same_margin_those_that_come_first_in_the_pool_are_the_hard_ones(monkeypatch):
    # Many, of few distinct values: an unstable sort changes their order.
    thirds, found = np.arange(4000) % 3, []

    def stop(_, chance):
        found.append(chance)
        raise InterruptedError

    monkeypatch.setattr(carry_over, "Converged", MagicMock())
    monkeypatch.setattr(carry_over, "margin", lambda proba: thirds)
    monkeypatch.setattr(carry_over, "with_slips", stop)
    with pytest.raises(InterruptedError):
        carry_over.hard_slips(1)
    hard = round(2 * carry_over.HARD_SLIPS[0] * 4000)
    assert np.flatnonzero(found[0]).tolist() == sorted(np.argsort(thirds, kind="stable")[:hard])
    assert set(found[0]) == {0, 0.5}
