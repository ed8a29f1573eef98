import gc

import keras
import numpy as np
import pytest

from alexnet_keras import VGG, VGG_PRESETS
from alexnet_keras.models import NETWORKS, build_network, network_config

# Convolutions of each stage and parameters, table 1 and table 2 of the paper to the last one.
PUBLISHED = {
    "A": ((1, 1, 2, 2, 2), 132_863_336),
    "A-LRN": ((1, 1, 2, 2, 2), 132_863_336),
    "B": ((2, 2, 2, 2, 2), 133_047_848),
    "C": ((2, 2, 3, 3, 3), 133_638_952),
    "D": ((2, 2, 3, 3, 3), 138_357_544),
    "E": ((2, 2, 4, 4, 4), 143_667_240),
}
NARROW = {"filters": (2, 3, 4, 5, 6), "units": (7, 8), "input_shape": (32, 32, 3), "classes": 4}


@pytest.mark.one_backend
def test_parameters_and_maps_of_the_paper():
    assert list(VGG_PRESETS) == list(PUBLISHED)
    for letter, (convolutions, parameters) in PUBLISHED.items():
        model = VGG(letter, initializer="zeros")  # which are there at once
        names = [layer.name for layer in model.layers]
        assert model.count_params() == parameters, letter
        assert (
            tuple(sum(n.startswith(f"conv{s}_") for n in names) for s in range(1, 6))
            == convolutions
        )
        maps = {
            f"pool{s}": (224 // 2**s, 224 // 2**s, width)
            for s, width in enumerate((64, 128, 256, 512, 512), 1)
        }
        assert {name: model.get_layer(name).output.shape[1:] for name in maps} == maps
        weights = sum(convolutions) + 3
        assert weights == {"A": 11, "A-LRN": 11, "B": 13, "C": 16, "D": 16, "E": 19}[letter]
        del model
        gc.collect()  # half a gigabyte each


def test_kernels_of_c_and_the_normalization_of_a_lrn():
    sizes = {
        layer.name: layer.kernel_size for layer in VGG("C", **NARROW).layers if "conv" in layer.name
    }
    assert {name for name, size in sizes.items() if size == (1, 1)} == {
        "conv3_3",
        "conv4_3",
        "conv5_3",
    }
    assert set(sizes.values()) == {(1, 1), (3, 3)}
    plain, normalized = (
        [layer.name for layer in VGG(letter, **NARROW).layers] for letter in ("A", "A-LRN")
    )
    assert normalized == [*plain[:2], "norm1", *plain[2:]]
    norm = VGG("A-LRN", **NARROW).get_layer("norm1")
    assert (norm.size, norm.k, norm.alpha, norm.beta, norm.groups) == (5, 2.0, 1e-4, 0.75, 1)


def test_is_the_definition(random):
    model = VGG("A", **NARROW, classifier_activation=None)
    for weight in model.weights:  # biases that show
        weight.assign(random.normal(0, 0.5, weight.shape))
    x = images = random.normal(0, 1, (2, 32, 32, 3)).astype("float32")
    for stage, count in enumerate(PUBLISHED["A"][0], 1):
        for number in range(1, count + 1):
            kernel, bias = model.get_layer(f"conv{stage}_{number}").get_weights()
            padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
            side = x.shape[1]
            shifted = [
                padded[:, r : r + side, c : c + side] @ kernel[r, c]
                for r in range(3)
                for c in range(3)
            ]
            x = np.maximum(sum(shifted) + bias, 0)
        side = x.shape[1] // 2
        x = x.reshape(2, side, 2, side, 2, -1).max((2, 4))
    x = x.reshape(2, -1)
    for name in ("fc6", "fc7", "fc8"):
        kernel, bias = model.get_layer(name).get_weights()
        x = x @ kernel + bias if name == "fc8" else np.maximum(x @ kernel + bias, 0)
    np.testing.assert_allclose(model.predict(images, verbose=0), x, rtol=1e-4, atol=1e-4)


def test_layers_start_from_the_same_weights_in_all_configurations():
    starts = {}
    for letter in PUBLISHED:
        keras.utils.set_random_seed(3)
        for layer in VGG(letter, **NARROW).layers:
            for weights in layer.get_weights()[:1]:
                before = starts.setdefault((layer.name, weights.shape), weights)
                np.testing.assert_array_equal(weights, before)
    kernel = (
        VGG("A", **{**NARROW, "units": (200, 200)}, initializer="gaussian")
        .get_layer("fc7")
        .get_weights()[0]
    )
    assert kernel.std() == pytest.approx(0.1, rel=0.05)  # variance 1e-2


def test_saves_and_loads(tmp_path, random):
    model = VGG("A-LRN", **NARROW)
    model.save(tmp_path / "vgg.keras")
    images = random.normal(0, 50, (2, 32, 32, 3)).astype("float32")
    again = VGG("A-LRN", **NARROW, weights=tmp_path / "vgg.keras")
    np.testing.assert_array_equal(
        again.predict(images, verbose=0), model.predict(images, verbose=0)
    )
    with pytest.raises(ValueError, match="`weights` must be the path of"):
        VGG("B", **NARROW, weights=tmp_path / "vgg.keras")


def test_networks_by_name():
    assert {"paper", "cifar", "vgg_A", "vgg_A-LRN", "vgg_E"} < set(NETWORKS)
    options = {name: value for name, value in NARROW.items() if name != "classes"}
    model = build_network(network_config("vgg_B", **options), classes=3)
    assert model.name == "vgg"
    assert model.output_shape == (None, 3)
    assert build_network(network_config("cifar"), classes=3).name == "alexnet"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"preset": "F"},
            "`preset` must be one of A, A-LRN, B, C, D, E, or a VGGConfig. Received: preset='F'",
        ),
        ({"preset": ["D"]}, "`preset` must be one of A, "),
        ({"filters": 8}, "`filters` must be a sequence. Received: filters=8"),
        (
            {"kernel_sizes": (3, 3), "filters": (1, 1)},
            "`kernel_sizes` must be a sequence of stages",
        ),
        ({"input_scale": "x"}, "`input_scale` must be a number. Received: input_scale='x'"),
        ({"normalization": 5}, "`normalization` must be True or False"),
        ({"towers": 2}, "An override must be one of input_shape, .* Received: towers"),
        ({"filters": (64, 128)}, "`filters` must be 5 positive whole numbers"),
        (
            {"kernel_sizes": ((3,), (2,)), "filters": (1, 1)},
            "`kernel_sizes` must be .* odd whole numbers",
        ),
        (
            {"input_shape": (31, 64, 3)},
            "`input_shape` is too small for 5 pools: .* at least 32 pixels",
        ),
        ({"dropout": 1.0}, "`dropout` must be a rate from 0"),
        ({"activation": None}, "`activation` must be a name. Received: activation=None"),
        ({"initializer": "foo"}, "`initializer` must be the name of an initializer of Keras"),
        ({"classes": 0}, "`classes` must be a positive whole number"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        VGG(**arguments)
