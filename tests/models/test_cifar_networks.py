"""The networks of cuda-convnet's configuration files for CIFAR-10."""

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from tests.gradients import computed

CONV1 = 5 * 5 * 3 * 64 + 64
CONV2 = 5 * 5 * 64 * 64 + 64


def local(maps, filters):
    """Weights and biases of a 3x3 layer without sharing, at 6x6 positions."""
    return 36 * filters * (3 * 3 * maps + 1)


PARAMETERS = {
    "cifar_13pct": [CONV1, CONV2, local(64, 32), local(32, 32), 36 * 32 * 10 + 10],
    "cifar_11pct": [CONV1, CONV2, local(64, 64), local(64, 32), 36 * 32 * 10 + 10],
    "cifar_19pct": [2_432, 25_632, 51_264, 10_250],
    "cifar_18pct": [2_432, 25_632, 51_264, 10_250],
}
LAYERS = {
    "cifar_13pct": (
        "image conv1 pool1 relu1 conv2 relu2 pool2 local3 relu3 local4 relu4 flatten fc8"
    ),
    "cifar_11pct": (
        "image conv1 pool1 relu1 norm1 conv2 relu2 norm2 pool2 local3 relu3 local4 relu4 "
        "flatten fc8"
    ),
    "cifar_19pct": "image conv1 pool1 relu1 conv2 relu2 pool2 conv3 relu3 pool3 flatten fc8",
    "cifar_18pct": (
        "image conv1 pool1 relu1 spatial_norm1 conv2 relu2 pool2 spatial_norm2 conv3 relu3 pool3 "
        "flatten fc8"
    ),
}


@pytest.mark.one_backend
@pytest.mark.parametrize("preset", PARAMETERS)
def test_layers_and_parameters(preset):
    model = AlexNet(preset, classes=10)
    assert [layer.name for layer in model.layers] == LAYERS[preset].split()
    counts = [layer.count_params() for layer in model.layers if layer.count_params()]
    assert counts == PARAMETERS[preset]


@pytest.mark.one_backend
def test_maps():
    shapes = {
        "cifar_11pct": {
            "conv1": 24,
            "pool1": 12,
            "conv2": 12,
            "pool2": 6,
            "local3": 6,
            "local4": 6,
        },
        "cifar_18pct": {"conv1": 32, "pool1": 16, "pool2": 8, "pool3": 4},
    }
    for preset, sides in shapes.items():
        model = AlexNet(preset, classes=10)
        assert {name: model.get_layer(name).output.shape[1] for name in sides} == sides


def test_constants_of_the_files():
    model = AlexNet("cifar_11pct", classes=10)
    for name in ("norm1", "norm2"):
        norm = model.get_layer(name)
        constants = (norm.size, norm.k, norm.alpha, norm.beta, norm.divide_alpha, norm.groups)
        assert constants == (9, 1.0, 0.001, 0.75, True, 1)
    model = AlexNet("cifar_18pct", classes=10)
    for name in ("spatial_norm1", "spatial_norm2"):
        norm = model.get_layer(name)
        assert (norm.size, norm.k, norm.alpha, norm.beta) == (3, 1.0, 0.00005, 0.75)
    kinds = [type(model.get_layer(f"pool{n}")).__name__ for n in (1, 2, 3)]
    assert kinds == ["CeilingMaxPooling2D", "CeilingAveragePooling2D", "CeilingAveragePooling2D"]


@pytest.mark.parametrize(
    ("preset", "deviations"),
    [
        (
            "cifar_11pct",
            {"conv1": 0.0001, "conv2": 0.01, "local3": 0.04, "local4": 0.04, "fc8": 0.01},
        ),
        ("cifar_18pct", {"conv1": 0.0001, "conv2": 0.01, "conv3": 0.01, "fc8": 0.01}),
    ],
)
def test_initial_weights(preset, deviations):
    model = AlexNet(preset, classes=10)
    assert model.get_layer("image").output.shape[-1] == 3
    for layer, deviation in deviations.items():
        kernel, bias = model.get_layer(layer).get_weights()
        np.testing.assert_allclose(kernel.std(), deviation, rtol=0.05, err_msg=layer)
        assert not bias.any()


def test_local_kernels_differ_from_position_to_position(random):
    """A position depends on nearby pixels only, and equal pixels give other values elsewhere."""
    model = AlexNet("cifar_13pct", classes=10)
    part = keras.Model(model.get_layer("local3").input, model.get_layer("local3").output)
    x = np.zeros((2, 6, 6, 64), "float32")
    patch = random.normal(size=(3, 3, 64)) * 100
    x[0, :3, :3] = x[1, 3:, 3:] = patch
    out = computed(part, x)
    assert np.abs(out[0, 1, 1] - out[1, 4, 4]).max() > 1
    assert not out[0, 4:, 4:].any()


def test_fields_that_do_not_fit_are_named():
    with pytest.raises(
        ValueError, match="`local_layers` must be names out of conv2, .* Received: local_layers="
    ):
        AlexNet("cifar_13pct", local_layers=("conv1",))
    with pytest.raises(
        ValueError, match="`local_layers` must see all towers.* Received: local_layers="
    ):
        AlexNet("cifar", local_layers=("conv4",))
    with pytest.raises(ValueError, match="`stages` must have one pool a layer"):
        AlexNet("cifar", stages=(("pool", "average_pool"), (), (), (), (), ()))
    model = AlexNet("cifar", local_layers=("conv3",), filters=(8,) * 6, units=(16, 16), classes=3)
    assert model.get_layer("local3").filters == 8
