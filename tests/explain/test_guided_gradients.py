import keras
import numpy as np
import pytest

from alexnet_keras.explain import guided_backpropagation
from tests.explain.networks import CROP, SIZE, classifier_of, crops_of, set_weights


def guided(weights, x, label):
    """Guided backpropagation through two dense layers with ReLUs and one without, float64."""
    matrices = [weight.astype("float64") for weight in weights[::2]]
    biases = [weight.astype("float64") for weight in weights[1::2]]
    first = x @ matrices[0] + biases[0]
    second = np.maximum(first, 0) @ matrices[1] + biases[1]
    back = matrices[2][:, label]
    back = np.where((second > 0) & (back > 0), back, 0) @ matrices[1].T
    return np.where((first > 0) & (back > 0), back, 0) @ matrices[0].T


def dense_classifier(random, *, activation="relu", separate=None):
    layers = [keras.layers.Flatten()]
    for units in (9, 7):
        layers.append(keras.layers.Dense(units, activation=None if separate else activation))
        layers += [separate()] if separate else []
    classifier = classifier_of([*layers, keras.layers.Dense(3, activation="softmax")])
    set_weights(classifier, random)
    return classifier


@pytest.mark.parametrize(
    "separate", [None, keras.layers.ReLU, lambda: keras.layers.Activation("relu")]
)
def test_only_positive_paths_pass(separate, random):
    classifier = dense_classifier(random, separate=separate)
    images = random.randint(0, 256, (3, SIZE, SIZE, 3)).astype("uint8")
    before = classifier.network.get_weights()
    explained = guided_backpropagation(classifier, images, "fox")
    for explanation, crop in zip(explained, crops_of(images), strict=True):
        assert explanation.map.shape == (CROP, CROP, 3)
        wanted = guided(before, crop.ravel(), 2).reshape(CROP, CROP, 3)
        assert np.abs(wanted).max() > 0
        np.testing.assert_allclose(explanation.map, wanted, atol=1e-6)
    for one, other in zip(before, classifier.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_relus_of_an_inner_model_are_guided(random):
    # As in a network for new classes on the layers of another one.
    inner = keras.Sequential(
        [
            keras.Input((CROP, CROP, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(9, "relu"),
            keras.layers.Dense(7, "relu"),
        ]
    )
    classifier = classifier_of([inner, keras.layers.Dense(3, activation="softmax")])
    set_weights(classifier, random)
    images = random.randint(0, 256, (2, SIZE, SIZE, 3)).astype("uint8")
    explained = guided_backpropagation(classifier, images, "fox")
    for explanation, crop in zip(explained, crops_of(images), strict=True):
        wanted = guided(classifier.network.get_weights(), crop.ravel(), 2)
        assert np.abs(wanted).max() > 0
        np.testing.assert_allclose(explanation.map, wanted.reshape(CROP, CROP, 3), atol=1e-6)


def test_repeated_calls_make_no_new_layers(random, monkeypatch):
    # Twins of the large layers stay in memory as long as the network.
    calls = []
    clone = keras.models.clone_model
    monkeypatch.setattr(
        keras.models, "clone_model", lambda *a, **k: calls.append(a) or clone(*a, **k)
    )
    classifier = dense_classifier(random)
    image = random.randint(0, 256, (SIZE, SIZE, 3)).astype("uint8")
    maps = [guided_backpropagation(classifier, image)[0].map for _ in range(2)]
    np.testing.assert_array_equal(*maps)
    assert len(calls) == 1


def test_needs_relus(random):
    classifier = dense_classifier(random, activation="tanh")
    images = np.zeros((SIZE, SIZE, 3), "uint8")
    with pytest.raises(ValueError, match="with ReLUs. Received: a network with tanh. Use saliency"):
        guided_backpropagation(classifier, images)


def test_follows_the_weights_of_the_network(random):
    classifier = dense_classifier(random)
    images = random.randint(0, 256, (2, SIZE, SIZE, 3)).astype("uint8")
    before = guided_backpropagation(classifier, images, "fox")
    set_weights(classifier, random)
    weights = classifier.network.get_weights()
    after = guided_backpropagation(classifier, images, "fox")
    for explanation, old, crop in zip(after, before, crops_of(images), strict=True):
        wanted = guided(weights, crop.ravel(), 2).reshape(CROP, CROP, 3)
        np.testing.assert_allclose(explanation.map, wanted, atol=1e-6)
        assert np.abs(explanation.map - old.map).max() > 1e-3
