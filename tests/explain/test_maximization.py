import keras
import numpy as np
import pytest
from keras import ops

from alexnet_keras import Classifier
from alexnet_keras.explain import activation_maximization, maximization
from tests.explain.networks import CROP, MEAN, NAMES, classifier_of, set_weights


def linear_classifier(random, **options):
    classifier = classifier_of(
        [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")], **options
    )
    set_weights(classifier, random)
    return classifier


@pytest.fixture
def maps(random):
    classifier = classifier_of(
        [
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax", name="fc"),
        ]
    )
    set_weights(classifier, random)
    return classifier


def test_climbs_the_score_of_a_class(random):
    classifier = linear_classifier(random)
    matrix = classifier.network.get_weights()[0]
    images = activation_maximization(classifier, ["dog", "cat"], steps=50)
    assert images.shape == (2, CROP, CROP, 3) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 255
    for image, label in zip(images, (1, 0), strict=True):
        # The score is linear, so the image is bright where the weights are positive. The weights
        # are noise, which the blur weakens; by chance the correlation is within 0.2.
        weights = matrix[:, label].reshape(CROP, CROP, 3)
        assert np.corrcoef((image - MEAN).ravel(), weights.ravel())[0, 1] > 0.3
    (alone,) = activation_maximization(classifier, "cat", steps=50)
    np.testing.assert_allclose(alone, images[1], atol=1e-3)


def test_is_rgb_for_a_network_of_bgr(random):
    rgb = linear_classifier(random)
    bgr = linear_classifier(random, color_order="BGR")
    matrix, bias = rgb.network.get_weights()
    flipped = matrix.reshape(CROP, CROP, 3, 3)[:, :, ::-1].reshape(-1, 3)
    bgr.network.set_weights([flipped, bias])
    (one,) = activation_maximization(rgb, "fox", steps=80)
    (other,) = activation_maximization(bgr, "fox", steps=80)
    # They start from other noise, which decays.
    assert np.abs(one - other).max() < 25 < np.abs(one - other[..., ::-1]).max()


def test_a_map_has_its_central_unit_in_the_size_of_its_field(maps):
    images = activation_maximization(maps, [2, 0], "conv", steps=40)
    assert images.shape == (2, 3, 3, 3)
    kernels = maps.network.get_weights()[0]
    for image, unit in zip(images, (2, 0), strict=True):
        assert np.corrcoef((image - MEAN).ravel(), kernels[..., unit].ravel())[0, 1] > 0.5


def test_values_rise_and_seeds_differ(maps):
    (first,) = activation_maximization(maps, "dog", steps=20, seed=0)
    (again,) = activation_maximization(maps, "dog", steps=20, seed=0)
    (other,) = activation_maximization(maps, "dog", steps=20, seed=1)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1
    probability = ops.convert_to_numpy(maps.network(first[None] - np.float32(MEAN)))[0]
    assert NAMES[probability.argmax()] == "dog"


def test_a_layer_without_a_receptive_field_is_refused_before_the_steps(monkeypatch):
    inputs = keras.Input((CROP, CROP, 3))
    maps = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    outputs = keras.layers.Flatten()(keras.layers.Add(name="sum")([inputs, maps]))
    outputs = keras.layers.Dense(3, activation="softmax")(outputs)
    network = keras.Model(inputs, outputs)
    classifier = Classifier.from_network(network, (120, 110, 100), NAMES, image_size=CROP)
    monkeypatch.setattr(maximization._Ascent, "run", lambda *arguments: pytest.fail("a step"))
    with pytest.raises(ValueError, match="sum"):
        activation_maximization(classifier, 0, "sum")


def test_bad_arguments(maps):
    for arguments, options, words in (
        (("cow",), {}, "`units` must be a class of the classifier, .* Received: units='cow'"),
        (([],), {}, "`units` must hold at least one class name. Received: none"),
        ((0, "conv9"), {}, "`layer` must be a layer of the network"),
        ((4, "conv"), {}, "`units` must be a whole number from 0 to 3, the units of conv"),
        (("dog",), {"steps": 0}, "`steps` must be a positive whole number"),
        (("dog",), {"seed": -1}, "`seed` must be a whole number from 0"),
    ):
        with pytest.raises(ValueError, match=words):
            activation_maximization(maps, *arguments, **options)
