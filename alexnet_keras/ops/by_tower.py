"""Operations with an axis of towers, which XLA can split over two devices."""

from collections.abc import Callable

from keras import ops

from alexnet_keras.ops.reference import same_padding


def conv2d_by_tower(x, kernel, strides: tuple, padding: str, groups: int):
    """Convolution in groups, as one product for each position of the kernel.

    Args:
        x: `(batch, height, width, maps)`.
        kernel: `(height, width, maps / groups, filters)`.
        strides: pair of ints, in positions.
        padding: `"valid"` or `"same"`.
        groups: number of towers.
    """
    height, width, maps, filters = kernel.shape
    if padding == "same":
        x = ops.pad(x, [(0, 0), *same_padding(x.shape[1:3], (height, width), strides), (0, 0)])
    rows = (x.shape[1] - height) // strides[0] + 1
    columns = (x.shape[2] - width) // strides[1] + 1
    x = ops.reshape(x, (-1, *x.shape[1:3], groups, maps))
    weights = ops.reshape(kernel, (height, width, maps, groups, filters // groups))
    y = 0.0
    for i in range(height):
        for j in range(width):
            part = x[:, i :: strides[0], j :: strides[1]][:, :rows, :columns]
            y += ops.cast(ops.einsum("nyxgi,igo->nyxgo", part, weights[i, j]), "float32")
    return ops.cast(ops.reshape(y, (-1, rows, columns, filters)), kernel.dtype)


def normalization_by_tower(x, groups: int, normalize: Callable):
    """Response normalization across the maps of each tower.

    Args:
        x: `(batch, ..., maps)`.
        groups: number of towers.
        normalize: function that normalizes `(batch, ..., towers, maps of a tower)` along the last
            axis.
    """
    towers = ops.reshape(x, (-1, *x.shape[1:-1], groups, x.shape[-1] // groups))
    return ops.reshape(normalize(towers), ops.shape(x))
