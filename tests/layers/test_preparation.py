import keras
import numpy as np
import pytest
from keras import ops

from alexnet_keras.layers import Preparation


@pytest.fixture
def mean(random):
    return random.uniform(0, 255, (6, 6, 3)).astype("float32")


@pytest.fixture
def images(random):
    return random.randint(0, 256, (2, 6, 6, 3)).astype("uint8")


def test_subtracts_the_center_of_the_mean_image(mean, images):
    crops = Preparation(6, 3, mean)(images)
    assert keras.backend.standardize_dtype(crops.dtype) == "float32"
    # Offset (6 - 3) // 2 = 1 in each direction.
    expected = images[:, 1:4, 1:4].astype("float32") - mean[1:4, 1:4]
    np.testing.assert_array_equal(ops.convert_to_numpy(crops), expected)


def test_subtracts_a_color_and_reverses_the_colors(images):
    color = np.array([100.0, 50.5, 20.0], "float32")
    crops = Preparation(6, 4, color, color_order="BGR")(images)
    expected = images[:, 1:5, 1:5].astype("float32") - color
    np.testing.assert_array_equal(ops.convert_to_numpy(crops), expected[..., ::-1])


def test_is_saved_with_mean_and_names(mean, images, tmp_path):
    layer = Preparation(6, 4, mean, color_order="BGR", class_names=("cat", "dög"))
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layer(inputs))
    for name in ("first.keras", "second.keras"):  # saved, loaded, and saved again
        model.save(tmp_path / name)
        model = keras.saving.load_model(tmp_path / name)
    (loaded,) = (layer for layer in model.layers if isinstance(layer, Preparation))
    assert loaded.class_names == ("cat", "dög")
    assert (loaded.image_size, loaded.crop_size, loaded.color_order) == (6, 4, "BGR")
    np.testing.assert_array_equal(loaded.mean_image, mean)
    expected = (images[:, 1:5, 1:5].astype("float32") - mean[1:5, 1:5])[..., ::-1]
    np.testing.assert_array_equal(ops.convert_to_numpy(model(images)), expected)
    assert not model.trainable_weights and len(model.weights) == 1


def test_is_exact_under_mixed_precision(mixed_bfloat16, mean, images):
    crops = Preparation(6, 6, mean)(images)
    np.testing.assert_array_equal(ops.convert_to_numpy(crops), images.astype("float32") - mean)


def test_bad_arguments(mean):
    for arguments, words in (
        (
            (6, 7, mean),
            "`crop_size` must be a whole number from 1 to image_size pixels.*crop_size=7",
        ),
        ((7, 5, mean), r"`mean` must have the shape \(7, 7, 3\) or \(3,\).* shape \(6, 6, 3\)"),
        ((6, 4), "`mean_subtraction` must be image or color. Received: mean_subtraction=None"),
    ):
        with pytest.raises(ValueError, match=words):
            Preparation(*arguments)
    with pytest.raises(
        ValueError, match="`color_order` must be RGB or BGR. Received: color_order='rgb'"
    ):
        Preparation(6, 4, mean, color_order="rgb")
    with pytest.raises(
        ValueError,
        match=r"must be images of shape \(6, 6, 3\). Received: input shape=\(2, 5, 6, 3\)",
    ):
        Preparation(6, 4, mean)(np.zeros((2, 5, 6, 3)))
