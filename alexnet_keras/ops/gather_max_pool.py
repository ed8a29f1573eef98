"""Max pooling whose gradient XLA computes at the speed of memory."""

import math

from keras import ops

from alexnet_keras.ops.reference import pad_to_ceiling


def gather_max_pool(x, pool_size, strides, ceil_mode=False):
    """The maximum of each window, and its gradient, as `reference.max_pool` gives them.

    XLA's own gradient scatters, element by element. Here the forward pass notes where in its window
    the maximum is, the first one where there are several. The gradient gathers: at each position,
    from the windows that hold it.

    Args:
        x, pool_size, strides, ceil_mode: as for `reference.max_pool`. Strides are at most the sides of
            the window, and a window has at most 128 positions.
    """
    if ceil_mode:
        x = pad_to_ceiling(x, pool_size, strides)
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:3], pool_size, strides, strict=True)]

    @ops.custom_gradient
    def function(x):
        y, where = None, 0
        for place, window in enumerate(_windows(x, pool_size, strides, counts)):
            if y is None:
                y = window
            else:
                where = ops.where(window > y, place, where)
                y = ops.maximum(y, window)

        where = ops.cast(where, "int8")  # what is kept for the gradient

        def gradient(*args, upstream=None):
            return _gathered(
                args[0] if upstream is None else upstream, where, x, pool_size, strides
            )

        return y, gradient

    return function(x)


def _windows(x, sizes, strides, counts):
    """For each place in a window, what all windows have there."""
    (rows, columns), (down, right) = counts, strides
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            yield x[
                :, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right
            ]


def _gathered(upstream, where, x, sizes, strides):
    """The gradient of the maxima of windows by the positions that they stand at, with the shape of `x`."""
    (height, width), (down, right), (rows, columns) = sizes, strides, upstream.shape[1:3]
    beyond = [
        (k - 1) // s for k, s in zip(sizes, strides, strict=True)
    ]  # windows that hold a position, less one
    lines = []
    for a in range(down):  # positions a, a + down, a + 2 * down, ...
        parts = []
        for b in range(right):
            total = 0.0
            for m in range(math.ceil((height - a) / down)):
                for n in range(math.ceil((width - b) / right)):
                    place = (a + m * down) * width + b + n * right
                    here = ops.where(where == place, ops.cast(upstream, "float32"), 0.0)
                    margin = [(0, 0), (m, beyond[0] - m), (n, beyond[1] - n), (0, 0)]
                    total = total + ops.pad(here, margin)
            parts.append(total)
        lines.append(ops.stack(parts, axis=3))
    gradient = ops.stack(lines, axis=2)
    gradient = ops.reshape(
        gradient, (-1, (rows + beyond[0]) * down, (columns + beyond[1]) * right, x.shape[-1])
    )
    gradient = gradient[:, : x.shape[1], : x.shape[2]]
    missing = [(0, n - m) for n, m in zip(x.shape[1:3], gradient.shape[1:3], strict=True)]
    return ops.cast(ops.pad(gradient, [(0, 0), *missing, (0, 0)]), x.dtype)
