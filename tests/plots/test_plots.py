import io

import numpy as np
import pytest
from PIL import Image

from alexnet_keras import AlexNet
from alexnet_keras.plots import (
    plot_curves,
    plot_images,
    plot_kernels,
    plot_learning_rates,
    plot_training_errors,
    save_figure,
)


def tiles(figure):
    """The pictures in a figure, as arrays."""
    return [np.asarray(image.get_array()) for axis in figure.axes for image in axis.get_images()]


@pytest.mark.parametrize(("preset", "per_tower", "towers"), [("paper", 48, 2), ("one_tower", 48, 1), ("cifar", 16, 2)])
def test_kernels_stand_in_towers_on_one_scale(preset, per_tower, towers):
    model = AlexNet(preset, classes=3)
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
            np.testing.assert_allclose(sheet[top : top + side, left : left + side], expected, atol=1e-6)


def test_curves_show_the_history(tmp_path):
    rates = [0.01, 0.01, 0.001]
    history = [
        {"loss": 3 - i, "val_loss": 3.5 - i, "top1_error": 50 - i, "val_top1_error": 60 - i, "learning_rate": rate}
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

    with pytest.raises(ValueError, match="`model` must have a layer conv1. Received: a model with dense"):
        plot_kernels(keras.Sequential([keras.Input((3,), name="input"), keras.layers.Dense(2, name="dense")]))
    with pytest.raises(ValueError, match="`model` must take RGB images"):
        plot_kernels(AlexNet("cifar", classes=3, input_shape=(32, 32, 1)))


def test_training_errors_mark_the_crossings():
    relu = {"curves": [[60, 30, 20], [60, 31, 21]], "mean": 2.5, "interval": (2.0, 3.0)}
    tanh = {"curves": [[80, 70, 60]], "mean": None, "interval": None}
    figure = plot_training_errors({"group": {"ReLU": relu, "tanh": tanh}}, 25.0, {"group": ("paper", 15.0)})
    (axis,) = figure.axes
    assert [line.get_linestyle() for line in axis.lines if len(line.get_xdata()) == 3] == ["-", "-", "--"]
    words = [text.get_text() for text in axis.get_legend().get_texts()]
    assert words == ["ReLU: 2.5 epochs (n = 2)", "tanh: not reached (n = 1)", "paper: 15.0 epochs"]
    mark, diamond = (line for line in axis.lines if line.get_marker() in ("o", "D"))
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (2.5, 25.0)
    assert (diamond.get_xdata()[0], diamond.get_ydata()[0]) == (15.0, 25.0)
    (bar,) = axis.collections
    assert [point.tolist() for point in bar.get_segments()[0]] == [[2.0, 25.0], [3.0, 25.0]]


def test_learning_rates_show_what_was_stopped():
    points = [(0.01, None), (0.02, 6.0), (0.04, 7.0)]
    (axis,) = plot_learning_rates({"group": {"ReLU": points}}, "epochs").axes
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0.01", "0.02", "0.04"]
    line, cross = axis.lines
    assert line.get_xydata().tolist() == [[0.02, 6.0], [0.04, 7.0]]
    assert cross.get_xdata() == [0.01]
    assert 7.0 < cross.get_ydata()[0] < axis.get_ylim()[1]
