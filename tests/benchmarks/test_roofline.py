import pytest

from alexnet_keras import AlexNet
from benchmarks.layers import limit_milliseconds
from benchmarks.roofline import inference_flops, multiply_adds, training_flops

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
    return AlexNet(initializer="zeros")


def test_multiply_adds_of_the_full_size_network(model):
    assert multiply_adds(model) == COUNTS
    assert sum(COUNTS.values()) == 724_406_816


def test_flops(model):
    assert inference_flops(model) == 1_448_813_632
    # Three passes; conv1 needs no gradient of the image.
    assert training_flops(model) == 3 * 1_448_813_632 - 2 * 105_415_200


@pytest.mark.parametrize(
    ("layer", "batch_size", "operations"),
    [
        ("conv1", 10, 10 * 4 * COUNTS["conv1"]),
        ("conv2", 1, 6 * COUNTS["conv2"]),
        ("conv3", 10, 10 * 6 * COUNTS["conv3"]),
        ("fc8", 2, 2 * 6 * COUNTS["fc8"]),
    ],
)
def test_limit_of_a_layer_with_weights(layer, batch_size, operations):
    milliseconds = limit_milliseconds(layer, batch_size, product=1e11, bandwidth=1e10)
    assert milliseconds == pytest.approx(operations / 1e8)


@pytest.mark.parametrize(
    ("layer", "precision", "bytes_moved"),
    [
        ("norm1", "float32", 5 * 290_400 * 4),  # five tensors of 290,400 numbers
        ("norm1", "bfloat16", 5 * 290_400 * 2),
        ("pool1", "float32", (3 * 290_400 + 2 * 69_984) * 4),
        # Weight, velocity and gradient are read; weight and velocity are written.
        ("update of all weights", "float32", 5 * 60_965_224 * 4),
    ],
)
def test_limit_of_a_layer_without_weights(layer, precision, bytes_moved):
    milliseconds = limit_milliseconds(layer, 1, product=1e11, bandwidth=1e10, precision=precision)
    assert milliseconds == pytest.approx(bytes_moved / 1e7)
