import functools
import io
import random as random_numbers
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet, AlexNetConfig
from alexnet_keras.models import PRESETS, alexnet_config
from alexnet_keras.models.alexnet_config import CONV_LAYERS
from tests import definitions, processes
from tests.gradients import computed

MAPS = {
    "conv1": (55, 55, 96),
    "pool1": (27, 27, 96),
    "conv2": (27, 27, 256),
    "pool2": (13, 13, 256),
    "conv3": (13, 13, 384),
    "conv4": (13, 13, 384),
    "conv5": (13, 13, 256),
    "pool5": (6, 6, 256),
    "fc6": (4096,),
    "fc7": (4096,),
    "fc8": (1000,),
}
PARAMETERS = {
    "conv1": 34_944,
    "conv2": 307_456,
    "conv3": 885_120,
    "conv4": 663_936,
    "conv5": 442_624,
    "fc6": 37_752_832,
    "fc7": 16_781_312,
    "fc8": 4_097_000,
}

SLIM = {"filters": (4,) * 6, "units": (8, 8)}


network = functools.cache(AlexNet)  # the random weights of the full-size ones take seconds


@pytest.mark.one_backend
def test_four_layer_network_of_cuda_convnet():
    model = AlexNet("four_layer", classes=10)
    # 25 * 3 * 32 + 32, 25 * 32 * 32 + 32, 25 * 32 * 64 + 64, and 4 * 4 * 64 * 10 + 10
    counts = {"conv1": 2_432, "conv2": 25_632, "conv3": 51_264, "fc8": 10_250}
    assert {
        layer.name: layer.count_params() for layer in model.layers if layer.count_params()
    } == counts
    assert [model.get_layer(f"pool{n}").output.shape[1:] for n in (1, 2, 3)] == [
        (16, 16, 32),
        (8, 8, 32),
        (4, 4, 64),
    ]
    names = [layer.name for layer in model.layers]
    assert not [name for name in names if name.startswith(("norm", "drop"))]
    assert "norm2" in [layer.name for layer in AlexNet("four_layer", normalization=True).layers]


@pytest.mark.one_backend
@pytest.mark.parametrize("preset", ["paper", "source"])
def test_counts_and_maps_of_the_paper(preset):
    model = network(preset)
    assert model.count_params() == 60_965_224
    assert {name: model.get_layer(name).output.shape[1:] for name in MAPS} == MAPS
    assert {name: model.get_layer(name).count_params() for name in PARAMETERS} == PARAMETERS
    neurons = sum(
        int(np.prod(shape)) for name, shape in MAPS.items() if not name.startswith("pool")
    )
    assert neurons == 659_272


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("preset", "parameters", "maps"),
    [
        ("torchvision", 61_100_840, 64),  # as torchvision documents
        ("bvlc_alexnet", 60_965_224, 96),
        ("caffenet", 60_965_224, 96),
    ],
)
def test_counts_of_published_weights(preset, parameters, maps):
    model = AlexNet(preset, initializer="zeros")
    assert model.count_params() == parameters
    assert model.get_layer("conv1").output.shape == (None, 55, 55, maps)


@pytest.mark.one_backend
def test_three_rows_and_columns_of_zeros_at_the_bottom_and_right():
    assert network("source").get_layer("pad1").padding == ((0, 3), (0, 3))


@pytest.mark.one_backend
def test_order_of_the_layers():
    names = [layer.name for layer in network("paper").layers]
    assert names == (
        "image pad1 conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 conv3 relu3 conv4 relu4 conv5 "
        "relu5 pool5 flatten fc6 drop6 fc7 drop7 fc8"
    ).split(" ")
    names = [layer.name for layer in network("source").layers]
    assert names == (
        "image pad1 conv1 norm1 pool1 relu1 conv2 relu2 norm2 spatial_norm2 pool2 conv3 relu3 "
        "conv4 relu4 conv5 pool5 relu5 flatten fc6 drop6 fc7 drop7 fc8"
    ).split(" ")


@pytest.mark.one_backend
def test_differences_of_the_source():
    paper = network("paper")
    source = network("source")
    assert [m.get_layer("norm1").divide_alpha for m in (paper, source)] == [False, True]
    assert [m.get_layer("norm2").groups for m in (paper, source)] == [2, 2]
    for layer in ("conv3", "conv4", "conv5"):
        deviations = [
            keras.ops.convert_to_numpy(m.get_layer(layer).kernel).std() for m in (paper, source)
        ]
        np.testing.assert_allclose(deviations, [0.01, 0.03], rtol=0.02)
    for layer in ("conv1", "conv2", "fc6", "fc7", "fc8"):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(source.get_layer(layer).kernel).std(), 0.01, rtol=0.03
        )
    biases = {name: float(keras.ops.mean(source.get_layer(name).bias)) for name in PARAMETERS}
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert biases == {name: float(name in ones) for name in PARAMETERS}


def test_a_configuration_leaves_the_random_numbers_alone():
    keras.utils.set_random_seed(0)
    before = random_numbers.getstate()
    alexnet_config("small", initializer="glorot_uniform")
    assert random_numbers.getstate() == before


@pytest.mark.one_backend
@pytest.mark.parametrize("initializer", ["gaussian", "he_normal"])
def test_conv1_has_its_own_start(initializer):
    options = {"classes": 10, "initializer": initializer}
    model = AlexNet("small", conv1_kernel_stddev=0.003, **options)
    default = AlexNet("small", conv1_kernel_stddev=None, **options)
    deviations = {
        layer: [
            keras.ops.convert_to_numpy(m.get_layer(layer).kernel).std() for m in (model, default)
        ]
        for layer in ("conv1", "conv2")
    }
    np.testing.assert_allclose(deviations["conv1"][0], 0.003, rtol=0.05)
    assert deviations["conv1"][1] > 0.009
    preset = keras.ops.convert_to_numpy(AlexNet("small", **options).get_layer("conv1").kernel).std()
    np.testing.assert_allclose(preset, 0.006, rtol=0.05)
    np.testing.assert_allclose(*deviations["conv2"], rtol=0.05)
    for value in (-0.1, float("nan"), "small"):
        with pytest.raises(
            ValueError, match=r"`conv1_kernel_stddev` must be .* Received: conv1_kernel_stddev="
        ):
            AlexNet("small", conv1_kernel_stddev=value)


@pytest.mark.one_backend
def test_one_tower():
    model = AlexNet("one_tower", initializer="zeros")
    assert [model.get_layer(f"conv{i}").filters for i in range(1, 6)] == [48, 128, 192, 192, 256]
    assert {model.get_layer(f"conv{i}").groups for i in range(1, 6)} == {1}
    assert model.get_layer("fc6").units == model.get_layer("fc7").units == 4096


@pytest.mark.one_backend
def test_conv6():
    model = AlexNet("conv6", initializer="zeros")
    conv6 = model.get_layer("conv6")
    assert conv6.kernel.shape == (3, 3, 256, 256)
    assert conv6.groups == 1
    assert conv6.output.shape[1:] == (6, 6, 256)
    names = [layer.name for layer in model.layers]
    assert names.index("pool5") < names.index("conv6") < names.index("fc6")


@pytest.mark.one_backend
def test_towers_exchange_only_in_conv3():
    model = AlexNet("small")
    assert [model.get_layer(f"conv{i}").groups for i in range(1, 6)] == [1, 2, 1, 2, 2]
    assert AlexNet("cifar", exchange=()).get_layer("conv3").groups == 2


@pytest.mark.one_backend
def test_network_of_tiny_imagenet():
    model = AlexNet("tiny_imagenet", input_shape=(56, 56, 3), classes=200)
    maps = {
        **{"conv1": (26, 26, 64), "pool1": (13, 13, 64), "conv2": (13, 13, 128)},
        **{"pool2": (6, 6, 128), "conv5": (6, 6, 128), "pool5": (3, 3, 128)},
    }
    assert {name: model.get_layer(name).output.shape[1:] for name in maps} == maps
    # Kernels of a tower see half the maps below, but for conv1 and conv3. Each unit has a bias.
    assert {layer.name: layer.count_params() for layer in model.layers if layer.weights} == {
        "conv1": 64 * (7 * 7 * 3 + 1),
        "conv2": 128 * (5 * 5 * 32 + 1),
        "conv3": 192 * (3 * 3 * 128 + 1),
        "conv4": 192 * (3 * 3 * 96 + 1),
        "conv5": 128 * (3 * 3 * 96 + 1),
        "fc6": 512 * (3 * 3 * 128 + 1),
        "fc7": 320 * (512 + 1),
        "fc8": 200 * (320 + 1),
    }
    assert model.count_params() == 1_428_872


@pytest.mark.one_backend
def test_non_overlapping_pools_keep_the_sizes():
    # Net 147: 2x2 windows with stride 2, conv2 padded by 1 and conv5 by 0.
    config = alexnet_config("source", pool_size=2, paddings=(0, 1, 1, 1, 0, 1))
    sizes = {name: size[0] for name, size in config.map_sizes().items()}
    assert sizes == {
        **{
            "conv1": 55,
            "pool1": 28,
            "conv2": 26,
            "pool2": 13,
            "conv3": 13,
            "conv4": 13,
            "conv5": 11,
            "pool5": 6,
        }
    }


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("overrides", "missing"),
    [
        ({"activation": "tanh"}, {"relu1", "relu2", "relu3", "relu4", "relu5"}),
        ({"normalization": False}, {"norm1", "norm2"}),
        ({"dropout": 0.0}, {"drop6", "drop7"}),
        ({"conv_layers": ("conv1", "conv2", "conv4", "conv5")}, {"conv3", "relu3"}),
        ({"conv_layers": ("conv1", "conv3", "conv4", "conv5")}, {"conv2", "relu2", "norm2"}),
        ({"hidden_layers": ("fc7",)}, {"fc6", "drop6"}),
    ],
)
def test_an_ablation_is_one_override(overrides, missing):
    whole = {layer.name for layer in AlexNet("cifar").layers}
    ablated = AlexNet("cifar", **overrides)
    assert whole - {layer.name for layer in ablated.layers} == missing
    assert (
        ablated.get_layer("pool5").output.shape[1:3]
        == AlexNet("cifar").get_layer("pool5").output.shape[1:3]
    )


@pytest.mark.one_backend
@pytest.mark.parametrize("preset", PRESETS)
def test_map_sizes_match_the_model(preset):
    config = alexnet_config(preset)
    model = AlexNet(preset, initializer="zeros")
    for name, size in config.map_sizes().items():
        assert model.get_layer(name).output.shape[1:3] == size
    assert model.input_shape[1:] == config.input_shape


def test_first_tower_does_not_see_the_second():
    model = AlexNet("cifar", exchange=(), classes=3)
    maps = keras.Model(
        model.input, [model.get_layer("pool1").output, model.get_layer("relu5").output]
    )
    images = np.random.RandomState(0).normal(0, 60, (1, 32, 32, 3)).astype("float32")
    before = computed(maps, images)
    conv1 = model.get_layer("conv1")
    kernel, bias = conv1.get_weights()
    kernel[..., 16:] *= -1  # the kernels of tower 2
    conv1.set_weights([kernel, bias])
    after = computed(maps, images)
    for b, a in zip(before, after, strict=True):
        half = b.shape[-1] // 2
        np.testing.assert_array_equal(b[..., :half], a[..., :half])
        assert np.abs(b[..., half:] - a[..., half:]).max() > 1e-3


def stored_weights(path):
    """Returns a dict from the layers of a `.keras` file to their arrays, without Keras."""
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    weights = {}
    with h5py.File(content) as file:
        for layer in file["layers"].values():
            arrays = layer["vars"]
            weights[arrays.attrs["name"]] = [array[()] for array in arrays.values()]
    return weights


def convolved(x, kernel, bias, groups):
    """Returns the convolution with padding "same"."""
    margin = len(kernel) // 2
    x = np.pad(x, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
    return definitions.conv2d(x, kernel, bias, 1, groups)


def relu(x):
    return np.maximum(x, 0)


def output_of_an_earlier_version(weights, images):
    """Returns the probabilities by the definitions, with the settings that the file has."""
    x = convolved(images / 64, *weights["conv1"], groups=1)
    x = definitions.local_response_normalization(x, groups=2)
    x = relu(definitions.max_pool(x, 3, 2))
    x = relu(convolved(x, *weights["conv2"], groups=2))
    x = definitions.local_response_normalization(x, groups=2)
    x = definitions.max_pool(definitions.spatial_response_normalization(x), 3, 2)
    x = relu(convolved(x, *weights["conv3"], groups=1))
    x = relu(convolved(x, *weights["conv4"], groups=2))
    x = convolved(x, *weights["conv5"], groups=2)
    x = relu(definitions.max_pool(x, 3, 2)).reshape(len(x), -1)
    for name in ("fc6", "fc7"):
        kernel, bias = weights[name]
        x = relu(x @ kernel + bias)
    kernel, bias = weights["fc8"]
    powers = np.exp(x @ kernel + bias)
    return powers / powers.sum(-1, keepdims=True)


def test_a_model_of_an_earlier_version_loads():
    # It has both normalizations, pools, towers and the optimizer, and was saved before the package
    # alexnet_keras.ops existed.
    path = Path(__file__).parent / "files" / "of_an_earlier_version.keras"
    model = keras.saving.load_model(path)
    images = np.random.RandomState(0).normal(0, 60, (6, 20, 20, 3)).astype("float32")
    expected = output_of_an_earlier_version(stored_weights(path), images)
    np.testing.assert_allclose(
        computed(lambda x: model(x, training=False), images), expected, atol=1e-5
    )
    model.compile(model.optimizer, model.loss)  # by the backend, not as the file says
    logs = model.train_on_batch(images, np.arange(6) % 3, return_dict=True)
    assert np.isfinite(logs["loss"])


@pytest.mark.one_backend
def test_saved_models_load_in_a_new_process(tmp_path, random):
    images = random.normal(0, 60, (2, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    before = keras.config.dtype_policy()
    expected = {}
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            # "cifar" with everything that "source" adds.
            stages = alexnet_config("source").stages
            model = AlexNet("cifar", classes=7, stages=stages, normalization_divide_alpha=True)
        finally:
            keras.config.set_dtype_policy(before)
        expected[policy] = keras.ops.convert_to_numpy(model(images))
        model.save(tmp_path / f"{policy}.keras")
    code = (
        "import alexnet_keras, keras, numpy as np\n"
        "for policy in ('float32', 'mixed_bfloat16'):\n"
        "    model = keras.saving.load_model(f'{policy}.keras')\n"
        "    np.save(policy, keras.ops.convert_to_numpy(model(np.load('images.npy'))))\n"
    )
    processes.run(["-c", code], cwd=tmp_path).check_returncode()
    for policy, output in expected.items():
        assert output.dtype == "float32"
        np.testing.assert_array_equal(np.load(tmp_path / f"{policy}.npy"), output)
    assert not np.array_equal(*expected.values())


def test_weights(tmp_path, random):
    images = random.normal(0, 60, (2, 32, 32, 3)).astype("float32")
    model = AlexNet("cifar", classes=5, **SLIM)
    for name in ("model.keras", "model.weights.h5"):
        path = str(tmp_path / name)
        model.save(path) if name == "model.keras" else model.save_weights(path)
        again = AlexNet("cifar", classes=5, weights=path, **SLIM)
        np.testing.assert_array_equal(*(computed(m, images) for m in (model, again)))
        with pytest.raises(ValueError, match="`weights` must be .* the weights of this model"):
            AlexNet("cifar", classes=6, weights=path, **SLIM)
        with pytest.raises(ValueError, match="`weights` must be .* the weights of this model"):
            AlexNet("small", classes=5, weights=path)
        with pytest.raises(ValueError, match="`weights` must be .* the weights of this model"):
            AlexNet("cifar", classes=5, weights=path, hidden_layers=("fc6",), **SLIM)
    source = str(tmp_path / "source.keras")
    order = {"classes": 5, "input_shape": (67, 67, 3), "filters": (8,) * 6, "units": (16, 12)}
    AlexNet("source", **order).save(source)
    with pytest.raises(ValueError, match="another order: stored norm1, requested relu1"):
        AlexNet("paper", **order, weights=source)
    wide = str(tmp_path / "wide.keras")
    AlexNet("cifar", classes=5, normalization_size=3, **SLIM).save(wide)
    with pytest.raises(
        ValueError, match="its layer norm1 has other constants: stored .*'size': 3.*'size': 5"
    ):
        AlexNet("cifar", classes=5, weights=wide, **SLIM)
    path = str(tmp_path / "model.keras")
    for options, name, where in (
        ({"activation": "tanh"}, "relu1", "in the file only"),
        ({"normalization": False}, "norm1", "in the file only"),
        ({"input_scale": 1.0}, "scale", "in the file only"),
    ):
        with pytest.raises(ValueError, match=f"its layer {name} is {where}"):
            AlexNet("cifar", classes=5, weights=path, **options, **SLIM)
    with pytest.raises(ValueError, match="its layer scale has other constants: .*'scale': 0.0156"):
        AlexNet("cifar", classes=5, weights=path, input_scale=0.5, **SLIM)
    AlexNet("cifar", classes=5, weights=path, dropout=0.1, **SLIM)
    conv6 = str(tmp_path / "conv6.keras")
    AlexNet("cifar", classes=5, conv_layers=CONV_LAYERS, **SLIM).save(conv6)
    with pytest.raises(ValueError, match="conv6/kernel is .* in the file, missing in the model"):
        AlexNet("cifar", classes=5, weights=conv6, **SLIM)
    for name, reason in (
        ("text.keras", "it is damaged, or a file of another kind"),
        ("text.weights.h5", "it is damaged, or a file of another kind"),
        ("missing.keras", "file not found"),
        ("missing.weights.h5", "file not found"),
        ("folder.weights.h5", "it is a folder"),
    ):
        if name.startswith("text"):
            (tmp_path / name).write_text("not a model")
        if name.startswith("folder"):
            (tmp_path / name).mkdir()
        with pytest.raises(
            ValueError,
            match=f"`weights` must be the path .* Received: weights='.*{name}': {reason}$",
        ):
            AlexNet("cifar", weights=str(tmp_path / name))


def without_names(path):
    """Takes the layers' names out of a file of weights, as before Keras wrote them."""
    with h5py.File(path, "a") as file:
        for group in file["layers"].values():
            del group["vars"].attrs["name"]


@pytest.mark.parametrize("old", [False, True])
def test_weights_of_a_trained_model(old, tmp_path):
    images = np.ones((2, 32, 32, 3), "float32")
    path = str(tmp_path / "trained.weights.h5")
    model = AlexNet("cifar", classes=3, **SLIM)
    model.compile(
        keras.optimizers.SGD(0.01, 0.9), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(
        images,
        np.arange(2),
        verbose=0,
        callbacks=[keras.callbacks.ModelCheckpoint(path, save_weights_only=True)],
    )
    if old:
        without_names(path)
    again = AlexNet("cifar", classes=3, **SLIM, weights=path)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="`weights` must be the path") as raised:
        AlexNet("cifar", classes=4, **SLIM, weights=path)
    assert old or str(raised.value).endswith(
        "fc8/kernel is (8, 3) in the file, (8, 4) in the model"
    )
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="`weights` must be the path"):
        AlexNet("cifar", classes=3, **SLIM, conv_layers=("conv1",), weights=path)


def test_logits(random):
    images = random.normal(0, 60, (2, 32, 32, 3)).astype("float32")
    probabilities = AlexNet("cifar", classes=4)
    logits = AlexNet("cifar", classes=4, classifier_activation=None)
    logits.set_weights(probabilities.get_weights())
    x = computed(logits, images).astype("float64")
    softmax = np.exp(x - x.max(-1, keepdims=True))
    softmax /= softmax.sum(-1, keepdims=True)
    np.testing.assert_allclose(computed(probabilities, images), softmax, rtol=1e-4, atol=1e-6)


def test_bad_arguments():
    with pytest.raises(
        ValueError, match="`preset` must be one of paper, source.* Received: preset='papers'"
    ):
        AlexNet("papers")
    with pytest.raises(
        ValueError, match="An override must be one of .*activation.* Received: activations"
    ):
        AlexNet("paper", activations="tanh")
    # pool5 needs 3 positions, so pool2 6 and pool1 12. Conv1 gives 12 from 52 pixels: 11 + 41 / 4,
    # rounded up.
    with pytest.raises(
        ValueError, match="height and width must be at least 52 pixels. Received: .*51, 51, 3"
    ):
        AlexNet("paper", input_shape=(51, 51, 3))
    assert AlexNetConfig(input_shape=(52, 52, 3)).map_sizes()["pool5"] == (1, 1)
    with pytest.raises(
        ValueError,
        match="`towers` must divide the filters .* Received: towers=3, 256 filters in conv2",
    ):
        AlexNet("paper", towers=3)
    with pytest.raises(ValueError, match=r"`dropout` must be a rate .* Received: dropout=1"):
        AlexNet("paper", dropout=1.0)
    with pytest.raises(ValueError, match="`normalization` must be True or False"):
        AlexNet("paper", normalization="off")
    with pytest.raises(ValueError, match="`conv_layers` must hold 'conv1'"):
        AlexNet("paper", conv_layers=("conv2",))
    with pytest.raises(
        ValueError,
        match=r"`units` must be 2 whole numbers, each at least 1. Received: units=\(16,\)",
    ):
        AlexNet("paper", units=(16,))
    with pytest.raises(ValueError, match="`strides` must be 6 whole numbers"):
        AlexNet("paper", strides=(0, 1, 1, 1, 1, 1))
    for field, value, expected in (
        ("activation", "reluu", "the name of an activation of Keras"),
        ("activation", None, "a name"),
        ("initializer", "foo", "the name of an initializer of Keras"),
        ("initializer", None, "a name"),
        ("normalization_k", 0, "positive"),
    ):
        message = f"`{field}` must be {expected}. Received: {field}={value!r}"
        with pytest.raises(ValueError, match=message):
            alexnet_config("paper", **{field: value})
    for field in ("normalization_alpha", "spatial_normalization_alpha"):
        with pytest.raises(ValueError, match=f"`{field}` must not be negative. Received: .*=-0.1"):
            alexnet_config("paper", **{field: -0.1})
    with pytest.raises(ValueError, match="`classes` must be a positive whole number"):
        AlexNet("paper", classes=0)


@pytest.mark.parametrize("preset", ["small", "cifar"])
def test_normalization_is_the_papers_though_pixel_values_are_scaled(preset, random):
    model = AlexNet(preset, classes=3)
    layer = model.get_layer("norm1")
    scale = alexnet_config(preset).input_scale
    assert scale == 1 / 64
    maps = model.get_layer("norm1").output.shape[-1]
    a = random.normal(0, 64, (2, 3, 3, 2, maps // 2))  # of pixel values 0-255, tower by tower
    padded = np.pad(np.square(a), [(0, 0)] * 4 + [(2, 2)])
    sums = sum(padded[..., start : start + maps // 2] for start in range(5))
    paper = (a / (2 + 1e-4 * sums) ** 0.75).reshape(2, 3, 3, maps)
    ours = layer((scale * a).reshape(2, 3, 3, maps).astype("float32"))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours) / scale, paper, rtol=1e-4)
