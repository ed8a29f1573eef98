"""A strided convolution over few maps as one without a stride over blocks of positions."""

from keras import ops


def space_to_depth_conv(x, kernel, stride):
    """A convolution without padding, whose stride is the side of blocks of positions.

    The maps of a block's positions become maps of one position. The kernel, filled up with zeros to
    whole blocks, moves by one block.

    Args:
        x: tensor `(batch, height, width, maps)`.
        kernel: tensor `(kernel height, kernel width, maps, filters)`.
        stride: int, in positions.

    Returns:
        Tensor `(batch, new height, new width, filters)`.
    """
    (height, width), (maps, filters) = kernel.shape[:2], kernel.shape[2:]
    blocks_down, blocks_across = (
        -(-height // stride),
        -(-width // stride),
    )  # that a kernel reaches over
    missing = [(0, blocks_down * stride - height), (0, blocks_across * stride - width)]
    kernel = ops.pad(kernel, [*missing, (0, 0), (0, 0)])
    kernel = ops.reshape(kernel, (blocks_down, stride, blocks_across, stride, maps, filters))
    kernel = ops.transpose(kernel, (0, 2, 1, 3, 4, 5))
    kernel = ops.reshape(kernel, (blocks_down, blocks_across, stride * stride * maps, filters))
    # Only the blocks that a kernel meets; the last may have to be filled up with zeros.
    rows = (x.shape[1] - height) // stride + blocks_down
    columns = (x.shape[2] - width) // stride + blocks_across
    x = x[:, : rows * stride, : columns * stride]
    missing = [(0, rows * stride - x.shape[1]), (0, columns * stride - x.shape[2])]
    x = ops.reshape(
        ops.pad(x, [(0, 0), *missing, (0, 0)]), (-1, rows, stride, columns, stride, maps)
    )
    x = ops.reshape(
        ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, stride * stride * maps)
    )
    return ops.conv(x, kernel, padding="valid", data_format="channels_last")
