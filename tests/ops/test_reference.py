"""The definitions against NumPy loops and hand-computed numbers."""

import keras
import numpy as np
import pytest

from alexnet_keras.ops import reference
from tests import definitions
from tests.gradients import computed, differences, gradients

numpy = keras.ops.convert_to_numpy


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 20])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_local_response_normalization(size, groups, random):
    a = random.normal(0, 60, (2, 3, 4, 12)).astype("float32")
    out = computed(
        lambda x: reference.local_response_normalization(x, size, 2.0, 1e-4, 0.75, groups), a
    )
    expected = definitions.local_response_normalization(a, size, groups=groups)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def test_local_response_normalization_by_hand():
    # Maps 10, 20, 30 and size 3; the first sum is 100 + 400, the second 1400, the third 1300.
    out = reference.local_response_normalization(
        np.array([[10.0, 20.0, 30.0]], "float32"), 3, 1.0, 0.01, 0.5
    )
    np.testing.assert_allclose(numpy(out)[0], [10 / 6**0.5, 20 / 15**0.5, 30 / 14**0.5], rtol=1e-6)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_spatial_response_normalization(size, random):
    a = random.normal(0, 60, (2, 7, 6, 3)).astype("float32")
    out = computed(
        lambda x: reference.spatial_response_normalization(x, size, 1.0, 1e-3 / size**2, 0.75), a
    )
    np.testing.assert_allclose(
        out, definitions.spatial_response_normalization(a, size), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 1), (3, 2)])
def test_conv2d(groups, stride, random):
    x = random.normal(size=(2, 7, 6, 6)).astype("float32")
    kernel = random.normal(size=(3, 3, 6 // groups, 6))
    bias = random.normal(size=6)
    kernel = kernel.astype("float32")
    bias = bias.astype("float32")
    expected = definitions.conv2d(x, kernel, bias, stride, groups)
    out = computed(lambda *a: reference.conv2d(*a, stride, groups=groups), x, kernel, bias)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    without_bias = computed(
        lambda x, kernel: reference.conv2d(x, kernel, None, stride, groups=groups), x, kernel
    )
    np.testing.assert_allclose(without_bias + bias, expected, rtol=1e-5, atol=1e-5)


# Side of the kernels, stride, padding, and the zeros that "same" adds before and after 6 x 5 maps.
LOCAL = [
    (3, 1, "valid", (0, 0)),
    (3, 1, "same", (1, 1)),
    (2, 2, "valid", (0, 0)),
    (1, 1, "same", (0, 0)),
]


@pytest.mark.parametrize(("size", "stride", "padding", "zeros"), LOCAL)
def test_locally_connected2d(size, stride, padding, zeros, random):
    x = random.normal(size=(2, 6, 5, 3)).astype("float32")
    rows, columns = ((n + sum(zeros) - size) // stride + 1 for n in (6, 5))
    kernel = random.normal(size=(rows * columns, size * size * 3, 4)).astype("float32")
    bias = random.normal(size=(rows, columns, 4)).astype("float32")
    options = {"kernel_size": (size, size), "strides": (stride, stride), "padding": padding}
    out = computed(lambda *a: reference.locally_connected2d(*a, **options), x, kernel, bias)
    expected = definitions.locally_connected2d(x, kernel, bias, size, stride, zeros)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    without_bias = computed(
        lambda x, kernel: reference.locally_connected2d(x, kernel, None, **options), x, kernel
    )
    np.testing.assert_allclose(without_bias + bias, expected, rtol=1e-5, atol=1e-5)


def test_locally_connected2d_by_hand():
    # Two positions of a 1x2 kernel over (1, 2, 3): 1 * 10 + 2 * 20 + 5, then 2 * 30 + 3 * 40 + 6.
    x = np.array([1.0, 2.0, 3.0], "float32").reshape(1, 1, 3, 1)
    kernel = np.array([10.0, 20.0, 30.0, 40.0], "float32").reshape(2, 2, 1)
    bias = np.array([5.0, 6.0], "float32").reshape(1, 2, 1)
    out = reference.locally_connected2d(x, kernel, bias, kernel_size=(1, 2))
    assert numpy(out).ravel().tolist() == [55.0, 186.0]


@pytest.mark.parametrize("size", [(4, 4), (5, 6), (7, 7), (8, 8)])
@pytest.mark.parametrize(("pool_size", "stride"), [(2, 2), (3, 2), (3, 3), (2, 1), (2, 3)])
def test_max_pool(size, pool_size, stride, random):
    x = random.normal(-5, 1, (2, *size, 3)).astype(
        "float32"
    )  # negative: a border of zeros would show
    sizes = ((pool_size,) * 2, (stride,) * 2)
    out, down = computed(
        lambda x: [
            reference.max_pool(x, *sizes, ceil_mode=True),
            reference.max_pool(x, *sizes),
        ],
        x,
    )
    np.testing.assert_array_equal(out, definitions.max_pool(x, pool_size, stride))
    np.testing.assert_array_equal(down, out[:, : down.shape[1], : down.shape[2]])
    assert down.shape[1:3] == tuple((n - pool_size) // stride + 1 for n in size)


@pytest.mark.parametrize("size", [(4, 4), (5, 6), (7, 7), (8, 8)])
@pytest.mark.parametrize(("pool_size", "stride"), [(2, 2), (3, 2), (3, 3), (2, 1), (2, 3)])
def test_average_pool(size, pool_size, stride, random):
    x = random.normal(5, 1, (2, *size, 3)).astype("float32")  # zeros beyond the edge would show
    sizes = ((pool_size,) * 2, (stride,) * 2)
    out, down = computed(
        lambda x: [
            reference.average_pool(x, *sizes, ceil_mode=True),
            reference.average_pool(x, *sizes),
        ],
        x,
    )
    expected = definitions.max_pool(x, pool_size, stride, np.mean)
    np.testing.assert_allclose(out, expected, rtol=1e-5)
    np.testing.assert_allclose(down, expected[:, : down.shape[1], : down.shape[2]], rtol=1e-5)
    assert down.shape[1:3] == tuple((n - pool_size) // stride + 1 for n in size)


def test_dense(random):
    x, kernel, bias = random.normal(size=(3, 4)), random.normal(size=(4, 5)), random.normal(size=5)
    np.testing.assert_allclose(
        numpy(reference.dense(x, kernel, bias)), x @ kernel + bias, rtol=1e-5
    )
    np.testing.assert_allclose(numpy(reference.dense(x, kernel)), x @ kernel, rtol=1e-5)


def test_momentum_update_by_hand():
    # v = 0.9 * 2 - 0.1 * (3 + 0.5 * 4) = 1.3, w = 4 + 1.3
    weight, velocity = reference.momentum_update(4.0, 2.0, 3.0, 0.1, 0.9, 0.5)
    assert (weight, velocity) == pytest.approx((5.3, 1.3))


def test_gradient_of_the_formula(random):
    a = random.normal(0, 2, (2, 1, 2, 8)).astype("float32")
    (ours,) = gradients(
        lambda x: reference.local_response_normalization(x, 5, 2.0, 0.1, 0.75, 2), a
    )
    numeric = differences(
        lambda x: definitions.local_response_normalization(x, alpha=0.1, groups=2), a
    )
    np.testing.assert_allclose(ours, numeric, rtol=1e-5, atol=1e-5)
