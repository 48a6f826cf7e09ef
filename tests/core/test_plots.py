"""Figures draw the arrays they are given, carry them along, and say in words what they show."""

import io

import matplotlib.image
import numpy as np
import pytest
from figures import unpacked

from alhelpers import plots

rng = np.random.default_rng(0)
DIGITS = rng.integers(0, 255, (12, 28, 28), dtype=np.uint8)
WEIGHTS = rng.normal(size=(10, 28, 28))


def every_figure():
    n, accuracy = np.arange(10, 60, 10), np.array([0.3, 0.5, 0.6, 0.6, 0.7])
    return {
        "digit": plots.digit(DIGITS[0], 7),
        "sheet": plots.sheet(DIGITS, [str(i) for i in range(12)], "Twelve images"),
        "class_balance": plots.class_balance(np.array([[3, 1], [2, 2]]), ["pool", "test set"]),
        "training_curve": plots.training_curve(np.array([0.1, 0.5, 0.7, 0.6, 0.7]), 2),
        "confusion": plots.confusion(np.array([[5, 1], [0, 4]])),
        "weights": plots.weights(WEIGHTS),
        "strip": plots.strip(DIGITS[:3], ["a", "b", "c"]),
        "confidence": plots.confidence(np.linspace(0.2, 1, 50)),
        "learning_curve": plots.learning_curve({"x": (n, accuracy)}, {"all": 0.9}),
        "pseudo_labels": plots.pseudo_labels(np.arange(1, 6), np.arange(5), n, accuracy),
        "bands": plots.bands({"x": (n, accuracy, accuracy - 0.1, accuracy + 0.1)}, {"all": 0.9}),
    }


# That a figure has words and numbers, and which, is looked at where the notebooks show it.
def test_axes_say_what_they_show():
    for name, figure in every_figure().items():
        labels = [axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes]
        assert any(labels) or name == "sheet", f"no axis of {name} says what it shows"


@pytest.mark.parametrize("colours", [(), (3,)])
def test_bright_images_look_the_same_as_floats_and_as_grey_levels(colours):
    x = rng.integers(0, 255, (3, 8, 8, *colours), dtype=np.uint8)
    levels, floats = (plots.sheet(images, ["", "", ""], "Three", ink=False) for images in (x, x / 255))
    one, other = (matplotlib.image.imread(io.BytesIO(figure.png())) for figure in (levels, floats))
    assert np.abs(one - other).max() < 0.01
    assert one.std() > 0.1, "there is something to see"


def test_curves_and_levels_are_drawn_as_given():
    n, accuracy = np.array([10, 20, 30]), np.array([0.38, 0.5, 0.6])
    curve, level = plots.learning_curve({"x": (n, accuracy)}, {"all": 0.9}).numbers()[0]["lines"]
    assert curve == [[10, 20, 30], [0.38, 0.5, 0.6]]
    assert level[1] == [0.9, 0.9]
    confidence = np.sort(rng.random(40))
    drawn = plots.confidence(confidence).numbers()[0]["lines"][0]
    assert np.allclose(drawn[1], confidence, rtol=1e-4)


def test_bands_are_drawn_as_given():
    n, mean = np.array([10, 20]), np.array([0.4, 0.5])
    lines = plots.bands({"x": (n, mean, mean - 0.1, mean + 0.2)}, {"all": 0.9}).numbers()[0]["lines"]
    assert [y for _, y in lines] == [[0.4, 0.5], [0.3, 0.4], [0.6, 0.7], [0.9, 0.9]]


def test_bands_on_a_logarithmic_axis_have_a_tick_at_every_point_of_every_curve():
    short, long = (tuple(np.array(x, float) for _ in range(4)) for x in ([1, 10], [1, 10, 100]))
    axes = plots.bands({"long": long, "short": short}, log=True).axes[0]
    assert axes.get_xticks().tolist() == [1, 10, 100]


def test_a_query_has_one_colour_wherever_it_stands():
    curve = np.array([10, 20]), *[np.array([0.4, 0.5])] * 3
    for names in (["margin", "random"], ["random", "margin"]):
        axes = plots.bands(dict.fromkeys(names, curve)).axes[0]
        colours = {line.get_label(): line.get_color() for line in axes.lines}
        assert (colours["margin"], colours["random"]) == (plots.ORANGE, "black")


def test_the_best_step_of_a_training_curve_is_the_first_best():
    lines = plots.training_curve(np.array([0.1, 0.7, 0.6, 0.7]), 2).numbers()[0]["lines"]
    assert lines[1] == [[1], [0.7]]


def test_bars_are_shares():
    assert plots.class_balance(np.array([[3, 1]]), ["pool"]).numbers()[0]["bars"] == [[0.75, 0.25]]


def test_images_survive_packing():
    image = DIGITS[0].copy()
    image.flat[:2] = 0, 255
    assert np.array_equal(unpacked(plots.pack_image(image)), image.ravel())
    strip = plots.strip(DIGITS[:3], ["a", "b", "c"]).numbers()[0]["images"][0]
    assert len(unpacked(strip)) == 3 * 28 * 28


def test_the_png_is_a_png_and_names_no_version(tmp_path):
    png = every_figure()["confidence"].png()
    assert b"matplotlib" not in png.lower()
    (tmp_path / "x.png").write_bytes(png)
    assert matplotlib.image.imread(tmp_path / "x.png").shape == (360, 720, 4)


def test_more_than_a_figure_can_tell_apart_is_refused():
    x = np.arange(3)
    band = x, x, x, x
    names = "abcdefghijk"
    for draw in (
        lambda: plots.class_balance(np.ones((3, 10), int), names[:3]),
        lambda: plots.learning_curve(dict.fromkeys(names[:4], (x, x))),
        lambda: plots.learning_curve({"a": (x, x)}, dict.fromkeys(names[:3], 0.5)),
        lambda: plots.bands(dict.fromkeys(names, band)),
        lambda: plots.bands({"a": band}, dict.fromkeys(names[:3], 0.5)),
    ):
        with pytest.raises(ValueError, match=r"\d+ are to be drawn in one figure that tells \d+ apart"):
            draw()


def test_a_reader_s_own_settings_of_matplotlib_change_nothing():
    import matplotlib

    def draw():
        return plots.bands({"margin": ([10, 20], [0.5, 0.6], [0.4, 0.5], [0.6, 0.7])}).png()

    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 30}):
        own = draw()
        assert matplotlib.rcParams["font.size"] == 20
    assert own == draw()
