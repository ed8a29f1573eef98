import numpy as np
import pytest

from alexnet_keras.plots import plot_codes, plot_neighbors


def test_neighbors_stand_beside_their_image():
    images = np.full((2, 4, 4, 3), 10)
    found = np.arange(6).reshape(2, 3, 1, 1, 1) * np.full((2, 3, 4, 4, 3), 20)
    same = np.array([[True, True, False], [False, True, True]])
    figure = plot_neighbors(
        images, {"activations": (found, same), "pixels": (found + 1, ~same)}, ["cat", "police dog"]
    )
    shown = [
        np.asarray(axis.get_images()[0].get_array()).max()
        for axis in figure.axes
        if axis.get_images()
    ]
    assert shown == [10, 0, 20, 40, 1, 21, 41, 10, 60, 80, 100, 61, 81, 101]
    crossed = [bool(axis.lines) for axis in figure.axes if axis.get_images()]
    assert crossed == [
        False,
        False,
        False,
        True,
        True,
        True,
        False,
        False,
        True,
        False,
        False,
        False,
        True,
        True,
    ]
    assert [axis.get_title() for axis in figure.axes if axis.get_title()] == ["cat", "police\ndog"]
    words = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert words == [
        "nearest in activations: 67% of these of the same class",
        "nearest in pixels: 33% of these of the same class",
    ]
    with pytest.raises(
        ValueError,
        match="one for each of the 2 images. Received: 1 names, and neighbors of 2 images",
    ):
        plot_neighbors(images, {"pixels": (found, same)}, ["cat"])


def test_codes_rise_with_their_bits():
    spaces = {
        "activations": {"exact": 0.8, "codes": {64: 0.7, 32: 0.6}},
        "pixels": {"exact": 0.3, "codes": {64: 0.25, 32: 0.2}},
    }
    (axis,) = plot_codes(spaces, 0.1).axes
    lines = {line.get_label(): line for line in axis.lines}
    assert lines["codes of activations, Hamming"].get_xydata().tolist() == [[32, 60], [64, 70]]
    assert lines["pixels, Euclidean"].get_ydata()[0] == 30
    assert lines["chance"].get_ydata()[0] == 10
