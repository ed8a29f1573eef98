import keras
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.models.inspection import activation_after, layer_of

SMALL = {"filters": (4, 4, 4, 4, 4, 4), "units": (4, 4), "classes": 3}


@pytest.fixture(scope="module")
def source():
    return AlexNet("source", input_shape=(67, 67, 3), **SMALL)


@pytest.mark.parametrize(
    ("name", "between", "activation"),
    [
        ("conv1", ["norm1", "pool1"], "relu1"),  # the order of the 2012 source
        ("conv3", [], "relu3"),
        ("conv5", ["pool5"], "relu5"),
        ("fc6", [], None),  # its own
        ("pool1", [], None),
        ("relu1", [], None),
    ],
)
def test_the_activation_after_a_layer(source, name, between, activation):
    layers, found = activation_after(source, source.get_layer(name))
    assert [layer.name for layer in layers] == between
    assert getattr(found, "name", None) == activation


def test_no_activation_before_the_next_convolution():
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(2, 3, name="first"),
            keras.layers.Conv2D(2, 3, name="second"),
            keras.layers.ReLU(),
        ]
    )
    assert activation_after(network, network.get_layer("first")) == ([], None)
    assert activation_after(network, network.get_layer("second"))[1] is network.layers[-1]


def test_no_activation_behind_a_batch_normalization():
    layers = [keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    network = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    assert activation_after(network, layers[0]) == ([], None)


def test_each_branch_has_its_own_activation():
    inputs = keras.Input((8, 8, 3))
    a = keras.layers.Conv2D(2, 3, name="conv_a")(inputs)
    b = keras.layers.Conv2D(2, 3, name="conv_b")(inputs)
    a = keras.layers.ReLU(name="relu_a")(a)
    b = keras.layers.Activation("tanh", name="tanh_b")(b)
    network = keras.Model(inputs, keras.layers.Concatenate()([a, b]))
    names = [layer.name for layer in network.layers]
    assert names.index("conv_b") < names.index("relu_a")
    for name, activation in (("conv_a", "relu_a"), ("conv_b", "tanh_b")):
        layers, found = activation_after(network, network.get_layer(name))
        assert (layers, found.name) == ([], activation)


def test_no_activation_of_a_layer_that_a_skip_connection_takes_too():
    inputs = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    activated = keras.layers.ReLU()(maps)
    for outputs in (keras.layers.Add()([maps, activated]), keras.ops.add(maps, activated)):
        network = keras.Model(inputs, outputs)
        assert activation_after(network, network.get_layer("conv")) == ([], None)


def test_an_unknown_layer(source):
    assert layer_of(source, "pool5") is source.get_layer("pool5")
    with pytest.raises(
        ValueError,
        match="`layer` must be a layer of the network, image, .*, fc8. Received: layer='conv9'",
    ):
        layer_of(source, "conv9")
    with pytest.raises(
        ValueError, match="`weights` must have a layer conv9. Received: a model with image, .*, fc8"
    ):
        layer_of(source, "conv9", "weights")
