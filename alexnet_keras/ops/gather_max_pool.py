"""Max pooling whose gradient gathers instead of scattering."""

import math

from keras import ops

from alexnet_keras.ops.reference import pad_to_ceiling


def gather_max_pool(x, pool_size: tuple, strides: tuple, ceil_mode: bool = False):
    """Returns the maximum of each window, with the gradient of `reference.max_pool`.

    XLA's own gradient scatters, element by element. Here the forward pass stores the place of the
    maximum in each window; of equal ones the first. The gradient gathers at each position from the
    windows that hold it.

    Args:
        x, pool_size, strides, ceil_mode: as for `reference.max_pool`. Strides are at most the sides
            of the window, and a window has at most 128 positions.
    """
    if ceil_mode:
        x = pad_to_ceiling(x, pool_size, strides)
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:3], pool_size, strides, strict=True)]

    @ops.custom_gradient
    def function(x):
        y = None
        where = 0
        for place, window in enumerate(_windows(x, pool_size, strides, counts)):
            if y is None:
                y = window
            else:
                where = ops.where(window > y, place, where)
                y = ops.maximum(y, window)

        where = ops.cast(where, "int8")  # kept for the gradient

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return _gather(upstream, where, x, pool_size, strides)

        return y, gradient

    return function(x)


def _windows(x, sizes, strides, counts):
    """Yields for each place in a window the values of all windows there."""
    rows, columns = counts
    down, right = strides
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            bottom = i + (rows - 1) * down + 1
            end = j + (columns - 1) * right + 1
            yield x[:, i:bottom:down, j:end:right]


def _gather(upstream, where, x, sizes, strides):
    """Returns the gradient of the windows' maxima, with the shape of `x`."""
    down, right = strides
    rows, columns = upstream.shape[1:3]
    # Number of windows that hold a position, less one.
    beyond = [(k - 1) // s for k, s in zip(sizes, strides, strict=True)]
    upstream = ops.cast(upstream, "float32")
    lines = []
    for i in range(down):
        parts = [_sum_at(upstream, where, sizes, strides, beyond, (i, j)) for j in range(right)]
        lines.append(ops.stack(parts, axis=3))
    gradient = ops.stack(lines, axis=2)
    shape = (-1, (rows + beyond[0]) * down, (columns + beyond[1]) * right, x.shape[-1])
    gradient = ops.reshape(gradient, shape)[:, : x.shape[1], : x.shape[2]]
    missing = [(0, n - m) for n, m in zip(x.shape[1:3], gradient.shape[1:3], strict=True)]
    return ops.cast(ops.pad(gradient, [(0, 0), *missing, (0, 0)]), x.dtype)


def _sum_at(upstream, where, sizes, strides, beyond, first):
    """Returns the gradient at `first` and at all positions that are multiples of strides away."""
    height, width = sizes
    down, right = strides
    i, j = first
    total = 0.0
    for m in range(math.ceil((height - i) / down)):
        for n in range(math.ceil((width - j) / right)):
            place = (i + m * down) * width + j + n * right
            here = ops.where(where == place, upstream, 0.0)
            margin = [(0, 0), (m, beyond[0] - m), (n, beyond[1] - n), (0, 0)]
            total = total + ops.pad(here, margin)
    return total
