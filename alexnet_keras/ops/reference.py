"""The operations of AlexNet as their definitions, in `keras.ops` only.

Faster implementations are in the other files of this folder. `dispatch.py` chooses among them, and
a test compares each with its definition here. Images and feature maps are
`(batch, height, width, maps)`. Gradients are the backend's own.
"""

from keras import ops


def conv2d(
    x,
    kernel,
    bias=None,
    strides: int | tuple = 1,
    padding: str = "valid",
    groups: int = 1,
    dilation_rate: int | tuple = 1,
    data_format: str = "channels_last",
):
    """Convolution in groups: kernel part `g` sees input part `g` only.

    Args:
        x: `(batch, height, width, maps)`; with channels_first `(batch, maps, height, width)`.
        kernel: `(height, width, maps / groups, filters)`.
        bias: `(filters,)`, or `None`.
        strides, dilation_rate: int or pair of ints, in positions.
        padding: `"valid"` or `"same"`.
        groups: number of equal, consecutive parts of the maps and of the filters.
        data_format: `"channels_last"` or `"channels_first"`.

    Reference: section 3.5 of Krizhevsky et al. (2012), where the groups are two GPUs.
    """
    axis = -1 if data_format == "channels_last" else 1
    bias_shape = (1, 1, 1, -1) if data_format == "channels_last" else (1, -1, 1, 1)
    inputs = ops.split(x, groups, axis=axis)
    kernels = ops.split(kernel, groups, axis=-1)
    outputs = [
        ops.conv(part, weights, strides, padding, data_format, dilation_rate)
        for part, weights in zip(inputs, kernels, strict=True)
    ]
    if bias is not None:
        biases = [ops.reshape(part, bias_shape) for part in ops.split(bias, groups)]
        outputs = [ops.add(y, part) for y, part in zip(outputs, biases, strict=True)]
    return ops.concatenate(outputs, axis=axis) if groups > 1 else outputs[0]


def locally_connected2d(
    x,
    kernel,
    bias=None,
    kernel_size: tuple = (3, 3),
    strides: tuple = (1, 1),
    padding: str = "valid",
):
    """Convolution whose kernels differ from position to position.

    `y[n, p] = window[n, p] kernel[p] + bias[p]`, with the position `p`, counted row by row.
    `window[n, p]` are the activities of image `n` that the kernel covers there, as one row.

    Args:
        x: `(batch, height, width, maps)`.
        kernel: `(positions, kernel height * kernel width * maps, filters)`.
        bias: `(rows, columns, filters)` for the rows and columns of the positions, or `None`.
        kernel_size, strides: pairs of ints, in positions.
        padding: `"valid"` or `"same"`.

    Reference: cuda-convnet's layers of type `local`, in its networks for CIFAR-10.
    """
    height, width = kernel_size
    down, across = strides
    if padding == "same":
        x = ops.pad(x, [(0, 0), *same_padding(x.shape[1:3], kernel_size, strides), (0, 0)])
    rows = (x.shape[1] - height) // down + 1
    columns = (x.shape[2] - width) // across + 1
    outputs = []
    for position in range(rows * columns):
        top = position // columns * down
        left = position % columns * across
        window = x[:, top : top + height, left : left + width]
        outputs.append(ops.matmul(ops.reshape(window, (-1, kernel.shape[1])), kernel[position]))
    y = ops.reshape(ops.stack(outputs, axis=1), (-1, rows, columns, kernel.shape[2]))
    return y if bias is None else ops.add(y, bias)


def local_response_normalization(
    x, size: int, k: float, alpha: float, beta: float, groups: int = 1
):
    """Returns `b[i] = a[i] / (k + alpha * sum_j a[j]**2) ** beta` over the maps `j` around map `i`.

    `j` runs from `i - size // 2` to `i + (size - 1) // 2` and stays in the group of `i`.

    Args:
        x: `(..., maps)`, the activities `a`. The computation is in float32.
        size: number of maps, `n` of the paper.
        k, alpha, beta: constants.
        groups: number of equal, consecutive parts of the maps.

    Reference: section 3.3 of Krizhevsky et al. (2012).
    """
    a = ops.cast(x, "float32")
    maps = x.shape[-1] // groups
    squares = ops.reshape(ops.square(a), (-1, groups, maps))
    squares = ops.pad(squares, [(0, 0), (0, 0), (size // 2, (size - 1) // 2)])
    total = sum(squares[:, :, j : j + maps] for j in range(size))
    total = ops.reshape(total, ops.shape(x))
    return ops.cast(a / ops.power(k + alpha * total, beta), x.dtype)


def spatial_response_normalization(x, size: int, k: float, alpha: float, beta: float):
    """Returns `b = a / (k + alpha * sum a**2) ** beta` over the positions around each.

    Args:
        x: `(batch, height, width, maps)`, the activities `a`. The computation is in float32.
        size: side of the square, which reaches from `size // 2` positions before the activity to
            `(size - 1) // 2` after it.
        k, alpha, beta: constants.

    Reference: 2012 source.
    """
    a = ops.cast(x, "float32")
    height, width = x.shape[1:3]
    reach = (size // 2, (size - 1) // 2)
    squares = ops.pad(ops.square(a), [(0, 0), reach, reach, (0, 0)])
    total = 0.0
    for i in range(size):
        for j in range(size):
            total = total + squares[:, i : i + height, j : j + width, :]
    return ops.cast(a / ops.power(k + alpha * total, beta), x.dtype)


def max_pool(x, pool_size: tuple, strides: tuple, ceil_mode: bool = False):
    """Returns the maximum of each window.

    Args:
        x: `(batch, height, width, maps)`.
        pool_size, strides: pairs of ints, in positions.
        ceil_mode: whether sizes round up: the last windows may reach over the right and bottom
            edges, but begin inside the map. The maximum ignores positions outside the map.

    Reference: section 3.4 of Krizhevsky et al. (2012); 2012 source.
    """
    if ceil_mode:
        x = pad_to_ceiling(x, pool_size, strides)
    return ops.max_pool(x, pool_size, strides, padding="valid", data_format="channels_last")


def average_pool(x, pool_size: tuple, strides: tuple, ceil_mode: bool = False):
    """Returns the mean of each window over its positions inside the map.

    Args:
        x, pool_size, strides, ceil_mode: as for `max_pool`.

    Reference: 2012 source; cuda-convnet's pools of type `avg`.
    """
    sizes = x.shape[1:3]
    missing = [0, 0]
    if ceil_mode:
        missing = [ceiling_padding(*axis) for axis in zip(sizes, pool_size, strides, strict=True)]
    x = ops.pad(x, [(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)])
    y = ops.average_pool(x, pool_size, strides, padding="valid", data_format="channels_last")
    inside = []  # share of each window inside the map
    for size, count, window, stride in zip(sizes, y.shape[1:3], pool_size, strides, strict=True):
        inside.append([min(window, size - stride * i) / window for i in range(count)])
    shares = [[[row * column] for column in inside[1]] for row in inside[0]]
    return y / ops.convert_to_tensor(shares, y.dtype)


def dense(x, kernel, bias=None):
    """Returns `x W + b` with `x` `(..., inputs)`, `W` `(inputs, units)` and `b` `(units,)`."""
    y = ops.matmul(x, kernel)
    return y if bias is None else ops.add(y, bias)


def momentum_update(weight, velocity, gradient, learning_rate, momentum, decay):
    """Computes `v <- momentum * v - rate * (gradient + decay * w)`, then `w <- w + v`.

    Args:
        weight, velocity, gradient: tensors of one shape.
        learning_rate, momentum, decay: scalars.

    Returns:
        The new weight and the new velocity.

    Reference: section 5 of Krizhevsky et al. (2012).
    """
    velocity = momentum * velocity - learning_rate * (gradient + decay * weight)
    return weight + velocity, velocity


def pad_to_ceiling(x, pool_size: tuple, strides: tuple):
    """Returns `x` with rows and columns of minus infinity, so that all windows of a pool fit."""
    axes = zip(x.shape[1:3], pool_size, strides, strict=True)
    bottom, right = (ceiling_padding(*axis) for axis in axes)
    if not bottom and not right:
        return x
    return ops.pad(x, [(0, 0), (0, bottom), (0, right), (0, 0)], constant_values=-float("inf"))


def ceiling_padding(size: int, window: int, stride: int) -> int:
    """Returns the rows to add at the bottom so that windows cover all `size` rows.

    With a stride longer than the window, rows between two windows stay uncovered. A last window
    that would begin below all rows is left out.

    Reference: 2012 source; 224 pixels, 11x11 kernels and stride 4 need 3.
    """
    if size < window:
        return window - size
    missing = (window - size) % stride
    return missing if missing < window else 0


def same_padding(sizes: tuple, windows: tuple, strides: tuple) -> list:
    """Returns the pairs of zeros before and after the maps for the padding `"same"`.

    Args:
        sizes, windows, strides: ints for height and width, in positions.
    """
    padding = []
    for size, window, stride in zip(sizes, windows, strides, strict=True):
        missing = max((-(-size // stride) - 1) * stride + window - size, 0)
        padding.append((missing // 2, missing - missing // 2))
    return padding
