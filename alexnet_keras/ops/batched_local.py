"""Locally connected layers as one product for all positions."""

import numpy as np
from keras import ops

from alexnet_keras.ops.reference import same_padding


def batched_local(x, kernel, bias, kernel_size: tuple, strides: tuple, padding: str):
    """Computes `reference.locally_connected2d` as a batch of matrix products, one a position.

    Every position's activities become a tensor of their own, maps by images. A window is then some
    of them in a row. Its gradient is a sum of parts, which is faster than the gradient of slices.

    Args:
        x, kernel, bias, kernel_size, strides, padding: as for `reference.locally_connected2d`.
    """
    height, width = kernel_size
    down, across = strides
    pads = [(0, 0), (0, 0)]
    if padding == "same":
        pads = same_padding(x.shape[1:3], kernel_size, strides)
    x = ops.transpose(ops.pad(x, [(0, 0), *pads, (0, 0)]), (1, 2, 3, 0))
    rows = (x.shape[0] - height) // down + 1
    columns = (x.shape[1] - width) // across + 1
    cells = [ops.unstack(row) for row in ops.unstack(x)]
    windows = []
    for position in range(rows * columns):
        top = position // columns * down
        left = position % columns * across
        window = [cells[top + i][left + j] for i, j in np.ndindex(height, width)]
        windows.append(ops.concatenate(window, axis=0))
    y = ops.matmul(ops.transpose(kernel, (0, 2, 1)), ops.stack(windows))
    y = ops.reshape(ops.transpose(y, (2, 0, 1)), (-1, rows, columns, kernel.shape[2]))
    return y if bias is None else ops.add(y, bias)
