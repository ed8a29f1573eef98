"""That the peers are the same network: with our weights they give our probabilities."""

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
    torch = pytest.importorskip("torch", reason="PyTorch is in requirements-benchmarks.txt")
    peer = PyTorchPeer(CLASSES, compiled=compiled)
    assert sum(parameter.numel() for parameter in peer.module.parameters()) == PARAMETERS
    with torch.no_grad():
        for parameter, value in zip(peer.module.parameters(), ours.get_weights(), strict=True):
            if value.ndim == 4:
                value = value.transpose(3, 2, 0, 1)
            elif value.shape[0] == 9216:  # flattened as (row, column, map) here, as (map, row, column) there
                value = value.reshape(6, 6, 256, -1).transpose(3, 2, 0, 1).reshape(-1, 9216)
            elif value.ndim == 2:
                value = value.T
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        peer.module.eval()
        logits = peer.module(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), expected, atol=1e-5)
