import keras
import numpy as np
import pytest
from keras import ops

from alexnet_keras import VGG, AlexNet
from alexnet_keras.explain import gradient, receptive_field
from alexnet_keras.layers import LocallyConnected2D

ALEXNET = AlexNet(include_top=False)


@pytest.mark.parametrize(
    ("layer", "size", "stride", "start"),
    [
        # The start goes back by the padding: 2 positions of 8 pixels in conv2, 1 of 16 in conv3 on.
        ("conv1", 11, 4, 0),
        ("norm1", 11, 4, 0),
        ("pool1", 19, 8, 0),
        ("conv2", 51, 8, -16),
        ("pool2", 67, 16, -16),
        ("conv3", 99, 16, -32),
        ("conv4", 131, 16, -48),
        ("conv5", 163, 16, -64),
        ("relu5", 163, 16, -64),
        ("pool5", 195, 32, -64),
    ],
)
def test_of_alexnet(layer, size, stride, start):
    field = receptive_field(ALEXNET, layer)
    assert (field.size, field.stride, field.start) == ((size,) * 2, (stride,) * 2, (start,) * 2)


def test_boxes():
    field = receptive_field(ALEXNET, "conv2")
    assert field.box(0, 0) == (-16, -16, 35, 35)
    assert field.box(2, 5) == (0, 24, 51, 75)


def test_the_second_normalization_of_the_source_sees_neighbors():
    # 51 pixels of conv2, and 2 positions of 8 pixels more at each side.
    network = AlexNet("source", include_top=False)
    assert receptive_field(network, "spatial_norm2").size == (83, 83)
    assert receptive_field(network, "spatial_norm2").start == (-32, -32)
    assert receptive_field(network, "pool2").size == (99, 99)


def test_fully_connected_units_and_vgg():
    network = VGG("A", classes=2, input_shape=(64, 64, 3), filters=(4,) * 5, units=(4, 4))
    # Each 3x3 convolution adds 2 positions, each pool 1: 3, 4, 8, 10, 18, 26, 30, 46, 62, 70, ...
    for layer, size, stride in (("conv1_1", 3, 1), ("pool1", 4, 2), ("conv3_2", 26, 4)):
        field = receptive_field(network, layer)
        assert (field.size, field.stride) == ((size, size), (stride, stride))
    for layer in ("flatten", "fc6", "fc8"):
        assert receptive_field(network, layer).box(0, 0) == (0, 0, 64, 64)


def probed_box(network, layer, row, column, random):
    """Bounding box of the pixels that a unit's gradient reaches, over images and maps."""
    output = network.get_layer(layer).output
    unit = keras.Model(network.inputs[0], output[:, row, column])
    images = random.normal(0, 60, (32, *network.input_shape[1:])).astype("float32")
    reached = np.abs(gradient(lambda x: unit(x, training=False), images)).sum((0, 3)) > 0
    rows, columns = (np.flatnonzero(reached.any(axis)) for axis in (1, 0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "pool2", "conv5"])
def test_is_what_gradients_reach(layer, random):
    keras.utils.set_random_seed(0)
    network = AlexNet(
        "small",
        include_top=False,
        input_shape=(112, 80, 3),
        filters=(8,) * 6,
        conv1_kernel_stddev=0.1,
    )
    field = receptive_field(network, layer)
    rows, columns = network.get_layer(layer).output.shape[1:3]
    for row, column in ((rows // 2, columns // 2), (0, columns - 1)):
        top, left, bottom, right = field.box(row, column)
        wanted = (max(top, 0), max(left, 0), min(bottom, 112), min(right, 80))
        assert probed_box(network, layer, row, column, random) == wanted


def test_paddings_strides_and_dilation(random):
    inputs = x = keras.Input((30, 33, 3))
    x = keras.layers.Conv2D(4, (3, 5), (1, 2), padding="same", name="wide")(x)
    x = keras.layers.ZeroPadding2D(((2, 0), (1, 0)), name="padded")(x)
    x = LocallyConnected2D(3, 2, strides=2, name="local")(x)
    x = keras.layers.AveragePooling2D(3, 2, padding="same", name="average")(x)
    x = keras.layers.Conv2D(4, 2, dilation_rate=2, name="dilated")(x)
    network = keras.Model(inputs, x)
    for layer in ("wide", "local", "average", "dilated"):
        top, left, bottom, right = receptive_field(network, layer).box(1, 2)
        wanted = (max(top, 0), max(left, 0), min(bottom, 30), min(right, 33))
        assert probed_box(network, layer, 1, 2, random) == wanted


def test_bad_arguments():
    with pytest.raises(
        ValueError,
        match="`layer` must be a layer of the network, image, pad1, .*Received: layer='conv9'",
    ):
        receptive_field(ALEXNET, "conv9")
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.UpSampling2D(name="larger")(inputs)
    with pytest.raises(ValueError, match="Received: layer 'larger', a UpSampling2D"):
        receptive_field(keras.Model(inputs, x), "larger")
    x = keras.layers.Conv2D(3, 3, padding="same", name="conv")(inputs)
    x = keras.layers.Activation("relu", name="relu")(ops.add(x, inputs))
    with pytest.raises(ValueError, match="a chain of layers. Received: layer 'relu' with other"):
        receptive_field(keras.Model(inputs, x), "relu")
