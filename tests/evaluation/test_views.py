import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.evaluation.views import crop_views, views_model


def ten_crops(image, size):
    """The four corners and the centre, then their mirror images, of one image."""
    height, width, _ = image.shape
    y, x = height - size, width - size
    five = [
        image[:size, :size],
        image[:size, x:],
        image[y // 2 : y // 2 + size, x // 2 : x // 2 + size],
        image[y:, :size],
        image[y:, x:],
    ]
    return np.stack(five + [crop[:, ::-1] for crop in five])


def test_ten_crops_of_224_in_256(random):
    images = random.randint(0, 256, (2, 256, 256, 3)).astype("float32")
    views = keras.ops.convert_to_numpy(crop_views(keras.ops.convert_to_tensor(images), 224))
    assert views.shape == (2, 10, 224, 224, 3)
    for image, ten in zip(images, views, strict=True):
        np.testing.assert_array_equal(ten, ten_crops(image, 224))
    centre = keras.ops.convert_to_numpy(crop_views(keras.ops.convert_to_tensor(images), 224, 1))
    np.testing.assert_array_equal(centre[:, 0], images[:, 16:240, 16:240])


@pytest.mark.parametrize("views", [1, 10])
def test_predictions_are_averaged(views, random):
    model = AlexNet("cifar", classes=3, input_shape=(28, 28, 3))
    images = random.randint(0, 256, (3, 32, 32, 3)).astype("uint8")
    mean = random.uniform(0, 255, (28, 28, 3)).astype("float32")
    ours = keras.ops.convert_to_numpy(views_model(model, 32, mean, views)(images))
    for image, prediction in zip(images, ours, strict=True):
        crops = ten_crops(image.astype("float32"), 28) if views == 10 else image[None, 2:30, 2:30].astype("float32")
        each = keras.ops.convert_to_numpy(model(crops - mean))
        np.testing.assert_allclose(prediction, each.mean(0), rtol=1e-4, atol=1e-6)


def test_bad_arguments():
    images = keras.ops.zeros((1, 32, 32, 3))
    with pytest.raises(ValueError, match="`views` must be 1 or 10. Received: views=5"):
        crop_views(images, 28, 5)
    with pytest.raises(ValueError, match="`size` must be at most 32 pixels, .* Received: size=33"):
        crop_views(images, 33)
