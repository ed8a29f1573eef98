"""Winograd's convolution, which takes several times fewer products than the definition."""

import dataclasses
import functools
import math

import numpy as np
from keras import name_scope, ops

# Where polynomials are evaluated, besides infinity. These points lose the fewest digits.
_POINTS = (0, 1, -1, 0.5, -2, -0.5, 2)


def winograd_conv(x, kernel, bias, tile: int, groups: int, name: str):
    """A convolution in groups with stride 1 and padding "same", as matrix products only.

    `Y = A^T [(G g G^T) * (B^T d B)] A` for each tile `Y` of the output, `tile` positions wide. `g`
    is the kernel. `d` is the window of the input that the tile needs, `n = tile + side - 1` wide.
    This takes `n**2` products rather than `tile**2 * side**2`. At each of the `n**2` points they
    are a matrix product over maps. The transform of all tiles along an axis is a matrix product,
    too. The gradients are the transposes of these steps.

    In float32, outputs and gradients differ from the definition by less than 1e-5 of the largest
    one. With a kernel of 5x5 this needs groups of at most 64 maps and 192 filters. In bfloat16 they
    differ by less than 2% with tiles of 2 and a kernel of 3x3. This needs products that are summed
    in float32 (`has_bfloat16_arithmetic`).

    Args:
        x: tensor `(batch, height, width, maps)`, float32 or bfloat16. The kernel's transform is
            float32.
        kernel: tensor `(side, side, maps / groups, filters)`, with an odd side.
        bias: tensor `(filters,)`.
        tile: side of a tile, in positions.
        groups: number of groups, which divides the maps and the filters.
        name: the layer's name; a profiler shows the gradients as `gradient_NAME`.

    Returns:
        Tensor `(batch, height, width, filters)`.

    Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
    """
    tiling = _choose_tiling(x.shape, kernel.shape, tile, groups)

    @ops.custom_gradient
    def function(x, weights, bias):
        windows = tiling.transform_input(x)
        rounded = ops.cast(weights, x.dtype)
        products = ops.matmul(windows, rounded)
        y = tiling.inverse_transform(products) + ops.cast(bias, x.dtype)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            with name_scope(f"gradient_{name}"):
                return tiling.gradients(windows, rounded, upstream)

        return y, gradient

    return function(x, tiling.transform_kernel(kernel), ops.cast(bias, "float32"))


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The tiles of a convolution's output, and Lavin and Gray's transforms of all tiles.

    Args:
        tile: side of a tile, in positions.
        side: side of the kernel, in positions.
        map_size: height and width of the maps.
        maps: input maps of a group.
        filters: filters of a group.
        groups: number of groups.
        mosaic: number of images side by side, and one below the other, with zeros between them.
            Mosaics can need fewer tiles: 13 positions need 4 tiles of 4, two times 13 need 7.
        separate_tiles: whether each tile is transformed by itself. The axis of tiles then comes
            before the axis of points. All weights are read for each tile, which is faster if they
            fit into a cache.
    """

    tile: int
    side: int
    map_size: tuple
    maps: int
    filters: int
    groups: int
    mosaic: int
    separate_tiles: bool

    @property
    def points(self) -> int:
        """Number of points along an axis, `n`."""
        return self.tile + self.side - 1

    @property
    def tiles(self) -> tuple:
        """Number of tiles down and across."""
        return tuple(
            _count_tiles(self.tile, self.side, size, self.mosaic) for size in self.map_size
        )

    @property
    def blocks(self) -> tuple:
        """Number of blocks of tiles, down and across, that are transformed by themselves."""
        return self.tiles if self.separate_tiles else (1, 1)

    @property
    def output_size(self) -> tuple:
        """Height and width that the transform of outputs covers."""
        if self.separate_tiles:
            return tuple(count * self.tile for count in self.tiles)
        return self.map_size

    def transform_input(self, x):
        """Returns `B^T d B` of the windows of all tiles."""
        return self._to_points(x, self._transforms("inputs"), self.map_size)

    def inverse_transform(self, products):
        """Returns `A^T p A` of the products `p` at points, `(batch, height, width, filters)`."""
        return self._from_points(products, self._transforms("outputs"), self.output_size)

    def transform_kernel(self, kernel):
        """Returns `G g G^T`, float32 `(groups, 1, points, 1, points, maps, filters)`."""
        points = self.points
        weights = ops.reshape(ops.cast(kernel, "float32"), (self.side**2, -1))
        weights = ops.matmul(_kernel_transform(self.tile, self.side), weights)
        weights = ops.reshape(weights, (points, points, self.maps, self.groups, self.filters))
        weights = ops.transpose(weights, (3, 0, 1, 2, 4))
        return ops.reshape(weights, (self.groups, 1, points, 1, points, self.maps, self.filters))

    def gradients(self, windows, weights, upstream):
        """Returns the gradients of the inputs, of the transformed kernels and of the bias.

        Args:
            windows: result of `transform_input`.
            weights: result of `transform_kernel`, in the dtype of the inputs.
            upstream: gradient of the output.
        """
        upstream = self._to_points(upstream, self._transforms("outputs"), self.output_size)
        transposed = ops.transpose(weights, (0, 1, 2, 3, 4, 6, 5))
        products = ops.matmul(upstream, transposed)
        input_gradient = self._from_points(products, self._transforms("inputs"), self.map_size)
        return input_gradient, self._kernel_gradient(windows, upstream), _bias_gradient(upstream)

    def _kernel_gradient(self, windows, upstream):
        """Returns the gradient of the transformed kernels."""
        windows = ops.transpose(self._split_sum(windows), (0, 1, 3, 2))
        gradient = ops.matmul(windows, self._split_sum(upstream))
        gradient = ops.sum(ops.cast(gradient, "float32"), axis=1)
        gradient = ops.reshape(gradient, (*upstream.shape[:5], self.maps, self.filters))
        # In two steps, as TensorFlow is slow to sum over axes that are apart.
        return ops.sum(ops.sum(gradient, axis=3, keepdims=True), axis=1, keepdims=True)

    def _transforms(self, kind):
        """Returns the matrices of `inputs` or `outputs`, down and across."""
        return [
            _axis_matrices(self.tile, self.side, size, self.mosaic, self.separate_tiles)[kind]
            for size in self.map_size
        ]

    def _rows_of_blocks(self, width, matrix_width):
        return self.groups * self.points * self.tiles[0] * self.mosaic * width // matrix_width

    def _to_points(self, x, transforms, covered):
        """Returns the transform of `x` along both axes.

        Its shape is `(groups, blocks down, points, tiles in a block * blocks across, points, tiles
        in a block * images, maps)`.
        """
        height, width = covered
        groups = self.groups
        mosaic = self.mosaic
        maps = x.shape[-1] // groups
        down, across = (ops.cast(matrix, x.dtype) for matrix in transforms)
        if covered != self.map_size:
            missing = [(0, n - m) for n, m in zip(covered, self.map_size, strict=True)]
            x = ops.pad(x, [(0, 0), *missing, (0, 0)])
        x = ops.reshape(x, (mosaic, mosaic, -1, height, width, groups, maps))
        x = ops.transpose(x, (5, 0, 3, 1, 4, 2, 6))
        rows = groups * mosaic * height // down.shape[1]
        x = ops.matmul(down, ops.reshape(x, (rows, down.shape[1], -1)))
        rows = self._rows_of_blocks(width, across.shape[1])
        x = ops.matmul(across, ops.reshape(x, (rows, across.shape[1], -1)))
        in_blocks = self.tiles[0] // self.blocks[0] * self.blocks[1]
        shape = (groups, self.blocks[0], self.points, in_blocks, self.points, -1, maps)
        return ops.reshape(x, shape)

    def _from_points(self, x, transforms, covered):
        """Returns the transpose of `_to_points`."""
        height, width = covered
        groups = self.groups
        mosaic = self.mosaic
        maps = x.shape[-1]
        down, across = (ops.cast(matrix.T, x.dtype) for matrix in transforms)
        rows = self._rows_of_blocks(width, across.shape[0])
        x = ops.matmul(across, ops.reshape(x, (rows, across.shape[1], -1)))
        rows = groups * mosaic * height // down.shape[0]
        x = ops.matmul(down, ops.reshape(x, (rows, down.shape[1], -1)))
        x = ops.reshape(x, (groups, mosaic, height, mosaic, width, -1, maps))
        x = ops.transpose(x, (1, 3, 5, 2, 4, 0, 6))
        x = ops.reshape(x, (-1, height, width, groups * maps))
        return x[:, : self.map_size[0], : self.map_size[1]]

    def _split_sum(self, x):
        """Returns `x` such that a product over its second last axis sums over few tiles.

        In the kernel's gradient, a product sums over a row of tiles of all images. With kernels of
        5x5 this would lose too many digits, so it sums over one tile of all images.
        """
        sums = self.tiles[1] if self.side > 3 and not self.separate_tiles else 1
        count = self.groups * self.tiles[0] * self.blocks[1] * self.points**2
        return ops.reshape(x, (count, sums, -1, x.shape[-1]))


def _bias_gradient(upstream):
    """Returns the gradient of the bias, from the transformed gradient of the output.

    The point 1 is the second in both directions, and has the sum over a tile.
    """
    sums = ops.sum(ops.cast(upstream[:, :, 1, :, 1], "float32"), axis=(1, 2, 3))
    return ops.reshape(sums, (-1,))


def _choose_tiling(input_shape, kernel_shape, tile, groups):
    images, *map_size = input_shape[:3]
    side, _, maps, filters = kernel_shape
    filters //= groups
    single, double = (
        math.prod(_count_tiles(tile, side, size, mosaic) for size in map_size) for mosaic in (1, 2)
    )
    # With kernels of 5x5, sums over rows of the tiles of two images would be too long.
    has_mosaics = images and images % 4 == 0 and side == 3 and double < 4 * single
    mosaic = 2 if has_mosaics else 1
    weights = groups * (tile + side - 1) ** 2 * maps * filters
    separate_tiles = mosaic == 1 and weights < 1_000_000
    return Tiling(tile, side, tuple(map_size), maps, filters, groups, mosaic, separate_tiles)


@functools.lru_cache
def transform_matrices(tile: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns Lavin and Gray's `A`, `B` and `G`.

    `A.T @ ((B.T @ window) * (G @ weights))` are `tile` correlations.

    Args:
        tile: number of positions of the output.
        side: number of weights.

    Returns:
        `A` of shape `(n, tile)`, `B` of shape `(n, n)` and `G` of shape `(n, side)`, for windows of
        `n = tile + side - 1` positions.

    Raises:
        ValueError: for more than 8 positions.
    """
    if tile + side - 2 > len(_POINTS):
        raise ValueError(
            f"`tile` + `side` must be at most {len(_POINTS) + 2}. "
            f"Received: tile={tile}, side={side}"
        )
    # A product of polynomials of degrees tile - 1 and side - 1 has n coefficients. They follow from
    # the values at n - 1 points and at infinity. The columns of `B` are Lagrange's polynomials. The
    # correlation is the transpose of the product.
    points = np.array(_POINTS[: tile + side - 2])
    others = [np.delete(points, i) for i in range(len(points))]
    scales = [np.prod(point - rest) for point, rest in zip(points, others, strict=True)]
    lagrange = [np.append(np.poly(rest)[::-1], 0) for rest in others]
    a = _values_at(points, tile)
    b = np.stack([*lagrange, np.poly(points)[::-1]], axis=1)
    g = _values_at(points, side) / np.array([*scales, 1])[:, None]
    return a, b, g


def _values_at(points, coefficients):
    """Returns the matrix from a polynomial's coefficients to its values, the last at infinity."""
    return np.vstack([points[:, None] ** np.arange(coefficients), np.eye(coefficients)[-1]])


@functools.lru_cache
def _kernel_transform(tile, side):
    """Returns the kernel's transform along both axes, `(n * n, side * side)`."""
    _, _, g = transform_matrices(tile, side)
    return np.einsum("iy,jx->ijyx", g, g).reshape(len(g) ** 2, -1).astype("float32")


def _count_tiles(tile, side, size, images):
    """Returns the number of tiles of a row of images, with `side // 2` zeros between them."""
    return -(-(images * size + (images - 1) * (side // 2)) // tile)


@functools.lru_cache
def _axis_matrices(tile, side, size, mosaic, separate_tiles):
    """Returns the transforms of all tiles along an axis.

    Returns:
        dict of `outputs` and `inputs`, both `(n * tiles, mosaic * size)` with the points first.
        With `separate_tiles`, `outputs` is `A` of one tile, and in `inputs` the tiles come first.
    """
    a, b, _ = transform_matrices(tile, side)
    tiles = _count_tiles(tile, side, size, mosaic)
    before = side // 2
    positions = (np.arange(mosaic)[:, None] * (size + before) + np.arange(size)).ravel()
    inputs = _repeat(b.T, tile, tiles)[:, :, before + positions]
    if separate_tiles:
        inputs = inputs.swapaxes(0, 1)
        outputs = a
    else:
        outputs = _repeat(a, tile, tiles)[:, :, positions].reshape(-1, mosaic * size)
    return {
        "outputs": outputs.astype("float32"),
        "inputs": inputs.reshape(-1, mosaic * size).astype("float32"),
    }


def _repeat(matrix, tile, tiles):
    """Returns `(n, tiles, positions)`: the matrix of one tile at the positions of every tile."""
    points, window = matrix.shape
    repeated = np.zeros((points, tiles, tiles * tile + window))
    for number in range(tiles):
        repeated[:, number, number * tile : number * tile + window] = matrix
    return repeated
