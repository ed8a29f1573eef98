import warnings

import keras
import numpy as np
import pytest

from alexnet_keras import (
    AlexNet,
    GroupedConv2D,
    LocalResponseNormalization,
    implementation,
    print_implementations,
)
from alexnet_keras.ops import dispatch
from tests.gradients import computed


def names(model, training):
    layers = [layer for layer in model.layers if hasattr(layer, "choose_implementation")]
    return {
        layer.name: layer.choose_implementation(layer.input.shape, training).name
        for layer in layers
    }


@pytest.fixture
def model():
    return AlexNet("source", classes=3, filters=(8,) * 6, units=(8, 8))


def test_the_reference_computes_every_layer(model, random):
    images = random.normal(0, 60, (2, 224, 224, 3)).astype("float32")
    before = computed(lambda x: model(x, training=False), images)
    with implementation("reference"):
        assert (
            set(names(model, True).values()) == set(names(model, False).values()) == {"reference"}
        )
        after = computed(lambda x: model(x, training=False), images)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-7)
    assert set(names(model, True).values()) != {"reference"}


def test_the_environment_chooses(model, monkeypatch):
    monkeypatch.setenv("ALEXNET_KERAS_IMPLEMENTATION", "reference")
    assert set(names(model, True).values()) == {"reference"}
    with implementation("analytic"):  # closer than the environment
        assert names(model, True)["norm1"] == "analytic"
    monkeypatch.setenv("ALEXNET_KERAS_IMPLEMENTATION", "fast")
    with pytest.raises(
        ValueError, match="`ALEXNET_KERAS_IMPLEMENTATION` must be one of reference, .* Received: "
    ):
        names(model, True)


def test_unknown_names():
    message = "`name` must be one of reference, .* Received: name='fastest'"
    with pytest.raises(ValueError, match=message), implementation("fastest"):
        pass


def test_prints_the_implementation_of_each_layer(model, capsys):
    text = print_implementations(model)
    assert capsys.readouterr().out == text + "\n"
    for layer in ("conv1", "norm1", "pool1", "spatial_norm2", "fc8"):
        assert any(line.startswith(layer) and ": " in line for line in text.splitlines())


def test_prints_the_layers_of_inner_models():
    x = keras.Input((7, 7, 96))
    network = keras.Model(x, GroupedConv2D(4, 3, name="conv")(x))
    y = keras.Input((7, 7, 96))
    lines = print_implementations(keras.Model(y, network(y))).splitlines()
    assert lines == print_implementations(network).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["conv"]


def test_small_batches_have_other_implementations():
    # At 7x7 positions, 2,500 positions of a batch need 52 images.
    if keras.backend.backend() == "torch":
        pytest.skip("Winograd's method is for TensorFlow and JAX")
    x = keras.Input((7, 7, 96))
    network = keras.Model(x, GroupedConv2D(128, 3, padding="same", name="conv")(x))
    lines = print_implementations(network, batch_size=52).splitlines()
    assert lines[0] == "Implementations on this machine, 52 images in a batch:"
    assert lines[1].startswith("conv          in training winograd: ")
    lines = print_implementations(network, batch_size=51).splitlines()
    assert lines[0] == "Implementations on this machine, 51 images in a batch:"
    assert lines[1].startswith("conv          reference: ")
    with pytest.raises(ValueError, match="`batch_size` must be a positive whole .*batch_size=0"):
        print_implementations(network, batch_size=0)


def test_a_layer_that_cannot_take_the_forced_implementation_is_named():
    x = keras.Input((9, 9, 4))
    strided = GroupedConv2D(2, 3, strides=2, name="strided")
    network = keras.Model(x, LocalResponseNormalization(name="norm")(strided(x)))
    message = "'strided' can't take the forced implementation 'winograd' here. It takes 'reference'"
    with implementation("winograd"):
        with pytest.warns(UserWarning, match=message):
            strided.choose_implementation((8, 9, 9, 4), True)
        with pytest.warns(UserWarning, match=message):
            text = print_implementations(network)
    line = text.splitlines()[1]
    assert line.startswith("strided       reference: winograd, which is forced, is not possible; ")
    with implementation("analytic"), warnings.catch_warnings():
        warnings.simplefilter("error")  # it is no implementation of a convolution
        assert names(network, True) == {"strided": "reference", "norm": "analytic"}


def on(backend, accelerator, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(dispatch, "has_accelerator", lambda: accelerator)


@pytest.mark.parametrize(
    ("backend", "accelerator", "conv1", "conv2", "normalization", "pool", "dense"),
    [
        ("tensorflow", False, "reference", "winograd", "analytic_xla", "reference", "swapped"),
        ("jax", False, "reference", "winograd", "analytic", "reference", "reference"),
        ("jax", True, "space_to_depth", "reference", "recomputing", "gather", "reference"),
        ("torch", False, "reference", "native", "analytic", "reference", "reference"),
        ("tensorflow", True, "reference", "native", "analytic", "reference", "reference"),
    ],
)
def test_the_fastest_for_each_machine(
    backend, accelerator, conv1, conv2, normalization, pool, dense, monkeypatch
):
    first = GroupedConv2D(96, 11, strides=4)
    second = GroupedConv2D(256, 5, padding="same", groups=2)
    first.build((None, 227, 227, 3))
    second.build((None, 27, 27, 96))
    on(backend, accelerator, monkeypatch)
    assert first.choose_implementation((None, 227, 227, 3), True).name == conv1
    assert second.choose_implementation((None, 27, 27, 96), True).name == conv2
    choice = dispatch.choose_local_response_normalization(4, 5, 2.0, 1e-4, 0.75, 2, True, "norm1")
    assert choice.name == normalization
    assert dispatch.choose_max_pool((None, 55, 55, 96), (3, 3), (2, 2), ceil_mode=True).name == pool
    assert dispatch.choose_dense(2, "float32", True, "fc6").name == dense
