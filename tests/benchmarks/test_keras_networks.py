"""The networks in Keras' own layers compute the logits of the package's."""

import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.models.alexnet_config import alexnet_config
from benchmarks.keras_networks import check_keras_network, keras_network

NARROW = {"filters": (8, 12, 8, 8, 12, 8), "units": (10, 6)}


@pytest.mark.parametrize(
    ("preset", "overrides"),
    [
        ("cifar", {"normalization_alpha": 1.0, "normalization_divide_alpha": True}),
        ("paper", {"input_shape": (63, 95, 3), "normalization_in_towers": False}),
        ("four_layer", {"stages": (("average_pool", "activation"), *[("activation",)] * 5)}),
    ],
)
def test_logits(preset, overrides):
    config = alexnet_config(preset, **NARROW, **overrides)
    model = AlexNet(config, classes=5, classifier_activation=None)
    random = np.random.default_rng(0)
    weights = []
    for weight in model.weights:  # large enough for logits that differ
        stddev = (2 / max(1, np.prod(weight.shape[:-1]))) ** 0.5
        weights.append(random.normal(0, stddev, weight.shape).astype("float32"))
    images = random.normal(0, 60, (2, *config.input_shape)).astype("float32")
    model.set_weights(weights)
    network = keras_network(config, 5)
    network.set_weights(weights)
    expected = np.asarray(model(images))
    assert np.ptp(expected) > 0.1
    tolerance = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(network(images), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("preset", ["small", "tiny_imagenet", "paper"])
def test_networks_that_keras_has(preset):
    check_keras_network(alexnet_config(preset))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (alexnet_config("cifar_13pct"), "no locally connected layers. Received: .*conv3, conv4"),
        (alexnet_config("source"), "no normalization inside a feature map"),
        (alexnet_config("cifar", normalization_size=4), "odd size. Received: normalization_size=4"),
        # 33 rows need 3 more. Keras would put one of them at the top.
        (
            alexnet_config(
                "four_layer",
                input_shape=(33, 33, 3),
                stages=(("pool",), *[()] * 5),
                pool_size=4,
                pool_stride=4,
            ),
            "no pool of 4x4 with stride 4 .* Received: maps of 33x33",
        ),
    ],
)
def test_layers_that_keras_lacks(config, message):
    with pytest.raises(ValueError, match=message):
        keras_network(config, 5)
