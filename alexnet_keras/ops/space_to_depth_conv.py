"""A strided convolution over few maps, as a convolution over blocks without a stride."""

from keras import ops


def space_to_depth_conv(x, kernel, stride: int):
    """Convolution without padding, over blocks of `stride` x `stride` positions.

    The maps of a block's positions become maps of one position. The kernel is filled up with zeros
    to whole blocks, and moves by one block.

    Args:
        x: tensor `(batch, height, width, maps)`.
        kernel: tensor `(kernel height, kernel width, maps, filters)`.
        stride: int, in positions.

    Returns:
        Tensor `(batch, new height, new width, filters)`.
    """
    height, width, maps, filters = kernel.shape
    # Blocks that a kernel covers.
    blocks_down = -(-height // stride)
    blocks_across = -(-width // stride)
    missing = [(0, blocks_down * stride - height), (0, blocks_across * stride - width)]
    kernel = ops.pad(kernel, [*missing, (0, 0), (0, 0)])
    kernel = ops.reshape(kernel, (blocks_down, stride, blocks_across, stride, maps, filters))
    kernel = ops.transpose(kernel, (0, 2, 1, 3, 4, 5))
    kernel = ops.reshape(kernel, (blocks_down, blocks_across, stride * stride * maps, filters))
    # Only the blocks that kernels cover; the last ones may be filled up with zeros.
    rows = (x.shape[1] - height) // stride + blocks_down
    columns = (x.shape[2] - width) // stride + blocks_across
    x = x[:, : rows * stride, : columns * stride]
    missing = [(0, rows * stride - x.shape[1]), (0, columns * stride - x.shape[2])]
    x = ops.pad(x, [(0, 0), *missing, (0, 0)])
    x = ops.reshape(x, (-1, rows, stride, columns, stride, maps))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    x = ops.reshape(x, (-1, rows, columns, stride * stride * maps))
    return ops.conv(x, kernel, padding="valid", data_format="channels_last")
