"""The networks in PyTorch have the parameters of the package's, and compute the same logits."""

import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.models.alexnet_config import alexnet_config
from tests.conftest import draw_large_weights

torch = pytest.importorskip("torch", reason="PyTorch is in the extra torch")

from benchmarks.layer_steps import TorchLayer  # noqa: E402, needs PyTorch
from benchmarks.torch_networks import torch_network  # noqa: E402, needs PyTorch

NARROW = {"filters": (8, 12, 8, 8, 12, 8), "units": (10, 6), "dropout": 0.5}


def parameters(config, classes):
    with torch.device("meta"):  # without memory for the weights
        module = torch_network(config, classes)
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("preset", ["cifar", "small", "four_layer", "tiny_imagenet", "cifar_13pct"])
def test_parameters(preset):
    config = alexnet_config(preset)
    assert parameters(config, 10) == AlexNet(config, classes=10).count_params()


def test_parameters_of_the_full_size_network():
    assert parameters(alexnet_config("paper"), 1000) == 60_965_224


@pytest.mark.parametrize(
    ("preset", "overrides"),
    [
        ("cifar", NARROW),
        ("paper", {**NARROW, "input_shape": (62, 70, 3), "normalization_in_towers": False}),
        ("cifar_13pct", {**NARROW, "normalization": True, "hidden_layers": ("fc6",)}),
        ("conv6", {**NARROW, "input_shape": (96, 90, 3), "activation": "tanh"}),
        ("cifar_18pct", {**NARROW, "spatial_normalization_alpha": 1.0}),
        ("torchvision", {**NARROW, "input_shape": (64, 64, 3), "conv_layers": ("conv1", "conv5")}),
    ],
)
def test_logits(preset, overrides):
    config = alexnet_config(preset, **overrides)
    model = AlexNet(config, classes=5, classifier_activation=None)
    random = np.random.default_rng(0)
    images = random.normal(0, 60, (3, *config.input_shape)).astype("float32")
    draw_large_weights(model, random)
    expected = np.asarray(model(images))
    module = torch_network(config, 5).eval()
    copy_weights(model, module)
    with torch.no_grad():
        found = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def copy_weights(model, module):
    """Copies the weights of a Keras model into the module of its configuration."""
    arrays = []
    for layer in model.layers:
        if layer.weights:
            arrays += in_pytorch(layer, *layer.get_weights(), model.get_layer("flatten"))
    with torch.no_grad():
        for parameter, array in zip(module.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def in_pytorch(layer, kernel, bias, flatten):
    """Kernel and bias in PyTorch's order, where maps are before rows and columns."""
    if kernel.ndim == 4:
        return kernel.transpose(3, 2, 0, 1), bias
    if kernel.ndim == 3:
        positions, _, filters = kernel.shape
        kernel = kernel.reshape(positions, *layer.kernel_size, -1, filters)
        kernel = kernel.transpose(0, 3, 1, 2, 4).reshape(positions, -1, filters)
        return kernel, bias.transpose(2, 0, 1)
    if layer.input is flatten.output:
        units = kernel.shape[1]
        kernel = kernel.reshape(*flatten.input.shape[1:], units).transpose(2, 0, 1, 3)
        kernel = kernel.reshape(-1, units)
    return kernel.T, bias


def test_channels_last_and_gradients():
    """All layers take images in channels_last, and their gradients reach the first kernels."""
    towers = {"towers": 2, "exchange": ("conv3", "conv4")}
    config = alexnet_config("cifar_13pct", **NARROW, **towers, normalization=True)
    module = torch_network(config, 5).to(memory_format=torch.channels_last)
    images = torch.ones(2, 3, 24, 24).to(memory_format=torch.channels_last)
    module(images).square().sum().backward()
    assert next(module.parameters()).grad.abs().max() > 0


@pytest.mark.parametrize("name", ["pool5", "conv1"])
def test_a_layer_waits_for_one_element_of_its_gradient(name):
    """An operation on the whole gradient would add to the measured time."""
    step = TorchLayer(name, 1, "pytorch", "float32")
    value = step(1)
    gradient = step._layer.weight.grad if name == "conv1" else step._images.grad
    assert value == gradient.flatten()[0] != gradient.max()


def test_unknown_activation():
    config = alexnet_config("cifar", activation="softsign")
    with pytest.raises(ValueError, match="`activation` must be .* Received: activation='softsign'"):
        torch_network(config, 5)
