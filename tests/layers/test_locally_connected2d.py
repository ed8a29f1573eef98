import keras
import numpy as np
import pytest

from alexnet_keras import LocallyConnected2D
from tests.definitions import locally_connected2d as definition
from tests.gradients import differences, gradients

numpy = keras.ops.convert_to_numpy


def layer_with_weights(random, input_shape, *args, **kwargs):
    """A layer, its random weights, and random inputs."""
    layer = LocallyConnected2D(*args, **kwargs)
    layer.build(input_shape)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer, layer.get_weights(), random.normal(size=input_shape).astype("float32")


@pytest.mark.parametrize(("padding", "zeros"), [("valid", (0, 0)), ("same", (1, 1))])
def test_is_the_definition(padding, zeros, random):
    layer, (kernel, bias), x = layer_with_weights(random, (2, 5, 4, 3), 6, 3, padding=padding)
    expected = definition(x, kernel, bias, 3, 1, zeros)
    assert layer.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-5, atol=1e-5)


def test_stride_and_activation_without_bias(random):
    layer, (kernel,), x = layer_with_weights(
        random, (2, 6, 4, 3), 5, 2, strides=2, activation="relu", use_bias=False
    )
    expected = np.maximum(definition(x, kernel, None, 2, 2), 0)
    assert layer.compute_output_shape((None, 6, 4, 3)) == (None, 3, 2, 5)
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-5, atol=1e-5)


def test_gradient(random):
    layer, (kernel, bias), x = layer_with_weights(random, (1, 3, 4, 2), 2, 3, padding="same")
    (ours,) = gradients(lambda x: keras.ops.square(layer(x)), x)
    numeric = differences(lambda x: definition(x, kernel, bias, 3, 1, (1, 1)) ** 2, x)
    np.testing.assert_allclose(ours, numeric, rtol=1e-3, atol=1e-3)


def test_equal_kernels_are_a_convolution(random):
    layer, (kernel, bias), x = layer_with_weights(random, (2, 5, 5, 3), 4, 3, padding="same")
    layer.set_weights([np.tile(kernel[:1], (25, 1, 1)), np.tile(bias[:1, :1], (5, 5, 1))])
    shared = kernel[0].reshape(3, 3, 3, 4)
    expected = numpy(keras.ops.conv(x, shared, padding="same", data_format="channels_last"))
    np.testing.assert_allclose(numpy(layer(x)), expected + bias[0, 0], rtol=1e-4, atol=1e-4)


def test_sizes_of_the_papers_network():
    # 36 positions of 6x6 maps, 64 kernels of 3x3x64 at each, and a bias for each.
    layer = LocallyConnected2D(64, 3, padding="same")
    layer.build((None, 6, 6, 64))
    assert layer.count_params() == 36 * 64 * (3 * 3 * 64 + 1)


def test_starts_from_the_fan_in_of_one_position():
    # He: the variance is 2 / fan-in, the fan-in 56 maps. 12,544 weights fix it within 2%.
    keras.utils.set_random_seed(0)
    layer = LocallyConnected2D(14, 1, kernel_initializer="he_normal")
    layer.build((None, 4, 4, 56))
    (kernel, _) = layer.get_weights()
    np.testing.assert_allclose(kernel.std(), (2 / 56) ** 0.5, rtol=0.03)
    assert len(np.unique(kernel)) > 12_500


def test_is_saved_with_its_config_and_weights(tmp_path, random):
    layer = LocallyConnected2D(
        3,
        (2, 1),
        strides=(1, 2),
        padding="same",
        activation="tanh",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.04),
        kernel_regularizer=keras.regularizers.L2(0.002),
        name="local3",
    )
    model = keras.Sequential([keras.Input((4, 5, 2)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = random.normal(size=(2, 4, 5, 2)).astype("float32")
    np.testing.assert_array_equal(numpy(again(x)), numpy(model(x)))
    assert again.get_layer("local3").get_config() == layer.get_config()
    assert LocallyConnected2D.from_config(layer.get_config()).get_config() == layer.get_config()


def test_mixed_precision(random, mixed_bfloat16):
    layer, (kernel, bias), x = layer_with_weights(random, (2, 4, 4, 3), 5, 3)
    out = layer(x)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    expected = definition(x, kernel, bias, 3, 1)
    out = numpy(keras.ops.cast(out, "float32"))
    np.testing.assert_allclose(out, expected, atol=2**-5 * np.abs(expected).max())


def test_bad_arguments_and_inputs():
    with pytest.raises(
        ValueError, match="`filters` must be a positive whole number. Received: filters=0"
    ):
        LocallyConnected2D(0, 3)
    with pytest.raises(
        ValueError, match="`kernel_size` must be one or two positive .* kernel_size=\\(3, 0\\)"
    ):
        LocallyConnected2D(4, (3, 0))
    with pytest.raises(
        ValueError, match="`strides` must be one or two positive .* Received: strides=0"
    ):
        LocallyConnected2D(4, 3, strides=0)
    with pytest.raises(
        ValueError, match="`padding` must be 'valid' or 'same'. Received: padding='causal'"
    ):
        LocallyConnected2D(4, 3, padding="causal")
    with pytest.raises(
        ValueError, match="layer 'local3' must have a known height, width and number of maps"
    ):
        LocallyConnected2D(4, 3, name="local3")(keras.Input((None, 6, 3)))
    with pytest.raises(
        ValueError, match="layer 'local3' must be at least as large as its kernels, \\(3, 3\\)"
    ):
        LocallyConnected2D(4, 3, name="local3")(keras.Input((2, 6, 3)))
    layer = LocallyConnected2D(4, 3)
    layer(np.zeros((1, 6, 6, 3), "float32"))
    with pytest.raises(
        ValueError, match="expected shape=\\(None, 6, 6, 3\\), found shape=\\(1, 7, 6, 3\\)"
    ):
        layer(np.zeros((1, 7, 6, 3), "float32"))
