import keras
import numpy as np
import pytest

from alexnet_keras.ops.gather_max_pool import gather_max_pool
from tests.gradients import gradients


def definition(x, sizes, strides, upstream=None):
    """Returns the maxima of windows; with a gradient of the maxima, the gradient of `x`.

    All of a window's gradient goes to its first maximum.
    """
    height, width = sizes
    down, right = strides
    rows = (x.shape[1] - height) // down + 1
    columns = (x.shape[2] - width) // right + 1
    y = np.zeros((len(x), rows, columns, x.shape[3]), x.dtype)
    gradient = np.zeros_like(x)
    for image, row, column, feature in np.ndindex(y.shape):
        window = x[
            image,
            row * down : row * down + height,
            column * right : column * right + width,
            feature,
        ]
        first = np.unravel_index(window.argmax(), window.shape)
        y[image, row, column, feature] = window[first]
        if upstream is not None:
            there = image, row * down + first[0], column * right + first[1], feature
            gradient[there] += upstream[image, row, column, feature]
    return y if upstream is None else gradient


@pytest.mark.parametrize(
    ("size", "sizes", "strides"),
    [
        ((13, 13), (3, 3), (2, 2)),  # the paper's
        ((8, 9), (3, 3), (2, 2)),  # no window reaches the last row
        ((6, 6), (2, 2), (2, 2)),
        ((7, 8), (2, 4), (1, 3)),
        ((9, 9), (5, 5), (2, 2)),
    ],
)
def test_is_the_definition(size, sizes, strides, random):
    x = random.randint(-2, 3, (2, *size, 3)).astype("float32")  # has many equal maxima
    y = definition(x, sizes, strides)
    upstream = random.normal(size=y.shape).astype("float32")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(gather_max_pool(x, sizes, strides)), y)
    (ours,) = gradients(
        lambda x: keras.ops.multiply(gather_max_pool(x, sizes, strides), upstream), x
    )
    np.testing.assert_allclose(ours, definition(x, sizes, strides, upstream), rtol=1e-5, atol=1e-6)


def test_bfloat16_and_nan(random):
    x = random.randint(-9, 9, (1, 7, 7, 2)).astype("float32")  # exact in bfloat16
    upstream = random.randint(-9, 9, (1, 3, 3, 2)).astype("float32")
    y = gather_max_pool(keras.ops.cast(x, "bfloat16"), (3, 3), (2, 2))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"

    def weighted(x):
        y = gather_max_pool(keras.ops.cast(x, "bfloat16"), (3, 3), (2, 2))
        return keras.ops.multiply(keras.ops.cast(y, "float32"), upstream)

    np.testing.assert_array_equal(
        gradients(weighted, x)[0], definition(x, (3, 3), (2, 2), upstream)
    )
    x[0, 3, 3, 0] = np.nan
    out = keras.ops.convert_to_numpy(gather_max_pool(x, (3, 3), (2, 2)))
    assert np.isnan(out[0, 1, 1, 0]) and not np.isnan(out[..., 1]).any()
