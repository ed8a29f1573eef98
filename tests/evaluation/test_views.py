import keras
import numpy as np
import pytest

from alexnet_keras import VGG, AlexNet
from alexnet_keras.evaluation.views import crop_views, dense_model, views_model


def ten_crops(image, size):
    """The four corners and the center, then their mirror images, of one image."""
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
    center = keras.ops.convert_to_numpy(
        crop_views(keras.ops.convert_to_tensor(images), 224, "center")
    )
    np.testing.assert_array_equal(center[:, 0], images[:, 16:240, 16:240])


def test_nine_crops_of_24_in_32(random):
    # The multiview test of cuda-convnet: three rows and columns, at 0, 4 and 8, not mirrored.
    images = random.randint(0, 256, (2, 32, 32, 3)).astype("float32")
    views = crop_views(keras.ops.convert_to_tensor(images), 24, "nine_crop")
    views = keras.ops.convert_to_numpy(views)
    assert views.shape == (2, 9, 24, 24, 3)
    for number, (y, x) in enumerate(
        [(0, 0), (0, 4), (0, 8), (4, 0), (4, 4), (4, 8), (8, 0), (8, 4), (8, 8)]
    ):
        np.testing.assert_array_equal(views[:, number], images[:, y : y + 24, x : x + 24])


@pytest.mark.parametrize("test_views", ["center", "ten_crop"])
def test_predictions_are_averaged(test_views, random):
    model = AlexNet("cifar", classes=3, input_shape=(28, 28, 3))
    images = random.randint(0, 256, (3, 32, 32, 3)).astype("uint8")
    mean = random.uniform(0, 255, (28, 28, 3)).astype("float32")
    ours = keras.ops.convert_to_numpy(views_model(model, 32, mean, test_views)(images))
    for image, prediction in zip(images, ours, strict=True):
        crops = (
            ten_crops(image.astype("float32"), 28)
            if test_views == "ten_crop"
            else image[None, 2:30, 2:30].astype("float32")
        )
        each = keras.ops.convert_to_numpy(model(crops - mean))
        np.testing.assert_allclose(prediction, each.mean(0), rtol=1e-4, atol=1e-6)


def test_views_of_a_model_whose_output_is_a_list_of_one(random):
    inputs = keras.Input((4, 4, 3))
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    model = keras.Model([inputs], [outputs])
    images = random.uniform(0, 1, (2, 6, 6, 3)).astype("float32")
    ours = views_model(model, 6, np.zeros((4, 4, 3))).predict(images, verbose=0)
    kernel, bias = model.get_weights()
    for image, found in zip(images, ours, strict=True):
        expected = softmax(ten_crops(image, 4).reshape(10, -1) @ kernel + bias).mean(0)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_bad_arguments():
    images = keras.ops.zeros((1, 32, 32, 3))
    with pytest.raises(
        ValueError,
        match="`test_views` must be one of center, ten_crop, nine_crop. Received: test_views=5",
    ):
        crop_views(images, 28, 5)
    with pytest.raises(ValueError, match="`size` must be at most 32 pixels, .* Received: size=33"):
        crop_views(images, 33)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_dense_evaluation_is_the_network_at_every_position(random):
    # Kernels of 1x1 see no border, so that crops of the image and the image itself give the same
    # activities.
    narrow = {
        "kernel_sizes": ((1,), (1, 1)),
        "filters": (3, 4),
        "units": (5, 6),
        "input_shape": (8, 8, 3),
    }
    model = VGG("A", **narrow, classes=4)
    logits = VGG("A", **narrow, classes=4, classifier_activation=None)
    logits.set_weights(model.get_weights())
    images = random.uniform(0, 255, (2, 12, 12, 3)).astype("float32")
    mean = random.uniform(0, 255, (12, 12, 3)).astype("float32")
    expected = []
    for whole in (images, images[:, :, ::-1]):
        whole = whole - mean
        # Two pools: a step of one position is four pixels.
        crops = [whole[:, y : y + 8, x : x + 8] for y in (0, 4) for x in (0, 4)]
        expected.append(
            softmax(np.mean([logits.predict(crop, verbose=0) for crop in crops], axis=0))
        )
    out = dense_model(model, 12, mean).predict(images, verbose=0)
    assert np.ptp(out) > 0.01
    np.testing.assert_allclose(out, np.mean(expected, axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", [VGG, AlexNet])
def test_dense_evaluation_of_one_position(network, random):
    overrides = {
        VGG: {
            "preset": "A-LRN",
            "filters": (2, 3, 4, 5, 6),
            "units": (7, 8),
            "input_shape": (32, 32, 3),
        },
        AlexNet: {"preset": "cifar", "filters": (4,) * 6, "units": (7, 8)},
    }
    model = network(**overrides[network], classes=4)
    images = random.uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    mean = np.full((32, 32, 3), 100.0)
    both = [model.predict(views - mean, verbose=0) for views in (images, images[:, :, ::-1])]
    np.testing.assert_allclose(
        dense_model(model, 32, mean).predict(images, verbose=0),
        np.mean(both, axis=0),
        rtol=1e-4,
        atol=1e-6,
    )
    larger = dense_model(model, 48, np.zeros((48, 48, 3))).predict(
        np.tile(images, (1, 2, 2, 1))[:, :48, :48], verbose=0
    )
    np.testing.assert_allclose(larger.sum(1), 1, rtol=1e-5)


def test_dense_evaluation_without_biases(random):
    layers = [
        keras.layers.Conv2D(3, 3, use_bias=False, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(5, use_bias=False, activation="relu"),
        keras.layers.Dense(2, use_bias=False, activation="softmax"),
    ]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    images = random.uniform(0, 1, (2, 8, 8, 3)).astype("float32")
    both = [model.predict(views, verbose=0) for views in (images, images[:, :, ::-1])]
    out = dense_model(model, 8, np.zeros((8, 8, 3))).predict(images, verbose=0)
    np.testing.assert_allclose(out, np.mean(both, axis=0), rtol=1e-4)


def test_dense_evaluation_of_layers_that_another_model_has_too(random):
    layers = [keras.layers.Conv2D(3, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    other = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    images = random.uniform(0, 1, (2, 8, 8, 3)).astype("float32")
    both = [other.predict(views, verbose=0) for views in (images, images[:, :, ::-1])]
    out = dense_model(model, 8, np.zeros((8, 8, 3))).predict(images, verbose=0)
    np.testing.assert_allclose(out, np.mean(softmax(np.array(both)), axis=0), rtol=1e-4)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")  # other layers
def test_dense_evaluation_refuses_quantized_layers():
    model = AlexNet("cifar", filters=(4,) * 6, units=(7, 8), classes=4)
    model.quantize("int8")
    with pytest.raises(ValueError, match="must not be quantized.* quantized fc6, fc7, fc8"):
        dense_model(model, 36, np.zeros((36, 36, 3)))


def test_dense_evaluation_needs_a_chain_of_layers():
    inputs = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(2, 3)(inputs)
    flat = keras.layers.Flatten()
    residual = keras.layers.Add()([maps, keras.layers.Conv2D(2, 3, padding="same")(maps)])
    shared = keras.layers.Conv2D(3, 3, padding="same")
    for outputs in (
        keras.layers.Dense(2)(flat(residual)),
        keras.layers.Dense(2)(flat(shared(shared(inputs)))),
        keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs)),
        keras.layers.Dense(2)(flat(keras.ops.relu(maps))),
        keras.ops.softmax(keras.layers.Dense(2)(flat(maps))),
    ):
        model = keras.Model(inputs, outputs)
        message = "`model` must be a chain of layers with one Flatten before"
        with pytest.raises(ValueError, match=message):
            dense_model(model, 12, np.zeros((12, 12, 3)))
