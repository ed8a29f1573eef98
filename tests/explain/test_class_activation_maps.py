import keras
import numpy as np
import pytest

from alexnet_keras import Classifier
from alexnet_keras.explain import grad_cam
from tests.explain.networks import (
    CROP,
    MEAN,
    NAMES,
    SIZE,
    classifier_of,
    convolution,
    crops_of,
    set_weights,
)


@pytest.fixture
def images(random):
    return random.randint(0, 256, (3, SIZE, SIZE, 3)).astype("uint8")


def layers_of(*middle):
    return [
        *(keras.layers.Conv2D(5, 3, name="conv"), *middle),
        keras.layers.GlobalAveragePooling2D(name="mean"),
        keras.layers.Dense(3, activation="softmax", name="fc"),
    ]


def test_weights_maps_by_their_mean_gradients(images, random):
    classifier = classifier_of(layers_of(keras.layers.Activation("relu", name="relu")))
    set_weights(classifier, random)
    kernel, bias, matrix, _ = (w.astype("float64") for w in classifier.network.get_weights())
    explained = {
        layer: grad_cam(classifier, images, "cat", layer=layer) for layer in (None, "conv", "relu")
    }
    assert [found[0].layer for found in explained.values()] == ["conv", "conv", "relu"]
    for number, crop in enumerate(crops_of(images)):
        maps = np.maximum(convolution(crop, kernel, bias), 0)
        # The score is linear in the means of the maps, over 6x6 positions.
        wanted = np.maximum(maps @ matrix[:, 0] / 36, 0)
        for found in explained.values():
            # Position (y, x) sees 3x3 pixels around (y + 1, x + 1).
            np.testing.assert_allclose(found[number].map[1:-1, 1:-1], wanted, atol=1e-5)
            assert found[number].map.shape == (CROP, CROP)
            assert found[number].map[0, 0] == found[number].map[1, 1]


def test_the_activation_may_follow_the_pool(images, random):
    # In the 2012 source conv5 is pooled before its ReLU.
    relu = keras.layers.Activation("relu", name="relu")
    pool = keras.layers.MaxPooling2D(2, name="pool")
    before = classifier_of(layers_of(pool, relu))
    set_weights(before, random)
    after = classifier_of(layers_of(*(type(x).from_config(x.get_config()) for x in (relu, pool))))
    after.network.set_weights(before.network.get_weights())
    for one, other in zip(grad_cam(before, images), grad_cam(after, images), strict=True):
        assert one.map.max() > 0
        np.testing.assert_allclose(one.map, other.map, atol=1e-5)


def test_values_are_interpolated_between_the_centers(images, random):
    classifier = classifier_of(layers_of(keras.layers.ReLU(), keras.layers.MaxPooling2D(2)))
    set_weights(classifier, random)
    pool = classifier.network.layers[-3].name
    # The 3x3 positions see 4 pixels in steps of 2, so their centers are 2, 4 and 6.
    weights = np.zeros((CROP, 3))
    weights[:, 0] = 1, 1, 0.75, 0.25, 0, 0, 0, 0
    weights[:, 2] = weights[::-1, 0]
    weights[:, 1] = 1 - weights[:, 0] - weights[:, 2]
    for explanation in grad_cam(classifier, images, layer=pool):
        values = np.linalg.pinv(weights) @ explanation.map @ np.linalg.pinv(weights).T
        assert np.ptp(values) > 0
        np.testing.assert_allclose(explanation.map, weights @ values @ weights.T, atol=1e-6)


def test_bad_arguments(images, random):
    classifier = classifier_of(layers_of())
    for layer, words in (
        ("conv7", "`layer` must be a layer of the network, .*conv, mean, fc. Received: layer="),
        ("fc", r"`layer` must have output maps. Received: layer='fc' of output \(None, 3\)"),
    ):
        with pytest.raises(ValueError, match=words):
            grad_cam(classifier, images, layer=layer)
    flat = classifier_of([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    with pytest.raises(ValueError, match="`layer` must be given for a network without convolu"):
        grad_cam(flat, images)


def test_a_skip_connection_around_the_layer(images):
    inputs = keras.Input((CROP, CROP, 3))
    a = keras.layers.Conv2D(5, 3, name="conv_a")(inputs)
    b = keras.layers.Conv2D(5, 3, padding="same", name="conv_b")(a)
    x = keras.layers.ReLU()(keras.layers.Add()([a, b]))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    network = keras.Model(inputs, outputs)
    classifier = Classifier.from_network(network, MEAN, NAMES, image_size=SIZE)
    message = "`layer` must be a layer that all paths .* Received: the layer 'conv_b'"
    for layer in (None, "conv_b"):
        with pytest.raises(ValueError, match=message):
            grad_cam(classifier, images, layer=layer)
    assert grad_cam(classifier, images, layer="conv_a")[0].map.shape == (CROP, CROP)


def test_a_network_without_names_is_no_classifier():
    inputs = keras.Input((CROP, CROP, 3))
    network = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    with pytest.raises(ValueError, match="`class_names` must have a name for each of the 3"):
        Classifier.from_network(network, (0, 0, 0), (), image_size=SIZE)
