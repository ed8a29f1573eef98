import keras
import numpy as np
import pytest

from alexnet_keras import GroupedConv2D, implementation
from alexnet_keras.environment import has_bfloat16_arithmetic
from alexnet_keras.ops import dispatch
from alexnet_keras.ops.winograd import transform_matrices, winograd_conv
from tests.gradients import gradients

RATES = {"float32": 1e-5, "bfloat16": 0.02}  # largest difference by the largest value


def definition(x, kernel, bias, upstream):
    """A convolution with padding "same" and its three gradients, in float64, weight by weight."""
    x, kernel, bias, upstream = (array.astype("float64") for array in (x, kernel, bias, upstream))
    side, (height, width) = len(kernel), x.shape[1:3]
    before = (side - 1) // 2
    padded = np.pad(x, ((0, 0), (before, before), (before, before), (0, 0)))
    y = np.zeros(upstream.shape)
    padded_gradient = np.zeros(padded.shape)
    kernel_gradient = np.zeros(kernel.shape)
    for i in range(side):
        for j in range(side):
            seen = padded[:, i : i + height, j : j + width]
            y += seen @ kernel[i, j]
            padded_gradient[:, i : i + height, j : j + width] += upstream @ kernel[i, j].T
            kernel_gradient[i, j] = np.einsum("nhwi,nhwo->io", seen, upstream, optimize=True)
    x_gradient = padded_gradient[:, before : before + height, before : before + width]
    return [y + bias, x_gradient, kernel_gradient, upstream.sum((0, 1, 2))]


def check(mine, expected, rate):
    for ours, theirs in zip(mine, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=rate * np.abs(theirs).max())


def chosen_tile(layer, shape):
    """Returns the side of the tiles in a training; `None` for another implementation."""
    choice = layer.choose_implementation(shape, training=True)
    return choice.function.keywords["tile"] if choice.name == "winograd" else None


@pytest.mark.parametrize(("tile", "side"), [(2, 3), (4, 3), (2, 5), (4, 5)])
def test_matrices(tile, side, random):
    a, b, g = transform_matrices(tile, side)
    window = random.normal(size=tile + side - 1)
    weights = random.normal(size=side)
    expected = [sum(window[start + k] * weights[k] for k in range(side)) for start in range(tile)]
    np.testing.assert_allclose(
        a.T @ ((b.T @ window) * (g @ weights)), expected, rtol=1e-12, atol=1e-12
    )


def test_too_many_points():
    with pytest.raises(ValueError, match="at most 9. Received: tile=4, side=7"):
        transform_matrices(4, 7)


def test_matrices_of_the_paper():
    # F(2, 3) of Lavin and Gray, equation 8. A factor may move from a row of one matrix to the same
    # row of another. The comparison is therefore by products: the share of each product in each
    # output, for each input and weight.
    transposed_a = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    transposed_b = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    g = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    expected = np.einsum("oi,iw,ik->iowk", transposed_a, transposed_b, g)
    np.testing.assert_allclose(
        np.einsum("io,wi,ik->iowk", *transform_matrices(2, 3)), expected, rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize(
    ("images", "size", "side", "maps", "filters", "groups"),
    [
        (2, (7, 6), 3, 6, 8, 2),
        (2, (5, 8), 5, 3, 4, 1),
        (8, (13, 5), 3, 4, 6, 2),  # mosaics of two by two images need fewer tiles of 4
    ],
)
def test_is_the_definition(tile, images, size, side, maps, filters, groups, random):
    compare(tile, images, size, side, maps, filters, groups, random)


# With so many weights, a product takes all tiles of a row. The last are VGG's largest layers.
@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("tile", "size", "side", "maps", "filters", "groups"),
    [(2, (7, 6), 3, 360, 380, 2), (4, (6, 9), 5, 128, 256, 2), (4, (7, 6), 3, 512, 512, 1)],
)
def test_of_many_maps(tile, size, side, maps, filters, groups, random):
    compare(tile, 2, size, side, maps, filters, groups, random)


def compare(tile, images, size, side, maps, filters, groups, random):
    x = random.normal(size=(images, *size, maps)).astype("float32")
    kernel = random.normal(size=(side, side, maps // groups, filters)).astype("float32")
    upstream = random.normal(size=(images, *size, filters)).astype("float32")
    bias = random.normal(size=filters).astype("float32")
    output = winograd_conv(
        *map(keras.ops.convert_to_tensor, (x, kernel, bias)), tile, groups, "conv"
    )

    def weighted(*arrays):
        return keras.ops.multiply(winograd_conv(*arrays, tile, groups, "conv"), upstream)

    ours = [keras.ops.convert_to_numpy(output), *gradients(weighted, x, kernel, bias)]
    cut = zip(
        *(np.split(array, groups, axis=-1) for array in (x, kernel, bias, upstream)), strict=True
    )
    results = zip(*(definition(*parts) for parts in cut), strict=True)
    check(ours, [np.concatenate(parts, axis=-1) for parts in results], 1e-5)


# The full-size network's layers, with fewer images: kernels of 5x5 with sums over 27x27 positions,
# and the most maps.
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "images", "size", "side", "maps", "filters"),
    [
        # As few images as have the 2,500 positions that the method needs
        pytest.param("conv2", 4, 27, 5, 48, 128, marks=pytest.mark.one_backend),
        ("conv3", 16, 13, 3, 256, 384),
    ],
)
def test_layers_of_the_full_size_network(name, images, size, side, maps, filters, dtype, random):
    layer = GroupedConv2D(filters, side, padding="same", dtype=dtype)
    layer.build((None, size, size, maps))
    tile = chosen_tile(layer, (images, size, size, maps))
    by_method = {("tensorflow", "float32"), ("jax", "float32")}
    by_method |= {("tensorflow", "bfloat16")} if has_bfloat16_arithmetic() else set()
    if (keras.backend.backend(), dtype) not in by_method or (name, dtype) == ("conv2", "bfloat16"):
        assert tile is None
        return
    exact = [
        np.maximum(random.normal(size=(images, size, size, maps)), 0).astype("float32"),
        random.normal(0, 0.01, (side, side, maps, filters)).astype("float32"),
        random.normal(size=filters).astype("float32"),
        random.normal(size=(images, size, size, filters)).astype("float32"),
    ]
    # The arrays are rounded to bfloat16 first, so that only the layer's own loss is measured.
    arrays = [
        keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(a, dtype), "float32"))
        for a in exact
    ]
    upstream = arrays.pop()

    def convolved(*arrays):
        y = winograd_conv(*(keras.ops.cast(array, dtype) for array in arrays), tile, 1, name)
        return keras.ops.cast(y, "float32")

    ours = gradients(lambda *arrays: keras.ops.multiply(convolved(*arrays), upstream), *arrays)
    check(
        [keras.ops.convert_to_numpy(convolved(*arrays)), *ours],
        definition(*arrays, upstream),
        RATES[dtype],
    )


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="of TensorFlow and JAX")
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_training_uses_winograd(groups, options, random):
    layer = GroupedConv2D(120 * groups, 3, padding="same", groups=groups, name="conv", **options)
    x = random.normal(size=(16, 13, 13, 120 * groups)).astype("float32")
    layer.build(x.shape)
    if layer.use_bias:
        layer.bias.assign(random.normal(size=120 * groups).astype("float32"))
    assert chosen_tile(layer, x.shape) == 4
    assert layer.choose_implementation(x.shape, training=False).name == "reference"
    evaluated = keras.ops.convert_to_numpy(layer(x))
    check([keras.ops.convert_to_numpy(layer(x, training=True))], [evaluated], 1e-5)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="of TensorFlow and JAX")
@pytest.mark.parametrize(("dtype", "maps"), [("float32", 240), ("mixed_bfloat16", 480)])
def test_a_training_gives_the_same_weights(dtype, maps, random):
    # `fit`, in which TensorFlow does not know the batch size, on two groups with a bias.
    tile = 4
    if dtype == "mixed_bfloat16":  # elsewhere the definition computes both trainings
        tile = 2 if keras.backend.backend() == "tensorflow" and has_bfloat16_arithmetic() else None
    x = random.normal(size=(16, 13, 13, maps)).astype("float32")
    upstream = random.normal(size=(16, 13, 13, maps)).astype("float32")

    def loss(upstream, outputs):
        return keras.ops.sum(keras.ops.multiply(upstream, keras.ops.cast(outputs, "float32")))

    def changes():
        keras.utils.set_random_seed(0)
        layer = GroupedConv2D(maps, 3, padding="same", groups=2, dtype=dtype)
        first = keras.layers.Conv2D(maps, 1, use_bias=False, dtype=dtype)
        model = keras.Sequential([keras.Input(x.shape[1:]), first, layer])
        before = model.get_weights()
        model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=keras.backend.backend() == "jax")
        model.fit(x, upstream, batch_size=16, verbose=0)
        assert layer.kernel.dtype == "float32"
        tiles.append(chosen_tile(layer, (None, *x.shape[1:])))
        return [new - old for new, old in zip(model.get_weights(), before, strict=True)]

    tiles = []
    first, kernel, bias = changes()
    with implementation("reference"):
        expected = changes()
    assert tiles == [tile, None]
    # The exact sum of the bias' gradient: TensorFlow's own loses a fifth of it in bfloat16.
    if tile:
        expected[2] = -upstream.sum((0, 1, 2))
    check([first, kernel, bias], expected, {"float32": 1e-5, "mixed_bfloat16": 0.02}[dtype])


def test_where_a_training_uses_winograd(monkeypatch):
    def tile(
        shape=(None, 13, 13, 256), filters=384, kernel_size=3, padding="same", dtype=None, **options
    ):
        layer = GroupedConv2D(filters, kernel_size, padding=padding, dtype=dtype, **options)
        layer.build(shape)
        return chosen_tile(layer, shape)

    tiles = {"tensorflow": (4, 2), "jax": (4, None), "torch": (None, None)}[keras.backend.backend()]
    monkeypatch.setattr(dispatch, "has_bfloat16_arithmetic", lambda: False)
    assert (tile(), tile(dtype="mixed_bfloat16")) == (tiles[0], None)
    monkeypatch.setattr(dispatch, "has_bfloat16_arithmetic", lambda: True)
    assert (tile(), tile(dtype="mixed_bfloat16")) == tiles
    assert tile(dtype="mixed_float16") is None
    for options in (
        {"strides": 2},
        {"dilation_rate": 2},
        {"padding": "valid"},
        {"kernel_size": 7},
        {"filters": 16},
    ):
        assert tile(**options) is None
    # 51,200 weights, and 49,600
    few = {"shape": (None, 16, 16, 32), "kernel_size": 5}
    assert (tile(filters=64, **few), tile(filters=62, **few)) == (tiles[0], None)
    assert tile(dtype="mixed_bfloat16", groups=2) is None
    assert tile(shape=(None, 13, 13, 64), filters=192, kernel_size=5) == tiles[0]
    assert tile(shape=(None, 13, 13, 64), filters=193, kernel_size=5) is None
    assert tile(shape=(None, 13, 13, 65), filters=192, kernel_size=5) is None
    for shape in ((8, 13, 13, 256), (None, 6, 6, 256), (None, None, 13, 256), (None, 13, 65, 256)):
        assert tile(shape=shape) is None
    assert tile(shape=(None, 64, 64, 256)) == tiles[0]
    assert tile(shape=(8, 26, 26, 256)) == tiles[0]
    if keras.backend.backend() != "tensorflow":  # has no channels_first convolutions on a CPU
        assert tile(shape=(None, 256, 13, 13), data_format="channels_first") is None
