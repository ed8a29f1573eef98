"""Winograd's convolution, with 4 to 6 times fewer products than the definition (tiles of 4)."""

import dataclasses
import functools
import math

import numpy as np
from keras import name_scope, ops

# Where polynomials are evaluated, besides infinity. Of so many points, these lose the fewest digits.
_POINTS = (0, 1, -1, 0.5, -2, -0.5, 2)


def winograd_conv(x, kernel, bias, tile, groups, name):
    """A convolution in groups with stride 1 and padding "same", as matrix products only.

    `Y = A^T [(G g G^T) * (B^T d B)] A` for each tile `Y` of the output, `tile` positions wide, with `g`
    the kernel and `d` the window of the input that the tile needs, `n = tile + side - 1` wide: `n**2`
    products rather than `tile**2 * side**2`. At each of the `n**2` points they are a matrix product of
    maps. The transform of all tiles along an axis is a matrix product, too. The gradients are the
    transposes of these steps.

    With tiles of 4 or 2 in float32, outputs and gradients differ from the definition by less than 1e-5
    of the largest one, with a kernel of 5x5 as long as a group has at most 64 maps and 192 filters.
    With tiles of 2 and a kernel of 3x3 in bfloat16 they differ by less than 2%, where products are
    summed in float32 (`has_bfloat16_arithmetic`).

    Args:
        x: tensor `(batch, height, width, maps)`, float32 or bfloat16. The kernel's transform is float32.
        kernel: tensor `(side, side, maps / groups, filters)`, with an odd side.
        bias: tensor `(filters,)`.
        tile: int, positions.
        groups: int, which divides the maps and the filters.
        name: the layer's name; a profiler shows the gradients as `gradient_NAME`.

    Returns:
        Tensor `(batch, height, width, filters)`.

    Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
    """
    tiling = _choose_tiling(x.shape, kernel.shape, tile, groups)

    @ops.custom_gradient
    def function(x, weights, bias):
        windows, rounded = tiling.transform_inputs(x), ops.cast(weights, x.dtype)
        y = tiling.inverse_of_outputs(ops.matmul(windows, rounded)) + ops.cast(bias, x.dtype)

        def gradient(*args, upstream=None):
            with name_scope(f"gradient_{name}"):
                return tiling.gradients(windows, rounded, args[0] if upstream is None else upstream)

        return y, gradient

    return function(x, tiling.transform_kernel(kernel), ops.cast(bias, "float32"))


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How the output of a convolution is divided into tiles, and the transforms of all tiles.

    Args:
        tile: side of a tile, in positions.
        side: side of the kernel, in positions.
        sizes: height and width of the maps.
        maps, filters: of a group.
        groups: number of groups.
        row: images that stand side by side and one below the other, with zeros between: two by two
            they can need fewer tiles. 13 positions lie in 4 tiles of 4, two times 13 in 7.
        by_tile: whether each tile is transformed by itself. Then the tile comes before the points, and
            all weights are read for each tile, which is faster where they fit into a cache.
    """

    tile: int
    side: int
    sizes: tuple
    maps: int
    filters: int
    groups: int
    row: int
    by_tile: bool

    @property
    def points(self):
        """Points along an axis, `n`."""
        return self.tile + self.side - 1

    @property
    def tiles(self):
        """Number of tiles down and across."""
        return tuple(_count_tiles(self.tile, self.side, size, self.row) for size in self.sizes)

    @property
    def strips(self):
        """Number of parts, down and across, that are transformed by themselves."""
        return self.tiles if self.by_tile else (1, 1)

    def transform_inputs(self, x):
        """`B^T d B` of the windows of all tiles."""
        return self._to_points(x, [self._matrices(size)[1] for size in self.sizes], self.sizes)

    def inverse_of_outputs(self, x):
        """`A^T x A`: from the products at all points to `(batch, height, width, filters)`."""
        return self._from_points(x, [self._matrices(size)[0] for size in self.sizes], self._covered)

    def transform_kernel(self, kernel):
        """`G g G^T` of all kernels, float32 `(groups, 1, points, 1, points, maps, filters)`."""
        points, side = self.points, self.side
        weights = ops.reshape(ops.cast(kernel, "float32"), (side * side, -1))
        weights = ops.matmul(_kernel_transform(self.tile, side), weights)
        weights = ops.reshape(weights, (points, points, self.maps, self.groups, self.filters))
        weights = ops.transpose(weights, (3, 0, 1, 2, 4))
        return ops.reshape(weights, (self.groups, 1, points, 1, points, self.maps, self.filters))

    def gradients(self, windows, weights, upstream):
        """The gradients of the inputs, of the transformed kernels and of the bias.

        Args:
            windows: of `transform_inputs`.
            weights: of `transform_kernel`, in the dtype of the inputs.
            upstream: gradient of the output.
        """
        outputs = [self._matrices(size)[0] for size in self.sizes]
        inputs = [self._matrices(size)[1] for size in self.sizes]
        upstream = self._to_points(upstream, outputs, self._covered)
        transposed = ops.transpose(weights, (0, 1, 2, 3, 4, 6, 5))
        of_inputs = self._from_points(ops.matmul(upstream, transposed), inputs, self.sizes)
        of_weights = ops.matmul(
            ops.transpose(self._split_sum(windows), (0, 1, 3, 2)), self._split_sum(upstream)
        )
        of_weights = ops.sum(ops.cast(of_weights, "float32"), axis=1)
        of_weights = ops.reshape(of_weights, (*upstream.shape[:5], self.maps, self.filters))
        # In two steps, as TensorFlow is slow to sum over axes that are apart.
        of_weights = ops.sum(ops.sum(of_weights, axis=3, keepdims=True), axis=1, keepdims=True)
        # At the point 1, the second in both directions, is the sum over a tile.
        of_bias = ops.sum(ops.cast(upstream[:, :, 1, :, 1], "float32"), axis=(1, 2, 3))
        return of_inputs, of_weights, ops.reshape(of_bias, (-1,))

    @property
    def _covered(self):
        """Height and width of the positions that the transform of outputs covers."""
        return tuple(count * self.tile for count in self.tiles) if self.by_tile else self.sizes

    def _matrices(self, size):
        return _axis_matrices(self.tile, self.side, size, self.row, self.by_tile)

    def _strips_across(self, width, matrix_width):
        return self.groups * self.points * self.tiles[0] * self.row * width // matrix_width

    def _to_points(self, x, transforms, covered):
        """`(groups, strips down, points, tiles in a strip * strips, points, tiles in a strip * images, maps)`."""
        (height, width), row, groups, maps = (
            covered,
            self.row,
            self.groups,
            x.shape[-1] // self.groups,
        )
        down, across = (ops.cast(matrix, x.dtype) for matrix in transforms)
        if covered != self.sizes:
            x = ops.pad(
                x, [(0, 0), (0, height - self.sizes[0]), (0, width - self.sizes[1]), (0, 0)]
            )
        x = ops.reshape(x, (row, row, -1, height, width, groups, maps))
        x = ops.transpose(x, (5, 0, 3, 1, 4, 2, 6))
        x = ops.matmul(
            down, ops.reshape(x, (groups * row * height // down.shape[1], down.shape[1], -1))
        )
        strips = self._strips_across(width, across.shape[1])
        x = ops.matmul(across, ops.reshape(x, (strips, across.shape[1], -1)))
        in_strips = self.tiles[0] // self.strips[0] * self.strips[1]
        return ops.reshape(
            x, (groups, self.strips[0], self.points, in_strips, self.points, -1, maps)
        )

    def _from_points(self, x, transforms, covered):
        """The transpose of `_to_points`."""
        (height, width), row, groups, maps = covered, self.row, self.groups, x.shape[-1]
        down, across = (ops.cast(matrix.T, x.dtype) for matrix in transforms)
        strips = self._strips_across(width, across.shape[0])
        x = ops.matmul(across, ops.reshape(x, (strips, across.shape[1], -1)))
        x = ops.matmul(
            down, ops.reshape(x, (groups * row * height // down.shape[0], down.shape[1], -1))
        )
        x = ops.reshape(x, (groups, row, height, row, width, -1, maps))
        x = ops.reshape(ops.transpose(x, (1, 3, 5, 2, 4, 0, 6)), (-1, height, width, groups * maps))
        return x[:, : self.sizes[0], : self.sizes[1]]

    def _split_sum(self, x):
        """`x` such that a product over its last axes but one sums over few tiles.

        In the kernel's gradient, a product sums over a row of tiles of all images; where that loses too
        many digits, which the kernel's transform makes more of, over one tile of all images.
        """
        sums = self.tiles[1] if self.side > 3 and not self.by_tile else 1
        count = self.groups * self.tiles[0] * self.strips[1] * self.points**2
        return ops.reshape(x, (count, sums, -1, x.shape[-1]))


def _choose_tiling(input_shape, kernel_shape, tile, groups):
    images, *sizes = input_shape[:3]
    side, _, maps, filters = kernel_shape
    filters //= groups
    tiles, tiles_of_two = (
        [_count_tiles(tile, side, size, row) for size in sizes] for row in (1, 2)
    )
    fewer = math.prod(tiles_of_two) < 4 * math.prod(tiles)
    # With kernels of 5x5, sums over rows of the tiles of two images would be too long.
    row = 2 if images and images % 4 == 0 and side == 3 and fewer else 1
    by_tile = row == 1 and groups * (tile + side - 1) ** 2 * maps * filters < 1_000_000
    return Tiling(tile, side, tuple(sizes), maps, filters, groups, row, by_tile)


@functools.lru_cache
def transform_matrices(tile, side):
    """Lavin and Gray's `A`, `B^T` and `G`: `A.T @ ((B^T @ window) * (G @ weights))` are `tile` correlations.

    Args:
        tile: int, positions of the output.
        side: int, weights.

    Returns:
        `A` of shape `(n, tile)`, `B^T` of shape `(n, n)` and `G` of shape `(n, side)`, for windows of
        `n = tile + side - 1` positions.

    Raises:
        ValueError: for more than 8 positions.
    """
    if tile + side - 2 > len(_POINTS):
        raise ValueError(
            f"`tile` + `side` must be at most {len(_POINTS) + 2}. Received: tile={tile}, side={side}"
        )
    # The coefficients of the product of two polynomials, of degrees tile - 1 and side - 1, follow from its
    # values at n - 1 points and at infinity: `B` are Lagrange's polynomials. The correlation is its transpose.
    points = np.array(_POINTS[: tile + side - 2])
    others = [np.delete(points, i) for i in range(len(points))]
    scales = [np.prod(point - rest) for point, rest in zip(points, others, strict=True)]

    def values(coefficients):
        return np.vstack([points[:, None] ** np.arange(coefficients), np.eye(coefficients)[-1]])

    lagrange = [np.append(np.poly(rest)[::-1], 0) for rest in others]
    transposed_b = np.vstack([*lagrange, np.poly(points)[::-1]])
    return values(tile), transposed_b, values(side) / np.array([*scales, 1])[:, None]


@functools.lru_cache
def _kernel_transform(tile, side):
    """The kernel's transform along both axes, `(n * n, side * side)`."""
    g = transform_matrices(tile, side)[2]
    return np.einsum("iy,jx->ijyx", g, g).reshape(len(g) ** 2, -1).astype("float32")


def _count_tiles(tile, side, size, images):
    """Tiles of so many images in a row, between which a kernel needs `side // 2` zeros."""
    return -(-(images * size + (images - 1) * (side // 2)) // tile)


@functools.lru_cache
def _axis_matrices(tile, side, size, row, by_tile):
    """The transforms of outputs and of inputs along an axis, of so many images in a row.

    Returns:
        Two arrays of shape `(n * tiles, row * size)`, the points first; or, `by_tile`, that of a tile's
        outputs, `(n, tile)`, and that of the inputs with the tiles first.
    """
    tiles, before = _count_tiles(tile, side, size, row), side // 2
    positions = np.arange(row)[:, None] * (size + before) + np.arange(size)
    a, transposed_b = transform_matrices(tile, side)[:2]

    def for_all_tiles(matrix, before):
        whole = np.zeros((len(matrix), tiles, (tiles + 1) * tile + side))
        for k in range(tiles):
            whole[:, k, k * tile : k * tile + matrix.shape[1]] = matrix
        return whole[:, :, before + positions.ravel()]

    inputs = for_all_tiles(transposed_b, before)
    inputs = inputs.swapaxes(0, 1) if by_tile else inputs
    outputs = a if by_tile else for_all_tiles(a, 0).reshape(-1, row * size)
    return outputs.astype("float32"), inputs.reshape(-1, row * size).astype("float32")
