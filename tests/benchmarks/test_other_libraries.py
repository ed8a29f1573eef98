"""The other libraries' networks compute the same logits, and train by the paper's rule."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from alexnet_keras import AlexNet
from alexnet_keras.models.alexnet_config import alexnet_config
from benchmarks.other_libraries import KerasAlexNet, PyTorchAlexNet, TensorFlowAlexNet
from tests.conftest import draw_large_weights

CLASSES = 10
UNITS = (64, 48)
# Kernels x (weights of a kernel + bias); units x (inputs + bias).
PARAMETERS = (
    96 * (11 * 11 * 3 + 1)
    + 256 * (5 * 5 * 48 + 1)
    + 384 * (3 * 3 * 256 + 1)
    + 384 * (3 * 3 * 192 + 1)
    + 256 * (3 * 3 * 192 + 1)
    + 64 * (6 * 6 * 256 + 1)
    + 48 * (64 + 1)
    + 10 * (48 + 1)
)
CONFIG = alexnet_config("paper", units=UNITS, normalization_in_towers=False)


@pytest.fixture(scope="module")
def model():
    model = AlexNet(CONFIG, classes=CLASSES, classifier_activation=None)
    draw_large_weights(model, np.random.default_rng(0))
    return model


@pytest.fixture(scope="module")
def keras_model():
    return KerasAlexNet(CONFIG, CLASSES).model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(0, 60, (2, 224, 224, 3)).astype("float32")


@pytest.fixture(scope="module")
def expected(model, images):
    logits = model.predict_on_batch(images)
    assert np.abs(logits[0] - logits[1]).max() > 0.1
    return logits


def check_logits(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_keras(model, images, expected, keras_model):
    assert keras_model.count_params() == PARAMETERS
    keras_model.set_weights(model.get_weights())
    check_logits(keras_model.predict_on_batch(images), expected)


@pytest.mark.parametrize("split", [True, False])
def test_tensorflow(model, images, expected, split):
    network = TensorFlowAlexNet(CLASSES, split=split, units=UNITS)
    assert sum(np.prod(variable.shape) for variable in network.variables) == PARAMETERS
    weights = model.get_weights()
    variables = [*network.kernels, *network.biases]
    for variable, value in zip(variables, weights[::2] + weights[1::2], strict=True):
        variable.assign(value)
    check_logits(network(tf.constant(images)), expected)


def test_tensorflow_is_full_size_by_default():
    assert inspect.signature(TensorFlowAlexNet).parameters["units"].default == (4096, 4096)


def test_pytorch(model, images, expected):
    torch = pytest.importorskip("torch", reason="PyTorch is in the extra torch")
    network = PyTorchAlexNet(CONFIG, CLASSES)
    parameters = list(network.module.parameters())
    assert sum(parameter.numel() for parameter in parameters) == PARAMETERS
    with torch.no_grad():
        for parameter, value in zip(parameters, model.get_weights(), strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(as_in_pytorch(value))))
        network.module.eval()
        logits = network.module(torch.from_numpy(images).permute(0, 3, 1, 2))
    check_logits(logits.numpy(), expected)


def as_in_pytorch(value):
    """Weights of Keras in PyTorch's order."""
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    if value.shape[0] == 9216:  # Keras flattens (row, column, map), PyTorch (map, row, column)
        return value.reshape(6, 6, 256, -1).transpose(3, 2, 0, 1).reshape(-1, 9216)
    return value.T


# A linear classifier by the paper's update rule (section 5), with weights that visibly decay.
IMAGES = np.random.default_rng(1).normal(0, 0.01, (8, 1, 1, 4)).astype("float32")
LABELS = (np.arange(8) % 3).astype("int32")
KERNEL = np.random.default_rng(2).normal(0, 100, (4, 3)).astype("float32")
BIAS = np.zeros(3, "float32")


def trained(steps):
    """Kernel and bias after some steps, from the definition."""
    weights = [KERNEL.astype(float), BIAS.astype(float)]
    velocities = [0.0, 0.0]
    x = IMAGES.reshape(8, 4).astype(float)
    for _ in range(steps):
        exponentials = np.exp(x @ weights[0] + weights[1])
        errors = (exponentials / exponentials.sum(1, keepdims=True) - np.eye(3)[LABELS]) / 8
        gradients = [x.T @ errors, errors.sum(0)]
        for i in range(2):
            decay = 0.0005 * 0.01 * weights[i]
            velocities[i] = 0.9 * velocities[i] - decay - 0.01 * gradients[i]
            weights[i] = weights[i] + velocities[i]
    assert np.abs(weights[0] - KERNEL).max() > 100 * 3e-5
    return weights


class LinearTensorFlow(TensorFlowAlexNet):
    """The linear classifier, with the training of `TensorFlowAlexNet`."""

    def __init__(self):
        self.variables = [tf.Variable(KERNEL), tf.Variable(BIAS)]
        self.velocities = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]

    def __call__(self, images, training=False):
        return tf.reshape(images, (-1, 4)) @ self.variables[0] + self.variables[1]


def test_update_of_tensorflow():
    network = LinearTensorFlow()
    network.training(IMAGES, LABELS)(5)
    for variable, value in zip(network.variables, trained(5), strict=True):
        np.testing.assert_allclose(variable, value, rtol=0, atol=3e-5)


def test_update_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is in the extra torch")
    network = PyTorchAlexNet(alexnet_config("cifar"), CLASSES)
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)).to(network.device)
    network.module = linear
    network.call = linear
    with torch.no_grad():
        for parameter, value in zip(linear.parameters(), (KERNEL.T, BIAS), strict=True):
            parameter.copy_(torch.from_numpy(value.copy()))
    network.training(IMAGES, LABELS)(5)
    for parameter, value in zip(linear.parameters(), trained(5), strict=True):
        found = parameter.detach().cpu().numpy()
        np.testing.assert_allclose(found, value.T, rtol=0, atol=3e-5)


def test_regularizers_of_keras_give_the_papers_decay(keras_model):
    with tf.GradientTape() as tape:
        loss = tf.add_n(keras_model.losses)
    gradients = tape.gradient(loss, keras_model.trainable_weights)
    for gradient, weight in zip(gradients, keras_model.trainable_weights, strict=True):
        np.testing.assert_allclose(gradient, 0.0005 * weight.numpy(), rtol=1e-5)


def test_update_of_keras(keras_model):
    last = keras_model.layers[-1]
    dense = keras.layers.Dense(
        3,
        kernel_regularizer=last.kernel_regularizer,
        bias_regularizer=last.bias_regularizer,
    )
    linear = keras.Sequential([keras.Input((1, 1, 4)), keras.layers.Flatten(), dense])
    optimizer = type(keras_model.optimizer).from_config(keras_model.optimizer.get_config())
    linear.compile(optimizer, keras_model.loss)
    linear.set_weights([KERNEL, BIAS])
    for _ in range(5):
        linear.train_on_batch(IMAGES, LABELS)
    for weight, value in zip(linear.get_weights(), trained(5), strict=True):
        np.testing.assert_allclose(weight, value, rtol=0, atol=3e-5)
