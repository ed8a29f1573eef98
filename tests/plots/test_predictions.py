import numpy as np
import pytest
from matplotlib.colors import to_hex

from alexnet_keras.classifier import Prediction
from alexnet_keras.plots import (
    in_words,
    plot_classified,
    plot_curves,
    plot_predictions,
    save_figure,
)


def test_bars_are_the_most_probable_and_the_correct_one_differs():
    images = np.full((2, 4, 4, 3), 300.0)
    probabilities = np.array([[0.1, 0.6, 0.3], [0.2, 0.1, 0.7]])
    figure = plot_predictions(
        images, probabilities, [0, 1], ["cat", "a name that is longer than its panel", "dog"], top=2
    )
    pictures = figure.axes[:2]
    bars = figure.axes[2:]
    assert [axis.get_title() for axis in pictures] == ["cat", "a name that is longer tha…"]
    assert np.asarray(pictures[0].get_images()[0].get_array()).max() == 255
    assert [[bar.get_width() for bar in axis.patches] for axis in bars] == [[0.6, 0.3], [0.7, 0.2]]
    assert [text.get_text() for text in bars[1].texts] == ["dog", "70%", "cat", "20%"]
    assert not any(bar.get_hatch() for axis in bars for bar in axis.patches)
    (axis,) = plot_predictions(images[:1], probabilities[:1], [2], ["cat", "fox", "dog"]).axes[1:]
    assert [bar.get_hatch() for bar in axis.patches] == [None, "//", None]
    assert len({to_hex(bar.get_facecolor()) for bar in axis.patches}) == 2


def test_classified_images_have_the_names_of_their_files():
    images = np.zeros((2, 4, 4, 3))
    predictions = [
        Prediction("some/folder/photo.jpg", ("cat", "dog"), np.array([0.8, 0.1])),
        Prediction("image 1", ("dog", "cat"), np.array([0.6, 0.3])),
    ]
    figure = plot_classified(images, predictions)
    pictures = figure.axes[:2]
    bars = figure.axes[2:]
    assert [axis.get_title() for axis in pictures] == ["photo.jpg", "image 1"]
    assert [[bar.get_width() for bar in axis.patches] for axis in bars] == [[0.8, 0.1], [0.6, 0.3]]
    assert [text.get_text() for text in bars[0].texts] == ["cat", "80%", "dog", "10%"]
    with pytest.raises(
        ValueError, match="must be equally many.* 1 images, 2 predictions, 0 of which"
    ):
        plot_classified(images[:1], predictions)
    broken = Prediction("image 1", error="empty")
    with pytest.raises(ValueError, match="2 images, 2 predictions, 1 of which have an error"):
        plot_classified(images, [predictions[0], broken])


def test_names_are_no_formulas(tmp_path):
    name = "a$x__y$ b\udcff.jpg"  # as Python reads a name that is not UTF-8
    prediction = Prediction(name, ("$_$", "dog"), np.array([0.8, 0.1]))
    figure = plot_classified(np.zeros((1, 4, 4, 3)), [prediction])
    assert figure.axes[0].get_title() == r"a\$x__y\$ b\udcff.jpg"
    save_figure(figure, tmp_path / "figure.png")
    history = [{"loss": 1.0, "top1_error": 50.0, "learning_rate": 0.01}]
    save_figure(plot_curves(history, name), tmp_path / "curves.png")


def test_classes_in_words():
    assert in_words(["n03394916", "traffic_light"]) == ["French horn", "traffic light"]
    # Some of ImageNet's classes in any order, and a number that is none of them.
    assert in_words(["n15075141", "n01443537", "n00000001"]) == [
        "toilet tissue",
        "goldfish",
        "n00000001",
    ]


def test_bad_arguments():
    with pytest.raises(
        ValueError,
        match=r"must be equally many.* Received: 1 images, probabilities \(2, 3\), 1 labels",
    ):
        plot_predictions(np.zeros((1, 4, 4, 3)), np.zeros((2, 3)), [0], ["a", "b", "c"])
    with pytest.raises(
        ValueError, match="`probabilities` must be from 0 to 1.* Received: values from -2 to 3"
    ):
        plot_predictions(np.zeros((1, 4, 4, 3)), np.array([[3.0, -2.0]]), [0], ["a", "b"])
