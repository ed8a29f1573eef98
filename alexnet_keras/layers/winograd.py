"""Winograd's convolution, which multiplies fewer times than the definition: 4 to 6 times with tiles of 4."""

import functools
import math

import numpy as np
from keras import name_scope, ops

from alexnet_keras.distribution import computes_with

# Where polynomials are evaluated, besides infinity. Of so many points, these lose the fewest digits.
_POINTS = (0, 1, -1, 0.5, -2, -0.5, 2)


def winograd_convolution(inputs, kernel, bias, tile, name):
    """A convolution with stride 1 and padding "same", as sums, matrix products of maps, and sums.

    For each tile of the output, `tile` positions wide, a window of the input, `n = tile + side - 1` wide, and the
    kernel are both transformed to `n * n` values, which are multiplied, and the products are transformed to the tile:
    `n**2` products in place of `tile**2 * side**2`. Over all maps, tiles and images they are `n**2` matrix products.
    The gradients are the transposes of these steps.

    With tiles of 4 or 2 in float32, outputs and gradients differ from the definition by less than 1e-5 of the largest
    one; with tiles of 2 and a kernel of 3x3 in bfloat16 by less than 2%.

    Args:
        inputs: tensor `(batch, height, width, maps)`.
        kernel: tensor `(side, side, maps, filters)`, with an odd side.
        bias: tensor `(filters,)`.
        tile: int, positions.
        name: the layer's name; a profiler shows the gradients as `gradient_NAME`.

    Returns:
        Tensor `(batch, height, width, filters)`.

    Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
    """
    side, sizes = kernel.shape[0], tuple(inputs.shape[1:3])
    fuse = computes_with("tensorflow", accelerator=False)
    to_inputs, to_outputs, from_outputs, from_inputs = _transforms(tile, side, sizes, fuse)
    of_kernel = kernel_matrix(tile, side)
    points = len(of_kernel)
    # Long sums lose digits, which the kernel's transform makes more of: they are sums of those over rows of tiles, or
    # over tiles.
    tiles = [-(-size // tile) for size in sizes]
    sums = math.prod(tiles) if side > 3 else tiles[0]

    def rows(x, *parts):
        return ops.reshape(x, (points, *parts, -1, x.shape[-1]))

    @ops.custom_gradient
    def function(inputs, weights, bias):
        windows, rounded = to_inputs(inputs), ops.cast(weights, inputs.dtype)
        outputs = from_outputs(ops.matmul(rows(windows), rounded), bias)

        def gradient(*args, upstream=None):
            with name_scope(f"gradient_{name}"):
                upstream = to_outputs(args[0] if upstream is None else upstream)
                of_inputs = from_inputs(ops.matmul(rows(upstream), ops.transpose(rounded, (0, 2, 1))))
                of_weights = ops.matmul(ops.transpose(rows(windows, sums), (0, 1, 3, 2)), rows(upstream, sums))
                # At the point 1, the second in both directions, is the sum over a tile.
                of_bias = ops.sum(ops.cast(rows(upstream)[tile + side], "float32"), axis=0)
                return of_inputs, ops.sum(ops.cast(of_weights, "float32"), axis=1), of_bias

        return outputs, gradient

    maps, filters = kernel.shape[2:]
    weights = ops.matmul(of_kernel, ops.reshape(ops.cast(kernel, "float32"), (side * side, maps * filters)))
    return function(inputs, ops.reshape(weights, (points, maps, filters)), ops.cast(bias, "float32"))


@functools.lru_cache
def matrices(tile, side):
    """Three arrays such that `outputs.T @ ((inputs @ window) * (kernel @ weights))` are `tile` correlations.

    Args:
        tile: int, positions of the output.
        side: int, weights.

    Returns:
        `outputs` of shape `(n, tile)`, `inputs` of shape `(n, n)` and `kernel` of shape `(n, side)`, for windows of
        `n = tile + side - 1` positions.

    Raises:
        ValueError: for more than 8 positions.
    """
    if tile + side - 2 > len(_POINTS):
        raise ValueError(f"`tile` + `side` must be at most {len(_POINTS) + 2}. Received: tile={tile}, side={side}")
    # The coefficients of the product of two polynomials, of degrees tile - 1 and side - 1, follow from its values at
    # n - 1 points and at infinity: `inputs.T` are Lagrange's polynomials. The correlation is its transpose.
    points = np.array(_POINTS[: tile + side - 2])
    others = [np.delete(points, i) for i in range(len(points))]
    scales = [np.prod(point - rest) for point, rest in zip(points, others, strict=True)]

    def values(coefficients):
        return np.vstack([points[:, None] ** np.arange(coefficients), np.eye(coefficients)[-1]])

    lagrange = [np.append(np.poly(rest)[::-1], 0) for rest in others]
    inputs = np.vstack([*lagrange, np.poly(points)[::-1]])
    return values(tile), inputs, values(side) / np.array([*scales, 1])[:, None]


@functools.lru_cache
def kernel_matrix(tile, side):
    """The kernel's transform in both directions, `(n * n, side * side)`."""
    matrix = matrices(tile, side)[2]
    return np.einsum("jx,iy->jiyx", matrix, matrix).reshape(len(matrix) ** 2, -1).astype("float32")


@functools.lru_cache  # one function, which TensorFlow compiles once a shape
def _transforms(tile, side, sizes, fuse):
    outputs, inputs, _ = matrices(tile, side)
    tiles, before = [-(-size // tile) for size in sizes], side // 2

    def to_points(x, matrix, before):
        """`(points, rows of tiles, columns of tiles, batch, maps)` of `(batch, height, width, maps)`."""
        y = ops.transpose(ops.cast(x, "float32"), (1, 2, 0, 3))
        y = _to_points(y, 0, matrix, tile, tiles[0], before)
        y = _to_points(y, 2, matrix, tile, tiles[1], before)
        return ops.cast(ops.reshape(y, (len(matrix) ** 2, *tiles, -1, y.shape[-1])), x.dtype)

    def from_points(x, matrix, before, bias=0.0):
        """The transpose of `to_points`, and a bias."""
        y = ops.reshape(ops.cast(x, "float32"), (len(matrix), len(matrix), *tiles, -1, x.shape[-1]))
        y = _from_points(y, 2, matrix, tile, before, sizes[1])
        y = _from_points(y, 0, matrix, tile, before, sizes[0])
        return ops.cast(ops.transpose(y + bias, (2, 0, 1, 3)), x.dtype)

    functions = [
        lambda x: to_points(x, inputs, before),
        lambda x: to_points(x, outputs, 0),
        lambda x, bias: from_points(x, outputs, 0, bias),
        lambda x: from_points(x, inputs, before),
    ]
    if fuse:
        import tensorflow as tf

        return [tf.function(function, autograph=False, jit_compile=True) for function in functions]
    return functions


def _to_points(x, axis, matrix, tile, tiles, before):
    """The products of `matrix` and the windows along an axis, which becomes one of tiles; points come first."""
    reach = matrix.shape[1]
    margin = [(0, 0)] * len(x.shape)
    margin[axis] = (before, tile * (tiles - 1) + reach - before - x.shape[axis])
    x = ops.pad(x, margin)
    return ops.stack(_products(matrix, [_cut(x, axis, k, tile * (tiles - 1) + 1, tile) for k in range(reach)]))


def _from_points(x, axis, matrix, tile, before, size):
    """The transpose of `_to_points`: what is at a position is the sum over the windows that it is in."""
    parts = _products(matrix.T, [x[i] for i in range(len(matrix))])
    spread = -(-len(parts) // tile) - 1  # tiles that a window reaches beyond its own
    phases = []
    for phase in range(tile):
        total = 0.0
        for shift, part in enumerate(parts[phase::tile]):
            margin = [(0, 0)] * len(part.shape)
            margin[axis] = (shift, spread - shift)
            total += ops.pad(part, margin)
        phases.append(total)
    x = ops.stack(phases, axis=axis + 1)
    x = ops.reshape(x, [*x.shape[:axis], x.shape[axis] * tile, *(-1 if n is None else n for n in x.shape[axis + 2 :])])
    return _cut(x, axis, before, size)


def _products(matrix, parts):
    return [sum(float(factor) * part for factor, part in zip(row, parts, strict=True) if factor) for row in matrix]


def _cut(x, axis, start, length, step=1):
    return x[(slice(None),) * axis + (slice(start, start + length, step),)]
