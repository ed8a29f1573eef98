import ast
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet_keras import AlexNet
from alexnet_keras.analysis.snapshots import Snapshot
from alexnet_keras.plots import (
    animate_kernels,
    plot_by_setting,
    plot_comparisons,
    plot_curves,
    plot_feature_maps,
    plot_images,
    plot_kernel_measures,
    plot_kernel_strip,
    plot_kernels,
    plot_learning_rates,
    plot_tower_gaps,
    plot_training_errors,
    save_animation,
    save_figure,
)

ROOT = Path(__file__).parents[2]


def tiles(figure):
    """The pictures in a figure, as arrays."""
    return [np.asarray(image.get_array()) for axis in figure.axes for image in axis.get_images()]


@pytest.mark.parametrize(
    ("preset", "per_tower", "towers"), [("paper", 48, 2), ("one_tower", 48, 1), ("cifar", 16, 2)]
)
def test_kernels_stand_in_towers_on_one_scale(preset, per_tower, towers):
    model = AlexNet(preset, classes=3, units=(4, 4))
    kernels = np.asarray(model.get_layer("conv1").kernel)
    sheets = tiles(plot_kernels(model))
    assert len(sheets) == towers
    side = kernels.shape[0]
    scale = np.abs(kernels).max()
    for index in (0, 1, 17, per_tower - 1):
        if index >= per_tower:
            continue
        for tower, sheet in enumerate(sheets):
            top, left = index // 16 * (side + 1), index % 16 * (side + 1)
            expected = 0.5 + 0.5 * kernels[..., tower * per_tower + index] / scale
            np.testing.assert_allclose(
                sheet[top : top + side, left : left + side], expected, atol=1e-6
            )


def test_kernels_of_more_than_three_maps_are_slices():
    model = AlexNet("cifar", classes=3)
    kernels = np.asarray(model.get_layer("conv2").kernel)
    scale = np.abs(np.stack([kernels[..., :16, :8], kernels[..., :16, 32:40]])).max()
    sheets = tiles(plot_kernels(model, layer="conv2"))
    for tower, row, column in ((0, 0, 0), (0, 7, 15), (1, 3, 2)):
        expected = 0.5 + 0.5 * kernels[:, :, column, 32 * tower + row] / scale
        shown = sheets[tower][6 * row : 6 * row + 5, 6 * column : 6 * column + 5]
        np.testing.assert_allclose(shown, np.repeat(expected[..., None], 3, -1), atol=1e-6)
    assert sheets[0].shape[:2] == (6 * 8 - 1, 6 * 16 - 1)


def test_feature_maps_are_those_of_the_layer(random):
    model = AlexNet("cifar", classes=3)
    image = random.normal(0, 50, (32, 32, 3)).astype("float32")
    conv1 = model.get_layer("conv1")
    maps = np.asarray(conv1(image[None] / 64))[0]
    shown, *sheets = tiles(plot_feature_maps(model, image, original=image + 100))
    np.testing.assert_array_equal(shown, np.clip(image + 100, 0, 255).astype("uint8"))
    assert maps.min() < 0
    for tower in (0, 1):
        expected = (maps[..., 16 * tower + 3] - maps.min()) / (maps.max() - maps.min())
        np.testing.assert_allclose(sheets[tower][:32, 3 * 33 : 3 * 33 + 32, 0], expected, atol=1e-5)
    (colors,) = tiles(plot_feature_maps(model, image, "scale", columns=3))  # before the towers
    assert colors.shape[:2] == (32, 3 * 33 - 1)


def snapshots(epochs):
    """Kernels of two towers that grow with the epoch; number 5 of each is the strongest."""
    kernels = np.full((2, 20, 3, 3, 3), 0.01, "float32")
    kernels[:, 5] = 0.02
    kernels[1] *= -1
    return [Snapshot(epoch, "conv1", kernels * (epoch + 1)) for epoch in range(epochs)]


def test_strip_has_a_column_an_epoch_on_one_scale():
    figure = plot_kernel_strip(snapshots(21), kernels=2, columns=3)
    first, second = tiles(figure)
    assert first.shape == (2 * 4 - 1, 3 * 4 - 1, 3)
    # The strongest first, after 0, 10 and 20 epochs; at the end it has the full range.
    np.testing.assert_allclose(first[0, ::4, 0], 0.5 + 0.5 * np.array([1, 11, 21]) / 21, rtol=1e-5)
    np.testing.assert_allclose(
        second[4, ::4, 0], 0.5 - 0.25 * np.array([1, 11, 21]) / 21, rtol=1e-5
    )
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "10", "20"]


def test_animation_has_a_picture_an_epoch(tmp_path):
    save_animation(animate_kernels(snapshots(3)), tmp_path / "kernels.gif")
    with Image.open(tmp_path / "kernels.gif") as gif:
        assert gif.n_frames == 3
        pictures = []
        for i in range(3):
            gif.seek(i)
            pictures.append(np.asarray(gif.convert("L"), int))
    # The positive kernels of tower 1, in the upper half, get brighter.
    half = pictures[0].shape[0] // 2
    dark = [
        np.sum((picture[half // 2 : half] > 100) & (picture[half // 2 : half] < 170))
        for picture in pictures
    ]
    assert dark[0] > dark[2]
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.gif"]


def test_kernel_measures_are_counted_in_towers():
    one = {
        "colorfulness": np.array([[0.1, 0.1, 0.3], [0.9, 0.9, 0.9]]),
        "spatial_frequency": np.zeros((2, 3)),
        "orientation": np.full((2, 3), 100.0),
        "selectivity": np.full((2, 3), 0.5),
    }
    figure = plot_kernel_measures({"a": one, "b": one}, {"colorfulness": [0.01, 0.2]})
    assert [axis.get_title() for axis in figure.axes] == ["p = 0.01", "", "", "p = 0.2", "", ""]
    bars = [patch.get_height() for patch in figure.axes[0].containers[0]]
    assert bars[1] == 2  # 0.1 lies in the second of twelve bins
    assert bars[3] == 1
    assert sum(bars) == 3
    means = [line.get_xdata()[0] for line in figure.axes[0].lines]
    np.testing.assert_allclose(means, [0.5 / 3, 0.9])


def test_curves_show_the_history(tmp_path):
    rates = [0.01, 0.01, 0.001]
    history = [
        {
            "loss": 3 - i,
            "val_loss": 3.5 - i,
            "top1_error": 50 - i,
            "val_top1_error": 60 - i,
            "learning_rate": rate,
        }
        for i, rate in enumerate(rates)
    ]
    figure = plot_curves(history, "title")
    loss, error = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines[:2]] == [[3, 2, 1], [3.5, 2.5, 1.5]]
    assert [list(line.get_ydata()) for line in error.lines[:2]] == [[50, 49, 48], [60, 59, 58]]
    assert error.get_ylabel() == "top-1 error (%)"
    save_figure(figure, tmp_path / "curves.png")
    assert Image.open(io.BytesIO((tmp_path / "curves.png").read_bytes())).size[0] > 600


def test_images_keep_their_order():
    images = np.arange(3)[:, None, None, None] * np.full((3, 4, 4, 3), 100)
    assert [tile.max() for tile in tiles(plot_images(images, ["a", "b", "c"]))] == [0, 100, 200]


def test_bad_arguments():
    import keras

    with pytest.raises(
        ValueError, match="`model` must have a layer conv1. Received: a model with dense"
    ):
        plot_kernels(
            keras.Sequential([keras.Input((3,), name="input"), keras.layers.Dense(2, name="dense")])
        )
    model = AlexNet("cifar", classes=3)
    convolutions = "conv1, conv2, conv3, conv4, conv5"
    with pytest.raises(
        ValueError, match=f"one of the convolutions {convolutions}. Received: layer='fc6'"
    ):
        plot_kernels(model, layer="fc6")
    with pytest.raises(
        ValueError, match="`layer` must have output maps. Received: layer='fc6' of output"
    ):
        plot_feature_maps(model, np.zeros((32, 32, 3)), "fc6")
    with pytest.raises(
        ValueError, match=r"`image` must be of shape \(32, 32, 3\). Received: shape \(28, 28, 3\)"
    ):
        plot_feature_maps(model, np.zeros((28, 28, 3)))


@pytest.mark.parametrize(
    ("plot", "argument", "empty"),
    [
        (plot_curves, "history", []),
        (plot_images, "images", np.zeros((0, 4, 4, 3))),
        (plot_comparisons, "comparisons", []),
        (plot_tower_gaps, "variants", {}),
    ],
)
def test_nothing_to_draw(plot, argument, empty):
    message = f"`{argument}` must have at least one entry. Received: none"
    with pytest.raises(ValueError, match=message):
        plot(empty)


def test_training_errors_mark_the_crossings():
    relu = {"curves": [[60, 30, 20], [60, 31, 21]], "mean": 2.5, "interval": (2.0, 3.0)}
    tanh = {"curves": [[80, 70, 60]], "mean": None, "interval": None}
    groups = {"group": {"ReLU": relu, "tanh": tanh}}
    paper = {"group": ("paper", 5.0)}
    figure = plot_training_errors(groups, 25.0, paper, {"group": "tanh / ReLU: 3.00"})
    (axis,) = figure.axes
    assert axis.get_title() == "group\ntanh / ReLU: 3.00"
    assert plot_training_errors(groups, 25.0).axes[0].get_title() == "group"
    assert (
        axis.get_xlim()[1] > 5
    )  # all that is drawn is seen, but for a mark that is far behind the curves
    wide = {"group": {"ReLU": {**relu, "interval": (0.5, 4.5)}}}
    assert plot_training_errors(wide, 25.0).axes[0].get_xlim()[1] > 4.5
    (far,) = plot_training_errors(groups, 25.0, {"group": ("paper", 90.0)}).axes
    assert 3 < far.get_xlim()[1] < 6
    assert far.get_legend().get_texts()[-1].get_text() == "paper: 90.0 epochs, not drawn"
    one_of_two = {
        "group": {"ReLU": {"curves": [[60, 24], [60, 50]], "mean": 2.0, "interval": None}}
    }
    (label,) = plot_training_errors(one_of_two, 25.0).axes[0].get_legend().get_texts()
    assert label.get_text() == "ReLU: 2.0 epochs (n = 1 of 2)"
    assert [line.get_linestyle() for line in axis.lines if len(line.get_xdata()) == 3] == [
        "-",
        "-",
        "--",
    ]
    words = [text.get_text() for text in axis.get_legend().get_texts()]
    assert words == ["ReLU: 2.5 epochs (n = 2)", "tanh: not reached (n = 1)", "paper: 5.0 epochs"]
    mark, diamond = (line for line in axis.lines if line.get_marker() in ("o", "D"))
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (2.5, 25.0)
    assert (diamond.get_xdata()[0], diamond.get_ydata()[0]) == (5.0, 25.0)
    (bar,) = axis.collections
    assert [point.tolist() for point in bar.get_segments()[0]] == [[2.0, 25.0], [3.0, 25.0]]


def test_training_errors_of_groups_are_two_in_a_row():
    run = {"curves": [[60, 24]], "mean": 2.0, "interval": None}
    figure = plot_training_errors({name: {"ReLU": run} for name in "abc"}, 25.0)
    boxes = [axis.get_subplotspec() for axis in figure.axes]
    places = [(box.rowspan.start, box.colspan.start) for box in boxes]
    assert places == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c", ""]
    assert [axis.axison for axis in figure.axes] == [True, True, True, False]
    assert [bool(axis.get_ylabel()) for axis in figure.axes] == [True, False, True, False]
    # The lowest panel of each column has numbers.
    numbers = [axis.xaxis.get_tick_params()["labelbottom"] for axis in figure.axes[:3]]
    assert numbers == [False, True, True]


def test_learning_rates_show_errors_up_to_100_percent():
    points = [{"learning_rate": 0.1, "value": 90.0, "ended": "all epochs", "curve": [90]}]
    for label, top in (("error (%)", 100.0), ("epochs", 126.0)):
        axis, _ = plot_learning_rates({"group": {"ReLU": points}}, label).axes
        assert axis.get_ylim() == pytest.approx((0, top))


@pytest.mark.parametrize("folder", ["alexnet_keras", "benchmarks", "experiments"])
def test_every_legend_has_a_place(folder):
    """Matplotlib warns if a legend without `loc` takes a second, as on a busy machine."""
    calls = []
    for path in (ROOT / folder).rglob("*.py"):
        calls += [node for node in ast.walk(ast.parse(path.read_text())) if is_legend(node)]
    without = [ast.unparse(call) for call in calls if "loc" not in [k.arg for k in call.keywords]]
    assert not without


def is_legend(node):
    return isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "legend"


def test_a_run_that_diverged_in_its_first_epoch_has_no_line():
    runs = {"curves": [[60, 24], []], "mean": 2.0, "interval": None}
    (axis,) = plot_training_errors({"group": {"ReLU": runs}}, 25.0).axes
    (label,) = axis.get_legend().get_texts()
    assert label.get_text() == "ReLU: 2.0 epochs (n = 1 of 2)"


def test_learning_rates_show_why_runs_have_no_value():
    points = [
        {"learning_rate": 0.005, "value": None, "ended": "not reached", "curve": [90, 85, 80, 75]},
        {"learning_rate": 0.01, "value": None, "ended": "stopped early", "curve": [90, 80, 70]},
        {"learning_rate": 0.02, "value": 6.0, "ended": "not reached", "curve": [60, 50, 40, 30]},
        {"learning_rate": 0.04, "value": 7.0, "ended": "not reached", "curve": [55, 45, 42]},
        {"learning_rate": 0.08, "value": None, "ended": "diverged", "curve": []},
    ]
    axis, early = plot_learning_rates({"group": {"ReLU": points}}, "epochs").axes
    labels = [text.get_text() for text in early.get_xticklabels()]
    assert labels == ["0.005", "0.01", "0.02", "0.04", "0.08"]
    line, *marks = axis.lines
    assert line.get_xydata().tolist() == [[0.02, 6.0], [0.04, 7.0]]
    assert {mark.get_label(): list(mark.get_xdata()) for mark in marks} == {
        "ReLU: stopped early": [0.01],
        "ReLU: not reached": [0.005],
        "ReLU: diverged": [0.08],
    }
    assert len({mark.get_marker() for mark in marks}) == 3
    for mark in marks:
        assert 7.0 < mark.get_ydata()[0] < axis.get_ylim()[1]
    (errors,) = early.lines  # in the third epoch; the last rate diverged in the first
    assert errors.get_xydata().tolist() == [[0.005, 80.0], [0.01, 70.0], [0.02, 40.0], [0.04, 42.0]]


def test_values_by_setting_have_a_point_for_each_run_and_a_line_of_means():
    short = {0.01: [10.0, 30.0], 0.1: [60.0]}
    figure = plot_by_setting(
        {
            "noise (%)": {"4 epochs": short, "8 epochs": {0.1: [40.0]}},
            "error (%)": {"4 epochs": short},
        },
        "standard deviation",
        {"noise (%)": ("white noise", 80.0)},
    )
    noise, error = figure.axes
    assert (noise.get_ylabel(), error.get_ylabel()) == ("noise (%)", "error (%)")
    assert noise.get_xlabel() == "standard deviation"
    assert [text.get_text() for text in noise.get_legend().get_texts()] == ["4 epochs", "8 epochs"]
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in noise.lines]
    assert drawn == [
        ([0.01, 0.1], [20.0, 60.0]),
        ([0.01, 0.01], [10.0, 30.0]),
        ([0.1], [60.0]),
        ([0.1], [40.0]),
        ([0.1], [40.0]),
        ([0, 1], [80.0, 80.0]),
    ]
    assert [label.get_text() for label in noise.get_xticklabels()] == ["0.01", "0.1"]
    assert noise.get_ylim()[1] > 80 and error.get_ylim()[1] < 80
    assert [text.get_text() for text in error.texts] == []


def test_long_names_of_comparisons_leave_room_for_the_intervals():
    name = "a network with a long name, trained for some epochs with other settings"
    comparison = {
        **{"variant": name, "baseline": "b", "n": 3, "unit": "points", "no_effect": 0.0},
        **{"paper": None, "estimate": 1.0, "interval": (0.5, 1.5)},
    }
    (short,) = plot_comparisons([{**comparison, "variant": "a"}]).axes
    (axis,) = plot_comparisons([comparison]).axes
    (label,) = (label.get_text() for label in axis.get_yticklabels())
    assert label.split() == f"{name} against b (n = 3)".split()
    assert max(map(len, label.splitlines())) < 45
    (label,) = short.get_yticklabels()
    assert label.get_text() == "a\nagainst b (n\u00a0=\u00a03)"
    for each in (short, axis):
        each.figure.canvas.draw()
        assert each.get_position().width > 0.4


@pytest.mark.parametrize(
    ("low", "high", "paper"), [(1.13, 1.22, None), (0.57, 0.79, None), (0.2, 3.4, 6)]
)
def test_ratios_have_ticks_to_read_them_by(low, high, paper):
    comparison = {
        "variant": "a",
        "baseline": "b",
        "n": 3,
        "unit": "times",
        "no_effect": 1.0,
        "paper": paper,
    }
    figure = plot_comparisons(
        [{**comparison, "estimate": (low + high) / 2, "interval": (low, high)}]
    )
    (axis,) = figure.axes
    left, right = axis.get_xlim()
    ticks = [float(label.get_text()) for label in axis.get_xticklabels()]
    assert left < low < high < right
    assert len(ticks) >= 3 and 1 in ticks and left <= min(ticks) < max(ticks) <= right
    np.testing.assert_allclose(axis.get_xticks(), ticks)
