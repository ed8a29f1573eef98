import math

import keras
import numpy as np
import pytest

from alexnet_keras import CeilingMaxPooling2D


@pytest.mark.parametrize("size", [4, 5, 6, 7, 8])
@pytest.mark.parametrize(("pool_size", "stride"), [(2, 2), (3, 2), (3, 3), (2, 1)])
def test_is_the_definition(size, pool_size, stride, random):
    x = random.normal(-5, 1, (2, size, size + 1, 3)).astype("float32")  # negative: a border of zeros would show
    layer = CeilingMaxPooling2D(pool_size, stride)
    out = keras.ops.convert_to_numpy(layer(x))
    rows, columns = (math.ceil((n - pool_size) / stride) + 1 for n in (size, size + 1))
    assert out.shape == layer.compute_output_shape(x.shape) == (2, rows, columns, 3)
    for r in range(rows):
        for c in range(columns):
            window = x[:, r * stride : r * stride + pool_size, c * stride : c * stride + pool_size]
            np.testing.assert_array_equal(out[:, r, c], window.max((1, 2)))


def test_sizes_of_the_paper():
    sizes = [CeilingMaxPooling2D(3, 2).compute_output_shape((None, n, n, 1))[1] for n in (55, 27, 13)]
    assert sizes == [27, 13, 6]
    assert CeilingMaxPooling2D(2, 2).compute_output_shape((None, 55, 55, 1))[1] == 28


def test_keeps_its_config():
    layer = CeilingMaxPooling2D(2, 2, name="pool1")
    again = CeilingMaxPooling2D.from_config(layer.get_config())
    with pytest.raises(ValueError, match="`padding` must be 'valid'. Received: padding='same'"):
        CeilingMaxPooling2D(padding="same")
    assert (again.pool_size, again.strides, again.name) == ((2, 2), (2, 2), "pool1")
