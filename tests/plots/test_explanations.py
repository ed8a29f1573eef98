import numpy as np
import pytest

from alexnet_keras.explain import Explanation, UnitPatches
from alexnet_keras.plots import plot_explanations, plot_patches


def explanation(method, values, source="folder/photo.jpg"):
    image = np.full((4, 4, 3), 128, "uint8")
    layer = "conv5" if method == "grad_cam" else None
    values = np.asarray(values, "float32")
    return Explanation(source, image, "n01440764", 0.974, method, values, layer)


def pictures(figure):
    return [np.asarray(axis.get_images()[0].get_array()) for axis in figure.axes]


def test_regions_are_colored_by_their_sign():
    values = np.zeros((4, 4))
    values[0, 0] = 0.5
    values[3, 3] = -0.25
    figure = plot_explanations([explanation("occlusion", values)])
    image, drawn = pictures(figure)
    assert image.max() == 128
    red, green, blue = drawn[0, 0]
    assert red > 0.8 and red > 2 * blue and red > 2 * green
    red, green, blue = drawn[3, 3]
    assert blue > red + 0.2
    np.testing.assert_allclose(drawn[1, 1], 128 / 255, atol=1e-6)  # gray where the map is 0
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["photo.jpg\n", "tench 97%\nocclusion: -0.25 to 0.5"]


def test_gray_is_zero_in_guided_backpropagation():
    values = np.zeros((4, 4, 3))
    values[0, 0] = 1, -1, 0
    figure = plot_explanations([explanation("guided_backpropagation", values)])
    assert figure.axes[1].get_title() == "tench 97%\nguided backprop.: ±1"
    _, drawn = pictures(figure)
    np.testing.assert_allclose(drawn[0, 0], [1, 0, 0.5])
    np.testing.assert_allclose(drawn[1, 1], 0.5)


def test_columns_are_methods_and_rows_are_images():
    values = np.eye(4)
    columns = [
        [explanation(method, values, f"{source}.png") for source in "ab"]
        for method in ("grad_cam", "saliency")
    ]
    figure = plot_explanations(*columns, title="why")
    assert [axis.get_title().splitlines()[-1] for axis in figure.axes] == [
        *("a.png", "Grad-CAM, conv5: 0 to 1", "saliency: 0 to 1"),
        *("b.png", "Grad-CAM, conv5: 0 to 1", "saliency: 0 to 1"),
    ]
    assert figure.get_suptitle() == "why"
    np.testing.assert_array_equal(pictures(figure)[2], values)


def test_patches_stand_in_rows():
    patches = np.arange(3, dtype="uint8").reshape(3, 1, 1, 1) * np.full((3, 5, 5, 3), 50, "uint8")
    boxes = np.zeros((3, 4), int)
    found = [
        UnitPatches(7, np.array([1234.5, 2.0, 0.5]), ("a", "b", "c"), boxes, patches),
        UnitPatches(9, np.array([1.0]), ("a",), boxes[:1], patches[1:2]),
    ]
    figure = plot_patches(found, np.full((2, 5, 5, 3), 300.0))
    shown = [
        np.asarray(axis.get_images()[0].get_array()).max()
        for axis in figure.axes
        if axis.get_images()
    ]
    assert shown == [255, 0, 50, 100, 255, 50]
    labels = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert labels == ["unit 7\n1,234 to 0.5", "unit 9\n1 to 1"]


def test_bad_arguments():
    one = explanation("occlusion", np.zeros((4, 4)))
    other = explanation("occlusion", np.zeros((4, 4)), "another.png")
    for columns in ((), ([],), ([one], [other]), ([one], [one, other])):
        with pytest.raises(ValueError, match="`explained` must be lists of explanations of the sa"):
            plot_explanations(*columns)
    with pytest.raises(ValueError, match="`found` must have at least one unit.* Received: 0 units"):
        plot_patches([])
