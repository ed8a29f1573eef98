import pytest

from alexnet_keras import AlexNet
from benchmarks.layers import limit_milliseconds
from benchmarks.limits import inference_flops, multiply_adds, training_flops

# Positions x kernels x weights of a kernel; then inputs x units.
COUNTS = {
    "conv1": 55 * 55 * 96 * 11 * 11 * 3,
    "conv2": 27 * 27 * 256 * 5 * 5 * 48,
    "conv3": 13 * 13 * 384 * 3 * 3 * 256,
    "conv4": 13 * 13 * 384 * 3 * 3 * 192,
    "conv5": 13 * 13 * 256 * 3 * 3 * 192,
    "fc6": 9216 * 4096,
    "fc7": 4096 * 4096,
    "fc8": 4096 * 1000,
}


@pytest.fixture(scope="module")
def model():
    return AlexNet()


def test_multiply_adds_of_the_real_network(model):
    assert multiply_adds(model) == COUNTS
    assert sum(COUNTS.values()) == 724_406_816


def test_flops(model):
    assert inference_flops(model) == 1_448_813_632
    # Three passes; conv1 needs no gradient of the image.
    assert training_flops(model) == 3 * 1_448_813_632 - 2 * 105_415_200


def test_limits_of_layers():
    product, bandwidth = 1e11, 1e10
    assert limit_milliseconds("conv3", 10, product, bandwidth) == pytest.approx(
        10 * 6 * COUNTS["conv3"] / 1e8
    )
    assert limit_milliseconds("conv1", 10, product, bandwidth) == pytest.approx(
        10 * 4 * COUNTS["conv1"] / 1e8
    )
    assert limit_milliseconds("conv2", 1, product, bandwidth) == pytest.approx(
        6 * COUNTS["conv2"] / 1e8
    )
    assert limit_milliseconds("fc8", 2, product, bandwidth) == pytest.approx(
        2 * 6 * COUNTS["fc8"] / 1e8
    )
    # Five tensors of 290,400 numbers of four bytes; weight, velocity and gradient read, weight and velocity written.
    assert limit_milliseconds("norm1", 1, product, bandwidth) == pytest.approx(
        5 * 290_400 * 4 / 1e7
    )
    half = limit_milliseconds("norm1", 1, product, bandwidth, precision="bfloat16")
    assert half == pytest.approx(5 * 290_400 * 2 / 1e7)
    assert limit_milliseconds("pool1", 1, product, bandwidth) == pytest.approx(
        (3 * 290_400 + 2 * 69_984) * 4 / 1e7
    )
    assert limit_milliseconds("update of all weights", 1, product, bandwidth) == pytest.approx(
        5 * 60_965_224 * 4 / 1e7
    )
