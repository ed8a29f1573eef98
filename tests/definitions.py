"""The operations as NumPy loops, written from their formulas."""

import math

import numpy as np


def conv2d(x, kernel, bias, stride, groups):
    """A convolution without padding, as loops over positions and kernels."""
    batch, height, width, _ = x.shape
    side, _, depth, filters = kernel.shape
    rows, columns = (height - side) // stride + 1, (width - side) // stride + 1
    y = np.zeros((batch, rows, columns, filters))
    for f in range(filters):
        first = f // (filters // groups) * depth
        for r in range(rows):
            for c in range(columns):
                patch = x[
                    :,
                    r * stride : r * stride + side,
                    c * stride : c * stride + side,
                    first : first + depth,
                ]
                y[:, r, c, f] = (patch * kernel[..., f]).sum((1, 2, 3)) + bias[f]
    return y


def locally_connected2d(x, kernel, bias, size, stride, zeros=(0, 0)):
    """A convolution with kernels of its own at each position, as loops over positions and weights.

    `zeros` rows and columns are added before and after the maps.
    """
    x = np.pad(x, [(0, 0), zeros, zeros, (0, 0)])
    batch, height, width, maps = x.shape
    rows, columns = (height - size) // stride + 1, (width - size) // stride + 1
    y = np.zeros((batch, rows, columns, kernel.shape[2]))
    for r in range(rows):
        for c in range(columns):
            for i in range(size):
                for j in range(size):
                    for m in range(maps):
                        weights = kernel[r * columns + c, (i * size + j) * maps + m]
                        y[:, r, c] += x[:, r * stride + i, c * stride + j, m, None] * weights
    return y if bias is None else y + bias


def local_response_normalization(
    a, size=5, k=2.0, alpha=1e-4, beta=0.75, divide_alpha=False, groups=1
):
    maps = a.shape[-1]
    b = np.zeros_like(a, "float64")
    scale = alpha / size if divide_alpha else alpha
    for i in range(maps):
        tower = i // (maps // groups)
        total = 0.0
        for j in range(i - size // 2, i + (size - 1) // 2 + 1):
            if 0 <= j < maps and j // (maps // groups) == tower:
                total = total + a[..., j].astype("float64") ** 2
        b[..., i] = a[..., i] / (k + scale * total) ** beta
    return b


def spatial_response_normalization(a, size=5, k=1.0, alpha=1e-3, beta=0.75):
    b = np.zeros_like(a, "float64")
    _, height, width, _ = a.shape
    for y in range(height):
        for x in range(width):
            total = 0.0
            for v in range(y - size // 2, y + (size - 1) // 2 + 1):
                for u in range(x - size // 2, x + (size - 1) // 2 + 1):
                    if 0 <= v < height and 0 <= u < width:
                        total = total + a[:, v, u].astype("float64") ** 2
            b[:, y, x] = a[:, y, x] / (k + alpha / size**2 * total) ** beta
    return b


def max_pool(x, pool_size, stride, function=np.max):
    """The largest or mean number of each window, over its positions inside the map.

    Every window begins inside the map.
    """
    rows, columns = (
        min(math.ceil((n - pool_size) / stride) + 1, math.ceil(n / stride)) for n in x.shape[1:3]
    )
    out = np.zeros((len(x), rows, columns, x.shape[-1]), x.dtype)
    for r in range(rows):
        for c in range(columns):
            window = x[:, r * stride : r * stride + pool_size, c * stride : c * stride + pool_size]
            out[:, r, c] = function(window, (1, 2))
    return out
