import keras
import numpy as np
import pytest

from alexnet_keras import CeilingMaxPooling2D
from tests.definitions import max_pool as definition
from tests.gradients import computed, differences, gradients

# Windows fit, or reach over one edge or both. Over both edges of an even square with 3 and 2, as in
# the network of figure 1, this is Keras' padding "same".
SIZES = [*((n, n) for n in range(4, 9)), *((n, n + 1) for n in range(4, 9))]
WINDOWS = [(2, 2), (3, 2), (3, 3), (2, 1), (2, 3), (1, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("pool_size", "stride"), WINDOWS)
def test_is_the_definition(size, pool_size, stride, random):
    # Negative, so that a border of zeros would change the maxima.
    x = random.normal(-5, 1, (2, *size, 3)).astype("float32")
    layer = CeilingMaxPooling2D(pool_size, stride)
    expected = definition(x, pool_size, stride)
    assert layer.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_array_equal(computed(layer, x), expected)
    rounded = keras.ops.cast(x, "bfloat16")
    out = CeilingMaxPooling2D(pool_size, stride, dtype="mixed_bfloat16")(rounded)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    x, out = (keras.ops.convert_to_numpy(keras.ops.cast(y, "float32")) for y in (rounded, out))
    np.testing.assert_array_equal(out, definition(x, pool_size, stride))


@pytest.mark.parametrize("size", [(7, 7), (8, 8), (7, 8)])
@pytest.mark.parametrize(("pool_size", "stride"), WINDOWS[:3])
def test_gradient(size, pool_size, stride, random):
    different = random.permutation(np.prod(size) * 2)
    x = different.reshape(1, *size, 2).astype("float32")
    weights = random.normal(size=definition(x, pool_size, stride).shape).astype("float32")
    layer = CeilingMaxPooling2D(pool_size, stride)
    (ours,) = gradients(lambda x: keras.ops.multiply(layer(x), weights), x)
    numeric = differences(lambda x: definition(x, pool_size, stride) * weights, x)
    np.testing.assert_allclose(ours, numeric, rtol=1e-5, atol=1e-5)


def test_sizes_of_the_paper():
    sizes = [
        CeilingMaxPooling2D(3, 2).compute_output_shape((None, n, n, 1))[1] for n in (55, 27, 13)
    ]
    assert sizes == [27, 13, 6]
    assert CeilingMaxPooling2D(2, 2).compute_output_shape((None, 55, 55, 1))[1] == 28


def test_keeps_its_config():
    layer = CeilingMaxPooling2D(2, 2, name="pool1")
    again = CeilingMaxPooling2D.from_config(layer.get_config())
    with pytest.raises(ValueError, match="`padding` must be 'valid'. Received: padding='same'"):
        CeilingMaxPooling2D(padding="same")
    assert (again.pool_size, again.strides, again.name) == ((2, 2), (2, 2), "pool1")


def test_an_input_of_unknown_size_is_refused():
    message = "input of layer 'pool1' must have a known height and width. Received: input shape="
    for shape in ((None, None, None, 3), (None, 7, None, 3)):
        with pytest.raises(ValueError, match=message):
            CeilingMaxPooling2D(name="pool1")(keras.Input(shape[1:]))
        with pytest.raises(ValueError, match=message):
            CeilingMaxPooling2D(name="pool1").compute_output_shape(shape)
