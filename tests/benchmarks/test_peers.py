"""That the peers are the same network, with our weights they give our probabilities, and train by the same rule."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from alexnet_keras import AlexNet
from benchmarks.peers import KerasPeer, PyTorchPeer, TensorFlowPeer

CLASSES = 10
PARAMETERS = 60_965_224 - 990 * 4097


@pytest.fixture(scope="module")
def ours():
    keras.utils.set_random_seed(0)
    return AlexNet("paper", classes=CLASSES, normalization_in_towers=False)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(0, 60, (2, 224, 224, 3)).astype("float32")


@pytest.fixture(scope="module")
def expected(ours, images):
    return ours.predict_on_batch(images)


def test_keras(ours, images, expected):
    peer = KerasPeer(CLASSES).model
    assert peer.count_params() == PARAMETERS
    peer.set_weights(ours.get_weights())
    np.testing.assert_allclose(peer.predict_on_batch(images), expected, atol=1e-5)


@pytest.mark.parametrize("split", [True, False])
def test_tensorflow(ours, images, expected, split):
    peer = TensorFlowPeer(CLASSES, split=split)
    assert sum(np.prod(variable.shape) for variable in peer.variables) == PARAMETERS
    weights = ours.get_weights()
    for variables, values in ((peer.kernels, weights[::2]), (peer.biases, weights[1::2])):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    np.testing.assert_allclose(tf.nn.softmax(peer(tf.constant(images))), expected, atol=1e-5)


@pytest.mark.parametrize("compiled", [False])
def test_pytorch(ours, images, expected, compiled):
    torch = pytest.importorskip("torch", reason="PyTorch is in the extra torch")
    peer = PyTorchPeer(CLASSES, compiled=compiled)
    assert sum(parameter.numel() for parameter in peer.module.parameters()) == PARAMETERS
    with torch.no_grad():
        for parameter, value in zip(peer.module.parameters(), ours.get_weights(), strict=True):
            if value.ndim == 4:
                value = value.transpose(3, 2, 0, 1)
            elif (
                value.shape[0] == 9216
            ):  # flattened as (row, column, map) here, as (map, row, column) there
                value = value.reshape(6, 6, 256, -1).transpose(3, 2, 0, 1).reshape(-1, 9216)
            elif value.ndim == 2:
                value = value.T
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        peer.module.eval()
        logits = peer.module(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), expected, atol=1e-5)


# A linear classifier by the paper's update rule (section 5). Its weights are large, so that what decays is seen.
IMAGES = np.random.default_rng(1).normal(0, 0.01, (8, 1, 1, 4)).astype("float32")
LABELS = (np.arange(8) % 3).astype("int32")
KERNEL, BIAS = (
    np.random.default_rng(2).normal(0, 100, (4, 3)).astype("float32"),
    np.zeros(3, "float32"),
)


def trained(steps):
    weights, velocities = [KERNEL.astype(float), BIAS.astype(float)], [0.0, 0.0]
    x = IMAGES.reshape(8, 4).astype(float)
    for _ in range(steps):
        exponentials = np.exp(x @ weights[0] + weights[1])
        errors = (exponentials / exponentials.sum(1, keepdims=True) - np.eye(3)[LABELS]) / 8
        gradients = x.T @ errors, errors.sum(0)
        velocities = [
            0.9 * velocity - 0.0005 * 0.01 * weight - 0.01 * gradient
            for velocity, weight, gradient in zip(velocities, weights, gradients, strict=True)
        ]
        weights = [weight + velocity for weight, velocity in zip(weights, velocities, strict=True)]
    assert np.abs(weights[0] - KERNEL).max() > 100 * 3e-5
    return weights


def test_update_of_tensorflow():
    class Linear(TensorFlowPeer):
        def __init__(self):
            self.variables = [tf.Variable(KERNEL), tf.Variable(BIAS)]
            self.velocities = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]

        def __call__(self, images, training=False):
            return tf.reshape(images, (-1, 4)) @ self.variables[0] + self.variables[1]

    peer = Linear()
    peer.training(IMAGES, LABELS)(5)
    for variable, expected in zip(peer.variables, trained(5), strict=True):
        np.testing.assert_allclose(variable, expected, rtol=0, atol=3e-5)


def test_update_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is in the extra torch")
    peer = PyTorchPeer(CLASSES)
    peer.call = peer.module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)).to(
        peer.device
    )
    with torch.no_grad():
        for parameter, value in zip(peer.module.parameters(), (KERNEL.T, BIAS), strict=True):
            parameter.copy_(torch.from_numpy(value.copy()))
    peer.training(IMAGES, LABELS)(5)
    for parameter, expected in zip(peer.module.parameters(), trained(5), strict=True):
        np.testing.assert_allclose(parameter.detach().cpu().numpy(), expected.T, rtol=0, atol=3e-5)


def test_update_of_keras():
    model = KerasPeer(CLASSES).model
    with tf.GradientTape() as tape:
        loss = tf.add_n(model.losses)
    for gradient, weight in zip(
        tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True
    ):
        np.testing.assert_allclose(
            gradient, 0.0005 * weight.numpy(), rtol=1e-5
        )  # which SGD adds to that of the loss
    last = model.layers[-1]
    regularizers = {
        name: getattr(last, name) for name in ("kernel_regularizer", "bias_regularizer")
    }
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax", **regularizers)]
    small = keras.Sequential([keras.Input((1, 1, 4)), *layers])
    small.compile(type(model.optimizer).from_config(model.optimizer.get_config()), model.loss)
    small.set_weights([KERNEL, BIAS])
    for _ in range(5):
        small.train_on_batch(IMAGES, LABELS)
    for weight, expected in zip(small.get_weights(), trained(5), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=0, atol=3e-5)
