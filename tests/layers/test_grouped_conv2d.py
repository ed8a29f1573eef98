import keras
import numpy as np
import pytest

from alexnet_keras import GroupedConv2D
from tests.definitions import conv2d as definition
from tests.gradients import differences, gradients


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}])
def test_is_the_definition(groups, stride, options, random):
    layer = GroupedConv2D(6, 3, strides=stride, groups=groups, **options)
    x = random.normal(size=(2, 7, 6, 6)).astype("float32")
    layer.build(x.shape)
    kernel = random.normal(size=(3, 3, 6 // groups, 6))
    bias = random.normal(size=6)
    layer.set_weights([kernel, bias] if layer.use_bias else [kernel])
    expected = definition(x, kernel, bias if layer.use_bias else np.zeros(6), stride, groups)
    if options.get("activation"):
        expected = np.maximum(expected, 0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, rtol=1e-5, atol=1e-5)


def applied(layer, x, kernel, bias):
    """The output with weights that gradients are taken of."""
    with keras.StatelessScope(state_mapping=[(layer.kernel, kernel), (layer.bias, bias)]):
        return layer(x)


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_gradients(data_format, groups, stride, random):
    if data_format == "channels_first" and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow's convolutions on a CPU are channels_last")
    x = random.normal(size=(1, 5, 5, 6)).astype("float32")
    kernel = random.normal(size=(3, 3, 6 // groups, 6)).astype("float32")
    bias = random.normal(size=6).astype("float32")
    upstream = random.normal(size=definition(x, kernel, bias, stride, groups).shape).astype(
        "float32"
    )
    layer = GroupedConv2D(6, 3, strides=stride, groups=groups, data_format=data_format)
    layer.build(x.shape if data_format == "channels_last" else (1, 6, 5, 5))

    def weighted(x, w, b):
        if data_format == "channels_last":
            return keras.ops.multiply(applied(layer, x, w, b), upstream)
        y = applied(layer, keras.ops.transpose(x, (0, 3, 1, 2)), w, b)
        return keras.ops.multiply(keras.ops.transpose(y, (0, 2, 3, 1)), upstream)

    ours = gradients(weighted, x, kernel, bias)
    numeric = (
        differences(lambda x: definition(x, kernel, bias, stride, groups) * upstream, x),
        differences(lambda w: definition(x, w, bias, stride, groups) * upstream, kernel),
        differences(lambda b: definition(x, kernel, b, stride, groups) * upstream, bias),
    )
    for mine, theirs in zip(ours, numeric, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def test_bfloat16(random):
    # Whole numbers up to 8 are exact in bfloat16, and their products and sums are exact in float32.
    # Each result is then rounded to 8 bits once, or twice if a library adds up in parts.
    x, kernel, upstream = (
        random.randint(-8, 9, size=shape).astype("float32")
        for shape in ((2, 5, 5, 8), (3, 3, 4, 6), (2, 3, 3, 6))
    )
    layer = GroupedConv2D(6, 3, groups=2, dtype="mixed_bfloat16")
    layer.build(x.shape)
    bias = random.randint(-8, 9, size=6).astype("float32")
    layer.set_weights([kernel, bias])
    output = keras.ops.convert_to_numpy(keras.ops.cast(layer(x), "float32"))
    np.testing.assert_allclose(output, definition(x, kernel, bias, 1, 2), rtol=2**-7)

    def weighted(x, w, b):
        return keras.ops.multiply(keras.ops.cast(applied(layer, x, w, b), "float32"), upstream)

    numeric = (
        differences(lambda x: definition(x, kernel, bias, 1, 2) * upstream, x),
        differences(lambda w: definition(x, w, bias, 1, 2) * upstream, kernel),
        differences(lambda b: definition(x, kernel, b, 1, 2) * upstream, bias),
    )
    for mine, theirs in zip(gradients(weighted, x, kernel, bias), numeric, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2**-7, atol=0.01)


def test_weights_move_to_and_from_keras(random):
    x = random.normal(size=(2, 9, 9, 8)).astype("float32")
    theirs = keras.layers.Conv2D(12, 5, padding="same", groups=2)
    ours = GroupedConv2D(12, 5, padding="same", groups=2)
    expected = theirs(x)
    ours.build(x.shape)
    assert (
        [w.shape for w in ours.weights]
        == [w.shape for w in theirs.weights]
        == [(5, 5, 4, 12), (12,)]
    )
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(
        *(keras.ops.convert_to_numpy(y) for y in (ours(x), expected)), rtol=1e-4, atol=1e-5
    )


def test_keeps_its_config():
    layer = GroupedConv2D(
        8, 3, strides=2, groups=4, activation="relu", name="conv4", dtype="mixed_bfloat16"
    )
    assert GroupedConv2D.from_config(layer.get_config()).get_config() == layer.get_config()


def test_bad_arguments():
    with pytest.raises(ValueError, match="divides `filters`. Received: groups=3, filters=8"):
        GroupedConv2D(8, 3, groups=3)
    with pytest.raises(
        ValueError, match="number of maps that `groups` divides. Received: groups=4"
    ):
        GroupedConv2D(8, 3, groups=4).build((None, 9, 9, 6))
