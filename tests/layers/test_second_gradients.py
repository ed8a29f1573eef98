"""Gradients of gradients, as gradient penalties and meta-learning take them."""

import keras
import numpy as np
import pytest
from keras import ops

from alexnet_keras import (
    CeilingMaxPooling2D,
    FullyConnected,
    GroupedConv2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
    distribution,
)
from alexnet_keras.layers import grouped_conv2d
from alexnet_keras.layers.max_pooling import max_pooling
from alexnet_keras.layers.winograd import winograd_convolution
from tests.gradients import differences, second_gradients, squared_gradients
from tests.layers.test_local_response_normalization import definition as across_maps
from tests.layers.test_spatial_response_normalization import definition as across_positions

ON_CPU_AND_GPU = [
    False,
    pytest.param(True, marks=pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend")),
]


@pytest.fixture(params=ON_CPU_AND_GPU, ids=["cpu", "as_on_a_gpu"])
def device(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(distribution, "has_accelerator", lambda: True)


def check_normalization(layer, definition, x, random, training):
    weights = random.normal(0, 1, x.shape).astype("float32")
    (ours,) = second_gradients(lambda x: ops.multiply(ops.square(layer(x, training=training)), weights), x)

    def penalty(x):
        return np.square(differences(lambda x: definition(x) ** 2 * weights, x))

    expected = differences(penalty, x)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("training", [True, False])  # with the denominators kept, and computed again
def test_normalization_by_hand(training, device):
    # One position with six maps; differences of the formula in float64 give these numbers.
    x = np.array([1, -2, 3, 0.5, 2, -1], "float32").reshape(1, 1, 1, 6)
    layer = LocalResponseNormalization(5, 2.0, 0.1, 0.75)
    (ours,) = second_gradients(
        lambda x: ops.multiply(layer(x, training=training), np.arange(1.0, 7.0, 1, "float32")), x
    )
    expected = [-0.0469, 0.1885, -1.6773, -0.9833, -3.7636, 0.9959]
    np.testing.assert_allclose(ours.ravel(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("size", "groups", "beta"), [(5, 1, 0.75), (4, 2, 0.75), (3, 2, 0.6)])
@pytest.mark.parametrize("training", [True, False])
def test_normalization_across_maps(size, groups, beta, training, device, random):
    layer = LocalResponseNormalization(size, 1.5, 0.3, beta, groups=groups)
    x = random.normal(0, 1.5, (2, 1, 1, 6)).astype("float32")
    check_normalization(layer, lambda x: across_maps(x, size, 1.5, 0.3, beta, groups=groups), x, random, training)


@pytest.mark.parametrize(("size", "beta"), [(2, 0.75), (3, 0.6)])
@pytest.mark.parametrize("training", [True, False])
def test_normalization_across_positions(size, beta, training, device, random):
    layer = SpatialResponseNormalization(size, 1.0, 0.9, beta)
    x = random.normal(0, 1.5, (1, 3, 2, 2)).astype("float32")
    check_normalization(layer, lambda x: across_positions(x, size, 1.0, 0.9, beta), x, random, training)


@pytest.mark.parametrize("training", [True, False])
def test_third_gradient(training, device):
    # That of the formula, which the backend differentiates operation by operation.
    def formula(x):
        squares = ops.pad(ops.square(x), [(0, 0), (0, 0), (0, 0), (2, 2)])
        return x / (2.0 + 0.1 * sum(squares[..., i : i + 6] for i in range(5))) ** 0.75

    x, weights = (np.array(row, "float32").reshape(1, 1, 1, 6) for row in ([1, -2, 3, 0.5, 2, -1], [1, 2, 3, 4, 5, 6]))
    layer = LocalResponseNormalization(5, 2.0, 0.1, 0.75)
    ours, expected = (
        second_gradients(squared_gradients(lambda x, f=f: ops.multiply(f(x), weights)), x)
        for f in (lambda x: layer(x, training=training), formula)
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def compare(ours, theirs, *arrays):
    """Ours against Keras' own, through a function whose second gradient is not zero."""
    pairs = (second_gradients(lambda *a, f=f: ops.tanh(f(*a)), *arrays) for f in (ours, theirs))
    for mine, plain in zip(*pairs, strict=True):
        np.testing.assert_allclose(mine, plain, rtol=0, atol=2e-5 * np.abs(plain).max())


def test_fully_connected_is_dense(random):
    x, kernel, bias = (random.normal(size=shape).astype("float32") for shape in ((3, 4), (4, 5), (5,)))

    def function(layer):
        layer.build(x.shape)
        return lambda x, *weights: layer.stateless_call(weights, [], x, training=True)[0]

    compare(function(FullyConnected(5)), function(keras.layers.Dense(5)), x, kernel, bias)


@pytest.mark.parametrize(("tile", "side"), [(4, 3), (2, 5)])
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="of TensorFlow and JAX")
def test_winograd_is_the_convolution(tile, side, monkeypatch, random):
    used = []
    monkeypatch.setattr(grouped_conv2d, "winograd_convolution", lambda *a: used.append(a) or winograd_convolution(*a))
    monkeypatch.setattr(GroupedConv2D, "winograd_tile", lambda *_: tile)
    shapes = ((2, 7, 7, 4), (side, side, 2, 6), (6,))
    x, kernel, bias = (random.normal(0, 0.3, shape).astype("float32") for shape in shapes)
    layer = GroupedConv2D(6, side, padding="same", groups=2)
    layer.build(x.shape)

    def ours(x, *weights):
        return layer.stateless_call(weights, [], x, training=True)[0]

    def theirs(x, kernel, bias):
        parts = zip(ops.split(x, 2, axis=-1), ops.split(kernel, 2, axis=-1), strict=True)
        return (
            ops.concatenate([ops.conv(*part, padding="same", data_format="channels_last") for part in parts], -1) + bias
        )

    compare(ours, theirs, x, kernel, bias)
    assert used


def test_pooling_is_that_of_keras(device, random):
    x = random.normal(size=(2, 7, 7, 3)).astype("float32")
    plain = keras.layers.MaxPooling2D(3, 2, data_format="channels_last")
    for pool in (CeilingMaxPooling2D(3, 2), lambda x: max_pooling(x, (3, 3), (2, 2))):
        compare(lambda x, pool=pool: pool(ops.tanh(x)), lambda x: plain(ops.tanh(x)), x)
