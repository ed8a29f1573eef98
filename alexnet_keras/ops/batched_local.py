"""Locally connected layers as one product for all positions."""

from keras import ops

from alexnet_keras.ops.reference import same_padding


def batched_local(x, kernel, bias, kernel_size: tuple, strides: tuple, padding: str):
    """Computes `reference.locally_connected2d` as a batch of matrix products, one a position.

    The images are the last axis of the windows. Cutting windows then copies long runs of memory.

    Args:
        x, kernel, bias, kernel_size, strides, padding: as for `reference.locally_connected2d`.
    """
    height, width = kernel_size
    down, across = strides
    positions, weights, filters = kernel.shape
    pads = [(0, 0), (0, 0)]
    if padding == "same":
        pads = same_padding(x.shape[1:3], kernel_size, strides)
    x = ops.transpose(ops.pad(x, [(0, 0), *pads, (0, 0)]), (1, 2, 3, 0))
    rows = (x.shape[0] - height) // down + 1
    columns = (x.shape[1] - width) // across + 1
    parts = []
    for top in range(height):
        for left in range(width):
            bottom = top + (rows - 1) * down + 1
            right = left + (columns - 1) * across + 1
            parts.append(x[top:bottom:down, left:right:across])
    windows = ops.reshape(ops.concatenate(parts, axis=2), (positions, weights, -1))
    y = ops.matmul(ops.transpose(kernel, (0, 2, 1)), windows)
    y = ops.reshape(ops.transpose(y, (2, 0, 1)), (-1, rows, columns, filters))
    return y if bias is None else ops.add(y, bias)
