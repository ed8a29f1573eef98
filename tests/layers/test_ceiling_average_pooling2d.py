import keras
import numpy as np
import pytest

from alexnet_keras import CeilingAveragePooling2D
from tests.definitions import max_pool
from tests.gradients import differences, gradients


@pytest.mark.parametrize("size", [(4, 4), (5, 6), (8, 7)])
@pytest.mark.parametrize(("pool_size", "stride"), [(2, 2), (3, 2), (3, 3), (2, 3)])
def test_is_the_mean_of_what_lies_in_the_map(size, pool_size, stride, random):
    x = random.normal(5, 1, (2, *size, 3)).astype("float32")
    layer = CeilingAveragePooling2D(pool_size, stride)
    expected = max_pool(x, pool_size, stride, np.mean)
    assert layer.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, rtol=1e-5)


def test_by_hand():
    # Windows of 3 with stride 2 over 1, 2, 3, 4: the second has only 3 and 4.
    x = np.tile(np.array([1.0, 2.0, 3.0, 4.0], "float32").reshape(1, 1, 4, 1), (1, 3, 1, 1))
    out = keras.ops.convert_to_numpy(CeilingAveragePooling2D(3, 2)(x))
    np.testing.assert_allclose(out.ravel(), [2.0, 3.5], rtol=1e-6)


def test_no_window_begins_outside_the_map():
    # Windows of 2 with stride 3 over 1, 2, 3: a second one would begin at the missing fourth place.
    x = np.tile(np.array([1.0, 2.0, 3.0], "float32").reshape(1, 1, 3, 1), (1, 3, 1, 1))
    layer = CeilingAveragePooling2D(2, 3)
    assert layer.compute_output_shape(x.shape) == (1, 1, 1, 1)
    assert keras.ops.convert_to_numpy(layer(x)).ravel().tolist() == [1.5]


def test_gradient(random):
    x = random.normal(size=(1, 4, 5, 2)).astype("float32")
    weights = random.normal(size=max_pool(x, 3, 2).shape).astype("float32")
    layer = CeilingAveragePooling2D(3, 2)
    (ours,) = gradients(lambda x: keras.ops.multiply(layer(x), weights), x)
    numeric = differences(lambda x: max_pool(x, 3, 2, np.mean) * weights, x)
    np.testing.assert_allclose(ours, numeric, rtol=1e-4, atol=1e-5)


def test_keeps_its_config_and_refuses_unknown_sizes():
    layer = CeilingAveragePooling2D(3, 2, name="pool2")
    again = CeilingAveragePooling2D.from_config(layer.get_config())
    assert (again.pool_size, again.strides, again.name) == ((3, 3), (2, 2), "pool2")
    with pytest.raises(ValueError, match="`padding` must be 'valid'. Received: padding='same'"):
        CeilingAveragePooling2D(padding="same")
    with pytest.raises(ValueError, match="layer 'pool2' must have a known height and width"):
        CeilingAveragePooling2D(name="pool2")(keras.Input((None, 4, 3)))
