"""Winograd's convolution, which multiplies fewer times than the definition: 4 to 6 times with tiles of 4."""

import functools
import math

import numpy as np
from keras import name_scope, ops

# Where polynomials are evaluated, besides infinity. Of so many points, these lose the fewest digits.
_POINTS = (0, 1, -1, 0.5, -2, -0.5, 2)


def winograd_convolution(inputs, kernel, bias, tile, groups, name):
    """A convolution in groups with stride 1 and padding "same", as matrix products alone.

    For each tile of the output, `tile` positions wide, a window of the input, `n = tile + side - 1` wide, and the
    kernel are both transformed to `n * n` values, which are multiplied, and the products are transformed to the tile:
    `n**2` products in place of `tile**2 * side**2`. At each of the `n**2` points they are a matrix product of maps. The
    transform of all tiles along an axis is a matrix product, too. The gradients are the transposes of these steps.

    With tiles of 4 or 2 in float32, outputs and gradients differ from the definition by less than 1e-5 of the largest
    one, with a kernel of 5x5 as long as a group has no more than 64 maps and 192 filters (1.2e-5 with 256 of each);
    with tiles of 2 and a kernel of 3x3 in bfloat16 by less than 2%, where products are summed in float32
    (`has_bfloat16_arithmetic`).

    Args:
        inputs: tensor `(batch, height, width, maps)`, of float32 or bfloat16. The kernel's transform is of float32.
        kernel: tensor `(side, side, maps / groups, filters)`, with an odd side.
        bias: tensor `(filters,)`.
        tile: int, positions.
        groups: int, which divides the maps and the filters.
        name: the layer's name; a profiler shows the gradients as `gradient_NAME`.

    Returns:
        Tensor `(batch, height, width, filters)`.

    Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
    """
    images, *sizes = inputs.shape[:3]
    side, _, maps, filters = kernel.shape
    points, filters = tile + side - 1, filters // groups
    # Two by two, with zeros between, images can need fewer tiles: 13 positions lie in 4 tiles of 4, two times 13 in 7.
    # With kernels of 5x5, sums over rows of their tiles would be too long.
    tiles, tiles_of_two = ([_tiles(tile, side, size, n) for size in sizes] for n in (1, 2))
    fewer = math.prod(tiles_of_two) < 4 * math.prod(tiles)
    in_a_row, tiles = (2, tiles_of_two) if images and images % 4 == 0 and side == 3 and fewer else (1, tiles)
    # The outputs of a tile can be transformed by themselves, in a smaller product. Then the tile comes before the
    # points, and all weights are read for each tile: this is faster where they fit into a cache.
    by_tile = in_a_row == 1 and groups * points**2 * maps * filters < 1_000_000
    strips = tiles if by_tile else (1, 1)
    output_sizes = [count * tile for count in tiles] if by_tile else sizes
    of_outputs, of_inputs = zip(*(_axis_matrices(tile, side, size, in_a_row, by_tile) for size in sizes), strict=True)

    def to_points(x, transforms, height, width):
        """`(groups, strips down, points, tiles in a strip * strips, points, tiles in a strip * images, maps)`."""
        down, across = (ops.cast(matrix, x.dtype) for matrix in transforms)
        if [height, width] != sizes:
            x = ops.pad(x, [(0, 0), (0, height - sizes[0]), (0, width - sizes[1]), (0, 0)])
        x = ops.reshape(x, (in_a_row, in_a_row, -1, height, width, groups, x.shape[-1] // groups))
        maps, x = x.shape[-1], ops.transpose(x, (5, 0, 3, 1, 4, 2, 6))
        x = ops.matmul(down, ops.reshape(x, (groups * in_a_row * height // down.shape[1], down.shape[1], -1)))
        strips_across = groups * points * tiles[0] * in_a_row * width // across.shape[1]
        x = ops.matmul(across, ops.reshape(x, (strips_across, across.shape[1], -1)))
        return ops.reshape(x, (groups, strips[0], points, tiles[0] // strips[0] * strips[1], points, -1, maps))

    def from_points(x, transforms, height, width):
        """The transpose of `to_points`."""
        down, across = (ops.cast(matrix.T, x.dtype) for matrix in transforms)
        maps, strips_across = x.shape[-1], groups * points * tiles[0] * in_a_row * width // across.shape[0]
        x = ops.matmul(across, ops.reshape(x, (strips_across, across.shape[1], -1)))
        x = ops.matmul(down, ops.reshape(x, (groups * in_a_row * height // down.shape[0], down.shape[1], -1)))
        x = ops.reshape(x, (groups, in_a_row, height, in_a_row, width, -1, maps))
        x = ops.reshape(ops.transpose(x, (1, 3, 5, 2, 4, 0, 6)), (-1, height, width, groups * maps))
        return x[:, : sizes[0], : sizes[1]]

    # In the kernel's gradient, a product sums over a row of tiles of all images; where that loses too many digits,
    # which the kernel's transform makes more of, over one tile of all images.
    sums = tiles[1] if side > 3 and not by_tile else 1

    def parts(x):
        return ops.reshape(x, (groups * tiles[0] * strips[1] * points**2, sums, -1, x.shape[-1]))

    @ops.custom_gradient
    def function(inputs, weights, bias):
        windows, rounded = to_points(inputs, of_inputs, *sizes), ops.cast(weights, inputs.dtype)
        outputs = from_points(ops.matmul(windows, rounded), of_outputs, *output_sizes) + ops.cast(bias, inputs.dtype)

        def gradient(*args, upstream=None):
            with name_scope(f"gradient_{name}"):
                upstream = to_points(args[0] if upstream is None else upstream, of_outputs, *output_sizes)
                transposed = ops.transpose(rounded, (0, 1, 2, 3, 4, 6, 5))
                of_input = from_points(ops.matmul(upstream, transposed), of_inputs, *sizes)
                of_weights = ops.matmul(ops.transpose(parts(windows), (0, 1, 3, 2)), parts(upstream))
                of_weights = ops.sum(ops.cast(of_weights, "float32"), axis=1)
                of_weights = ops.reshape(of_weights, (*upstream.shape[:5], maps, filters))
                # In two steps, as TensorFlow is slow to sum over axes that are apart.
                of_weights = ops.sum(ops.sum(of_weights, axis=3, keepdims=True), axis=1, keepdims=True)
                # At the point 1, the second in both directions, is the sum over a tile.
                of_bias = ops.sum(ops.cast(upstream[:, :, 1, :, 1], "float32"), axis=(1, 2, 3))
                return of_input, of_weights, ops.reshape(of_bias, (-1,))

        return outputs, gradient

    weights = ops.matmul(_of_kernel(tile, side), ops.reshape(ops.cast(kernel, "float32"), (side * side, -1)))
    weights = ops.transpose(ops.reshape(weights, (points, points, maps, groups, filters)), (3, 0, 1, 2, 4))
    weights = ops.reshape(weights, (groups, 1, points, 1, points, maps, filters))
    return function(inputs, weights, ops.cast(bias, "float32"))


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
def _of_kernel(tile, side):
    """The kernel's transform along both axes, `(n * n, side * side)`."""
    matrix = matrices(tile, side)[2]
    return np.einsum("iy,jx->ijyx", matrix, matrix).reshape(len(matrix) ** 2, -1).astype("float32")


def _tiles(tile, side, size, images):
    """Tiles of so many images in a row, between which a kernel needs `side // 2` zeros."""
    return -(-(images * size + (images - 1) * (side // 2)) // tile)


@functools.lru_cache
def _axis_matrices(tile, side, size, images, by_tile):
    """The transforms of outputs and of inputs along an axis, of so many images in a row.

    Returns:
        Two arrays of shape `(n * tiles, images * size)`, the points first; or, `by_tile`, that of a tile's outputs,
        `(n, tile)`, and that of the inputs with the tiles first.
    """
    tiles, before = _tiles(tile, side, size, images), side // 2
    positions = np.arange(images)[:, None] * (size + before) + np.arange(size)
    outputs, inputs = matrices(tile, side)[:2]

    def of_all_tiles(matrix, before):
        whole = np.zeros((len(matrix), tiles, (tiles + 1) * tile + side))
        for k in range(tiles):
            whole[:, k, k * tile : k * tile + matrix.shape[1]] = matrix
        return whole[:, :, before + positions.ravel()]

    inputs = of_all_tiles(inputs, before)
    inputs = inputs.swapaxes(0, 1) if by_tile else inputs
    outputs = outputs if by_tile else of_all_tiles(outputs, 0).reshape(-1, images * size)
    return outputs.astype("float32"), inputs.reshape(-1, images * size).astype("float32")
