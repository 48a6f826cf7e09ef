"""The article's figures, the books the learner keeps, and what it refuses."""

import re
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alhelpers import ActiveLearner, Dataset, Fit, History, Table, load_mnist
from alhelpers.evidence import Converged
from alhelpers.model_numpy import SoftmaxRegression
from alhelpers.queries import margin


@pytest.fixture(scope="module")
def learner():
    return ActiveLearner(load_mnist())


@pytest.fixture
def small(easy_images):
    """A learner on 60 images of three easy classes."""
    x, y = easy_images(60)
    return ActiveLearner(Dataset(x[:40], y[:40], x[40:], y[40:]))


def teach(learner, n):
    learner.label_manually(n)
    learner.fit(verbose=False)


def test_curves_never_fall_and_every_fit_waits_for_its_patience(learner):
    learner.reset()
    for _ in range(6):
        teach(learner, 10)
        learner.least_confident_first()
    assert (np.diff(learner.history.column("accuracy")) >= 0).all()
    assert (learner.history.column("steps") >= 10).all()


def test_reset_makes_a_run_repeatable(learner):
    accuracies = []
    for _ in range(2):
        learner.reset()
        teach(learner, 50)
        learner.most_confident_first()
        learner.auto_label(20)
        learner.fit(verbose=False)
        accuracies.append((tuple(learner.history), learner.labeled.tolist(), learner.model.weights.tobytes()))
    assert accuracies[0] == accuracies[1]


def test_fit_prints_the_article_s_line(learner, capsys):
    learner.reset()
    learner.label_manually(10)
    learner.fit()
    learner.label_manually(30)
    learner.fit()
    first, second = (np.float32(row.accuracy) for row in learner.history)
    assert first < second
    lines = capsys.readouterr().out
    assert lines == f"Labels: 10 \tAccuracy: {first!s}\nLabels: 40 \tAccuracy: {second!s}\n"


def test_least_confident_first_sorts_by_the_largest_probability_lowest_first(small):
    teach(small, 6)
    before = small.unlabeled.copy()
    expected = small.predict_proba(before).max(axis=1)
    confidence = small.least_confident_first()
    assert np.array_equal(small.unlabeled, before[np.argsort(expected, kind="stable")])
    assert (np.diff(confidence) >= 0).all()
    assert confidence[0] < confidence[-1]
    middle = small.unlabeled.copy()
    expected = small.predict_proba(middle).max(axis=1)
    reverse = small.most_confident_first()
    assert np.array_equal(small.unlabeled, middle[np.argsort(-expected, kind="stable")])
    assert np.array_equal(reverse, -np.sort(-expected))


def test_equally_confident_images_keep_their_order(small):
    small.least_confident_first()  # nothing learned: all probabilities are equal
    assert np.array_equal(small.unlabeled, np.arange(40))
    small.most_confident_first()
    assert np.array_equal(small.unlabeled, np.arange(40))


def test_images_that_measure_the_same_keep_their_order_among_others(small):
    # Many, of few distinct values: few, or all alike, an unstable sort leaves in their order, too.
    thirds = small.unlabeled % 3
    assert small.lowest_first(lambda proba: thirds.astype(np.float32)).tolist() == sorted(thirds)
    assert small.unlabeled.tolist() == [*range(0, 40, 3), *range(1, 40, 3), *range(2, 40, 3)]


def test_every_label_says_who_gave_it_and_in_which_round(small):
    teach(small, 3)
    small.label_manually(2)
    small.auto_label(4)
    assert small.label_source.tolist() == ["person"] * 5 + ["model"] * 4
    assert small.label_round.tolist() == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    people = small.label_source == "person"
    assert np.array_equal(small.labels[people], small.data.y_pool[small.labeled[people]])
    guesses = small.predict_proba(small.labeled[~people]).argmax(axis=1)
    assert np.array_equal(small.labels[~people], guesses)


def test_a_copy_goes_its_own_way():
    small = ActiveLearner(load_mnist(300, 100))
    teach(small, 6)
    twin = small.copy()
    assert list(twin.history) == list(small.history)
    before, labeled = small.model.weights, small.labeled
    twin.auto_label(10)
    twin.fit(verbose=False)
    assert np.array_equal(small.model.weights, before), "the original was trained too"
    assert np.array_equal(small.labeled, labeled)
    assert len(small.history) == len(twin.history) - 1
    # From the same state, the same continuation: weights and Adam's state were both taken over.
    small.auto_label(10)
    small.fit(verbose=False)
    assert np.array_equal(small.model.weights, twin.model.weights)
    assert not np.array_equal(small.model.weights, before), "nothing was trained, so nothing was tested"


class Counting:
    """A model that trains in place, as most do."""

    def __init__(self, n_features, n_classes):
        self.W = np.zeros((n_features, n_classes), np.float32)

    def reset(self):
        self.W[:] = 0

    def fit(self, x, y, x_test, y_test):
        self.W += 1

    def predict_proba(self, x):
        return np.full((len(x), self.W.shape[1]), 1 / self.W.shape[1], np.float32)


def test_a_copy_shares_no_array_that_a_model_trains_in_place(small):
    learner = ActiveLearner(small.data, model=Counting)
    teach(learner, 3)
    twin = learner.copy()
    twin.fit(verbose=False)
    assert (learner.model.W == 1).all(), "the original was trained too"
    assert learner.history[-1].steps == 1, "of a model that does not count its steps"
    twin.reset()
    assert (learner.model.W == 1).all(), "the original was reset too"


@pytest.mark.parametrize("n", [0, -1, 41, 2.0, True, "3", None])
def test_impossible_numbers_of_labels_are_refused(small, n):
    for label in (small.label_manually, small.auto_label):
        with pytest.raises(
            ValueError, match=f"n, of 40 unlabelled images, is {n!r}; give a whole number from 1 to 40"
        ):
            label(n)
    assert len(small.labeled) == 0


def test_fitting_nothing_is_refused(small):
    with pytest.raises(ValueError, match="no labels to fit on"):
        small.fit()
    assert len(small.history) == 0


class Asks:
    """An oracle that answers for one learner."""

    def __init__(self, learner=None):
        self.learner = learner

    def __call__(self, queried):
        return self.learner.data.y_pool[queried]

    def for_learner(self, learner):
        return Asks(learner)


def test_a_copy_has_an_oracle_of_its_own_where_there_is_one_for_each_learner(small):
    small.oracle = Asks(small)
    twin = small.copy()
    assert (small.oracle.learner, twin.oracle.learner) == (small, twin)
    small.oracle = small.data.look_up
    assert small.copy().oracle == small.oracle


def test_whoever_is_the_oracle_is_asked_once_about_each_image_in_turn(small):
    asked = []

    def person(queried):
        assert queried.dtype == np.int32
        asked.extend(queried.tolist())
        return [1] * len(queried)

    small.oracle = person
    small.label_manually(3)
    small.label_manually(2)
    assert asked == [0, 1, 2, 3, 4]
    assert small.labels.tolist() == [1] * 5
    assert small.label_source.tolist() == ["person"] * 5


def test_what_the_oracle_cannot_tell_gets_no_label_and_is_not_asked_again(small):
    small.oracle = lambda queried: np.where(queried % 4 == 1, -1, 2)
    small.label_manually(10)
    assert small.labeled.tolist() == [0, 2, 3, 4, 6, 7, 8]
    assert small.abstained.tolist() == [1, 5, 9]
    small.fit(verbose=False)
    small.auto_label(len(small.unlabeled))
    assert not np.isin([1, 5, 9], small.labeled).any()
    small.reset()
    assert len(small.abstained) == 0


@pytest.mark.parametrize(
    "answers",
    [[0, 1], [0, 1, 2, 0], [0, 1, 3], [0, 1, 4], [0, -2, 1], [0.0, 1.0, 2.0], ["0", "1", "2"], 1, None],
    ids=str,
)
def test_answers_that_are_no_labels_are_refused_and_nothing_is_labelled(small, answers):
    small.oracle = lambda _: answers
    said = re.escape(str(np.asarray(answers)))
    with pytest.raises(
        ValueError, match=f"the oracle answered {said} when .* give 3 whole numbers from 0 to 2, or -1"
    ):
        small.label_manually(3)
    assert (len(small.labeled), len(small.abstained), len(small.unlabeled)) == (0, 0, 40)


def test_a_pool_without_labels_needs_an_oracle(small):
    data = Dataset(small.data.x_pool, None, small.data.x_test, small.data.y_test)
    learner = ActiveLearner(data)
    with pytest.raises(ValueError, match=r"the pool has no labels .* give the learner an oracle"):
        learner.label_manually(3)
    learner.oracle = lambda queried: queried % 3
    learner.label_manually(3)
    assert learner.labels.tolist() == [0, 1, 2]


def test_images_that_are_put_back_can_be_asked_about_again(small):
    small.label_manually(40)
    small.unlabeled = np.arange(5, dtype=np.int32)
    teach(small, 5)
    assert small.labeled.tolist() == [*range(40), *range(5)]
    assert small.history[-1].n_labels == 45


def test_another_model_and_another_query_take_part_in_the_same_loop(small):
    learner = ActiveLearner(small.data, model=partial(Converged, C=0.1))
    for _ in range(3):
        teach(learner, 6)
        values = learner.lowest_first(margin)
    assert np.array_equal(values, np.sort(margin(learner.predict_proba(learner.unlabeled))))
    alone = Converged(16, C=0.1, n_classes=3)
    alone.fit(learner.data.x_pool[learner.labeled].reshape(-1, 16) / np.float32(255), learner.labels)
    assert np.allclose(learner.weight_images().reshape(3, -1).T, alone.weights, atol=1e-3)
    assert learner.history[-1].accuracy == learner.score(learner.data.x_test, learner.data.y_test)
    twin = learner.copy()
    teach(twin, 10)
    assert not np.array_equal(twin.model.weights, learner.model.weights)
    learner.reset()
    assert (learner.predict_proba_test() == learner.predict_proba_test()[0, 0]).all(), "it remembers"


def test_a_model_gets_images_row_by_row_without_another_copy(small):
    class Looks(Counting):
        def fit(self, x, y, x_test, y_test):
            assert x.flags.c_contiguous, "products with pixel by pixel take a sixth longer"
            assert x_test.flags.c_contiguous
            given.append(x)

    given = []
    learner = ActiveLearner(small.data, model=Looks)
    for _ in range(2):
        teach(learner, 3)
    assert np.shares_memory(*given)


class Cooler(SoftmaxRegression):
    """The article's model at another temperature, so that weights and bias do not tell all."""

    temperature = 1.0

    def predict_proba(self, x):
        proba = super().predict_proba(x) ** self.temperature
        return proba / proba.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("model", "times"), [(SoftmaxRegression, 1), (Cooler, 2), (Counting, 2)])
def test_only_the_article_s_model_is_not_asked_again_while_its_weights_are_equal(
    small, model, times, monkeypatch
):
    asked, predict_proba = [], model.predict_proba
    monkeypatch.setattr(
        model, "predict_proba", lambda self, x: asked.append(len(x)) or predict_proba(self, x)
    )
    learner = ActiveLearner(small.data, model=model)
    for _ in range(2):
        learner.predict_proba(learner.unlabeled)
    assert asked.count(40) == times


@pytest.mark.parametrize("part", ["weights", "bias"])
def test_whoever_changes_weights_or_bias_gets_other_answers(small, part):
    learner = ActiveLearner(small.data, model=SoftmaxRegression)
    before = learner.predict_proba(learner.unlabeled)
    twin = learner.copy()
    getattr(learner.model, part)[..., 0] = 1  # in place, as no assignment would notice
    after = learner.predict_proba(learner.unlabeled)
    assert not np.array_equal(after, before)
    assert np.allclose(learner.predict_proba(learner.unlabeled[:2]), after[:2])
    assert np.array_equal(twin.predict_proba(twin.unlabeled), before)


class NearestMean:
    """A classifier of scikit-learn's shape in ten lines."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        self.means = np.array([x[y == k].mean(axis=0) for k in self.classes_])
        return self

    def predict_proba(self, x):
        near = np.exp(-((x[:, None] - self.means) ** 2).sum(axis=2))
        return near / near.sum(axis=1, keepdims=True)


def test_a_classifier_of_scikit_learn_s_shape_takes_part_in_the_same_loop(small):
    learner = ActiveLearner(small.data, model=NearestMean())
    teach(learner, 1)
    known = learner.labels[0]
    assert (learner.predict_proba(learner.unlabeled)[:, known] == 1).all(), "the only class there is"
    for _ in range(4):
        teach(learner, 6)
        learner.least_confident_first()
    alone = NearestMean().fit(learner.data.x_pool[learner.labeled].reshape(-1, 16) / 255, learner.labels)
    expected = alone.predict_proba(learner.data.x_test.reshape(-1, 16) / 255)
    assert np.allclose(learner.predict_proba_test(), expected, atol=1e-5)
    assert learner.history[-1] == ("", 25, learner.score(learner.data.x_test, learner.data.y_test), 1)
    learner.auto_label(5)
    twin = learner.copy()
    learner.reset()
    assert np.ptp(learner.predict_proba_test()) == 0, "it remembers"
    assert np.ptp(twin.predict_proba_test()) > 0


def test_settings_that_another_model_would_not_use_are_refused(small):
    for wanted in ({"learning_rate": 0.01}, {"patience": 10}, {"learning_rate": 0.1, "patience": 3}):
        said = " and ".join(f"{name} {value}" for name, value in wanted.items())
        with pytest.raises(ValueError, match=f"{said}: the model given would not use it"):
            ActiveLearner(small.data, model=NearestMean(), **wanted)


class Undecided:
    """A classifier that does not say how probable its answers are."""

    def fit(self, x, y):
        return self


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            Counting(16, 3),
            "model is an instance of Counting; give what makes one from n_features and n_classes",
        ),
        (
            NearestMean,
            r"model is the class NearestMean; give an instance of it, as NearestMean\(\)",
        ),
        (Undecided(), "model, of class Undecided, lacks fit or predict_proba; give a classifier with both"),
        (0.1, "model, of class float, lacks fit or predict_proba; give a classifier with both"),
    ],
    ids=["model", "class", "no probabilities", "number"],
)
def test_what_is_no_model_is_refused_with_what_to_give(small, model, sentence):
    with pytest.raises(ValueError, match=sentence):
        ActiveLearner(small.data, model=model)


@pytest.mark.parametrize(
    "measure",
    [
        lambda proba: proba.max(axis=1)[:-5],
        lambda proba: proba,
        lambda proba: proba.max(),
        lambda proba: np.full(len(proba), np.nan),
    ],
    ids=["too few", "one for each class", "one for all", "NaN"],
)
def test_a_measure_that_is_not_one_number_an_image_is_refused_and_nothing_is_sorted(small, measure):
    with pytest.raises(ValueError, match=r"the measure gave .*; it has to give one number, .* 40 unlabelled"):
        small.lowest_first(measure)
    assert np.array_equal(small.unlabeled, np.arange(40))


@pytest.mark.parametrize(
    ("positions", "sentence"),
    [
        (np.arange(40) < 3, r"positions are bool \(40,\); give integers, each once"),
        (np.zeros((40, 3), int), r"positions are int64 \(40, 3\); give integers, each once"),
        (np.arange(4).reshape(2, 2), r"positions are int64 \(2, 2\); give integers, each once"),
        (np.array(3), r"positions are int64 \(\); give integers, each once"),
        (np.array([0.1, 0.2]), r"positions are float64 \(2,\); give integers, each once"),
    ],
    ids=["mask", "table", "square", "number", "floats"],
)
def test_what_is_no_positions_is_refused(small, positions, sentence):
    with pytest.raises(ValueError, match=sentence):
        small.ask_first(positions)
    assert np.array_equal(small.unlabeled, np.arange(40))


def test_any_images_like_the_pool_s_can_be_asked_about_and_others_are_refused(small):
    teach(small, 30)
    assert np.array_equal(small.predict_proba_of(small.data.x_test), small.predict_proba_test())
    answers = small.answers(small.data.x_test)
    for wrong in (answers - 1, answers + 1):
        assert small.score(small.data.x_test, wrong) == 0
    none = small.predict_proba_of(small.data.x_test[:0])
    assert (none.shape, none.dtype) == ((0, 3), np.float32)
    assert small.answers(small.data.x_test[:0]).tolist() == []
    with pytest.raises(ValueError, match=r"x holds \(2, 8\) images and the pool \(4, 4\) ones"):
        small.score(small.data.x_test.reshape(-1, 2, 8), small.data.y_test)
    with pytest.raises(ValueError, match=r"^x has dtype int64; expected uint8"):
        small.score(small.data.x_test.astype(int), small.data.y_test)
    rows = [x.reshape(-1, 16) / 255 for x in (small.data.x_pool, small.data.x_test)]
    features = ActiveLearner(Dataset(rows[0], small.data.y_pool, rows[1], small.data.y_test))
    teach(features, 30)
    assert features.score(rows[1], small.data.y_test) == features.history[-1].accuracy


def test_images_in_colour_are_learned_from_too(small):
    grey = small.data
    colour = [np.repeat(x[..., None], 3, axis=3) for x in (grey.x_pool, grey.x_test)]
    learner = ActiveLearner(Dataset(colour[0], grey.y_pool, colour[1], grey.y_test))
    teach(learner, 30)
    assert learner.history[-1].accuracy > 0.9
    assert learner.weight_images().shape == (3, 4, 4, 3)


actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["label_manually", "auto_label"]), st.integers(1, 15)),
        st.tuples(st.sampled_from(["least_confident_first", "most_confident_first", "fit", "reset"])),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions)
def test_whatever_is_done_the_books_balance(small, sequence):
    small.reset()
    small.oracle = lambda queried: np.where(queried % 7 == 6, -1, small.data.y_pool[queried])
    for name, *n in sequence:
        if n and n[0] > len(small.unlabeled):
            continue
        if name == "fit":
            if len(small.labeled):
                small.fit(verbose=False)
        else:
            getattr(small, name)(*n)
        together = np.concatenate([small.labeled, small.unlabeled, small.abstained])
        assert np.array_equal(np.sort(together), np.arange(40)), "every image is in one place, once"
        assert len(small.labeled) == len(small.labels) == len(small.label_source) == len(small.label_round)
        assert (np.diff(small.label_round) >= 0).all()


def test_weight_images_leave_dark_pixels_at_zero(small):
    x = small.data.x_pool.copy()
    x[:, 0, 0] = 0
    learner = ActiveLearner(Dataset(x, small.data.y_pool, small.data.x_test, small.data.y_test))
    teach(learner, 40)
    images = learner.weight_images()
    assert images.shape == (3, 4, 4)
    assert (images[:, 0, 0] == 0).all()
    assert np.count_nonzero(images) > 30
    assert learner.score(learner.data.x_test, learner.data.y_test) == learner.history[-1].accuracy


def test_history_is_a_tidy_table(small):
    small.label_manually(3)
    small.fit("one", verbose=False)
    small.fit("two", verbose=False)
    history = small.history
    assert history.columns == ("stage", "n_labels", "accuracy", "steps")
    assert list(history.column("n_labels")) == [3, 3]
    assert [row.stage for row in history.stage("two")] == ["two"]
    shown = history._repr_mimebundle_()
    assert shown[History.MIME] == [row._asdict() for row in history]
    assert shown["text/plain"].splitlines()[1].split()[:2] == ["one", "3"]
    assert shown["text/html"].count("<tr>") == 3


def test_a_long_history_shows_its_two_ends_and_says_what_it_leaves_out():
    history = History([Fit("active", n, 0.5, 1) for n in range(20)])
    lines = repr(history).splitlines()
    numbers = [int(line.split()[1]) for line in lines[1:5] + lines[6:]]
    assert numbers == [0, 1, 2, 3, 16, 17, 18, 19]
    assert lines[5] == "… 12 more"
    assert "… 1 more" in repr(History(history[:9]))
    assert "more" not in repr(History(history[:8]))


def test_a_table_shows_names_as_text_and_not_as_markup():
    html = Table(["class", "n"], [["<script>", 3]])._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_an_image_asked_about_twice_is_refused(small):
    small.ask_first(np.array([5, 2]))
    assert small.unlabeled[:4].tolist() == [5, 2, 0, 1]
    for positions in ([1, 2, 1], [39, -1]):
        with pytest.raises(ValueError, match=r"positions are .*; give integers, each once"):
            small.ask_first(np.array(positions))
