"""The choice among the implementations of each operation.

Only this file says which implementation is fastest where. Each rule for speed names the benchmark
that measured it, or says that none did. `implementation("reference")` forces a choice, and
`print_implementations` prints the choices for a model.
"""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import warnings
from collections.abc import Callable, Iterator

import keras

from alexnet_keras.checks import check_whole_number
from alexnet_keras.distributed.devices import has_accelerator
from alexnet_keras.distributed.towers import is_split_by_tower
from alexnet_keras.environment import has_bfloat16_arithmetic
from alexnet_keras.ops import reference
from alexnet_keras.ops.analytic_normalization import Normalization, analytic_normalization
from alexnet_keras.ops.batched_local import batched_local
from alexnet_keras.ops.by_tower import conv2d_by_tower, normalization_by_tower
from alexnet_keras.ops.gather_max_pool import gather_max_pool
from alexnet_keras.ops.recomputing_normalization import recomputing_normalization
from alexnet_keras.ops.space_to_depth_conv import space_to_depth_conv
from alexnet_keras.ops.swapped_dense import swapped_dense
from alexnet_keras.ops.winograd import winograd_conv

IMPLEMENTATIONS = {
    "conv2d": ("reference", "native", "by_tower", "space_to_depth", "winograd"),
    "locally_connected2d": ("reference", "batched"),
    "normalization": ("reference", "analytic", "analytic_xla", "recomputing", "by_tower"),
    "max_pool": ("reference", "same_padding", "gather"),
    "dense": ("reference", "swapped"),
    "momentum_update": ("reference", "in_place"),
}
VARIABLE = "ALEXNET_KERAS_IMPLEMENTATION"


@dataclasses.dataclass(frozen=True)
class Choice:
    """The implementation of an operation for given arguments.

    Args:
        name: one of `IMPLEMENTATIONS` of the operation.
        reason: why it is taken.
        function: function from the operation's tensors to its result.
    """

    name: str
    reason: str
    function: Callable


@dataclasses.dataclass(frozen=True)
class ConvOptions:
    """Arguments of `reference.conv2d`; strides and dilation rates are pairs."""

    strides: tuple = (1, 1)
    padding: str = "valid"
    groups: int = 1
    dilation_rate: tuple = (1, 1)
    data_format: str = "channels_last"


_forced = None


@contextlib.contextmanager
def implementation(name: str | None) -> Iterator[None]:
    """Context manager in which one implementation computes all operations that allow it.

    A layer whose operation has the implementation, but can't take it with its shape or arguments,
    takes the fastest one. A warning names the layer. So does an evaluation with `"winograd"`, which
    is for trainings only.

    Functions that are already compiled, such as the step of `model.fit`, keep their implementation.
    The environment variable ALEXNET_KERAS_IMPLEMENTATION does the same for a whole process.

    Args:
        name: `"reference"`, which every operation has, or another name of `IMPLEMENTATIONS`. `None`
            for the environment variable's choice, or else the fastest.

    Raises:
        ValueError: for an unknown name.

    Example:

    >>> with implementation("reference"):
    ...     outputs = AlexNet("small", classes=2)(keras.ops.ones((1, 64, 64, 3)))
    """
    global _forced  # not a context variable: replicas of tf.distribute run in other threads
    _check_name(name, "name")
    before = _forced
    _forced = name
    try:
        yield
    finally:
        _forced = before


def _forced_name():
    if _forced is not None:
        return _forced
    name = os.environ.get(VARIABLE) or None
    _check_name(name, VARIABLE)
    return name


def _check_name(name, argument):
    accepted = list(dict.fromkeys(itertools.chain(*IMPLEMENTATIONS.values())))
    if name is not None and name not in accepted:
        raise ValueError(
            f"`{argument}` must be one of {', '.join(accepted)}. Received: {argument}={name!r}"
        )


def _choose(operation, name, possible, fastest, reason):
    """Returns the forced implementation if it is possible, otherwise the fastest.

    Args:
        operation: one of `IMPLEMENTATIONS`.
        name: the layer's name, for the warning about a forced implementation.
        possible: dict from an implementation's name to its function.
        fastest: one of these names.
        reason: why it is the fastest.
    """
    forced = _forced_name()
    if forced is not None and forced in possible:
        return Choice(forced, "forced", possible[forced])
    if forced in IMPLEMENTATIONS[operation]:
        warnings.warn(
            f"'{name}' can't take the forced implementation '{forced}' here. It takes '{fastest}'.",
            stacklevel=2,
        )
        reason = f"{forced}, which is forced, is not possible; {reason}"
    return Choice(fastest, reason, possible[fastest])


def is_jax_on_gpu() -> bool:
    """Returns whether Keras computes with JAX on a GPU or TPU."""
    return keras.backend.backend() == "jax" and has_accelerator()


def is_jax_on_cpu() -> bool:
    """Returns whether Keras computes with JAX on a CPU."""
    return keras.backend.backend() == "jax" and not has_accelerator()


def is_tensorflow_on_cpu() -> bool:
    """Returns whether Keras computes with TensorFlow on a CPU."""
    return keras.backend.backend() == "tensorflow" and not has_accelerator()


def choose_conv2d(
    input_shape: tuple,
    kernel_shape: tuple,
    dtype: str,
    options: ConvOptions,
    training: bool | None,
    name: str,
) -> Choice:
    """Returns the implementation of a convolution.

    Args:
        input_shape: tuple `(batch or None, height, width, maps)`.
        kernel_shape: tuple `(height, width, maps / groups, filters)`.
        dtype: dtype of the computation.
        options: `ConvOptions`.
        training: whether a training computes it. An evaluation uses the definition.
        name: the layer's name, for profilers.

    Returns:
        A `Choice` whose function takes inputs, kernel and bias (or `None`).

    Raises:
        ValueError: for channels_first or dilation with a tower on each of two devices.
    """
    settings = dataclasses.asdict(options)
    possible: dict[str, Callable] = {
        "reference": functools.partial(reference.conv2d, **settings),
        "native": functools.partial(_native_conv2d, options=options),
    }
    is_plain = options.data_format == "channels_last" and set(options.dilation_rate) == {1}
    if is_plain:
        possible["by_tower"] = functools.partial(_with_bias, _conv2d_by_tower, options)
    if is_plain and _has_long_stride(kernel_shape, options):
        possible["space_to_depth"] = functools.partial(_with_bias, _space_to_depth_conv, options)
    tile = winograd_tile(input_shape, kernel_shape, dtype, options)
    if tile and training:
        possible["winograd"] = functools.partial(
            _winograd_conv, tile=tile, groups=options.groups, name=name
        )
    if options.groups > 1 and is_split_by_tower() and not is_plain:
        raise ValueError(
            f"Layer '{name}' on two devices must have channels_last and no dilation. Received: "
            f"data_format={options.data_format!r}, dilation_rate={options.dilation_rate}"
        )
    return _choose("conv2d", name, possible, *_fastest_conv2d(possible, tile, options))


def _fastest_conv2d(possible, tile, options):
    """Returns the name of the fastest possible convolution, and why."""
    # benchmarks.layers, conv2 to conv5 in a training
    if "winograd" in possible:
        return "winograd", f"fewer multiplications with tiles of {tile} on a CPU"
    # Not measured by a benchmark; XLA does not split the others over two devices.
    if options.groups > 1 and is_split_by_tower():
        return "by_tower", "XLA splits it over two devices"
    # benchmarks.layers on an H200, conv1
    if "space_to_depth" in possible and is_jax_on_gpu():
        return "space_to_depth", "a stride over few maps is slow in JAX on a GPU"
    if options.groups == 1:
        return "reference", "the convolution of the backend"
    backend = keras.backend.backend()
    # benchmarks.layers, conv2, conv4 and conv5. PyTorch's groups are fast on a CPU. PyTorch and
    # TensorFlow have not been measured on a GPU.
    if backend == "jax" or is_tensorflow_on_cpu():
        return "reference", f"a convolution a group is faster than the groups of {backend}"
    return "native", f"the groups of {backend} are fast"


def winograd_tile(
    input_shape: tuple, kernel_shape: tuple, dtype: str, options: ConvOptions
) -> int | None:
    """Returns the side of the tiles of Winograd's method; `None` if another method is better.

    Measured by `benchmarks.layers`, conv2 to conv5.

    Args:
        input_shape, kernel_shape, dtype, options: as for `choose_conv2d`. A batch of unknown size
            counts as 16 images.
    """
    images, *sizes = input_shape[:3]
    height, width, maps, filters = kernel_shape
    filters //= options.groups
    # The longer the sums with a kernel of 5x5, the more digits they lose.
    is_small = (height, width) == (3, 3)
    is_exact = is_small or ((height, width) == (5, 5) and maps <= 64 and filters <= 192)
    is_plain = options.padding == "same" and options.data_format == "channels_last"
    is_plain = is_plain and {*options.strides, *options.dilation_rate} == {1}
    # The transforms multiply by matrices that are as long as an axis.
    if not is_exact or not is_plain or not all(size and size <= 64 for size in sizes):
        return None
    # XLA would gather a batch that JAX has split over several devices.
    if keras.distribution.distribution() is not None:
        return None
    # With few positions or weights, the transforms take as long as the products that they save.
    if (images or 16) * math.prod(sizes) < 2_500:
        return None
    weights = height * width * maps * filters
    if dtype == "float32" and weights >= 50_000 and (is_tensorflow_on_cpu() or is_jax_on_cpu()):
        return 4
    # In bfloat16 all but the smallest windows lose too many digits. They save fewer products; on
    # JAX too few. Sums in bfloat16 would lose too many digits of the transformed values.
    is_possible = dtype == "bfloat16" and has_bfloat16_arithmetic() and is_tensorflow_on_cpu()
    return 2 if is_possible and weights >= 500_000 and is_small else None


def _has_long_stride(kernel_shape, options):
    """Returns whether a convolution over few maps has a stride that divides them into blocks."""
    stride = options.strides[0]
    has_few_maps = options.groups == 1 and kernel_shape[2] <= 4
    is_stride = 1 < stride == options.strides[1] <= min(kernel_shape[:2])
    return has_few_maps and is_stride and options.padding == "valid"


def _native_conv2d(x, kernel, bias, options):
    y = keras.ops.conv(
        x, kernel, options.strides, options.padding, options.data_format, options.dilation_rate
    )
    if bias is None:
        return y
    shape = (1, -1, 1, 1) if options.data_format == "channels_first" else (1, 1, 1, -1)
    return keras.ops.add(y, keras.ops.reshape(bias, shape))


def _with_bias(convolution, options, x, kernel, bias):
    y = convolution(x, keras.ops.convert_to_tensor(kernel), options)
    return y if bias is None else keras.ops.add(y, keras.ops.reshape(bias, (1, 1, 1, -1)))


def _conv2d_by_tower(x, kernel, options):
    return conv2d_by_tower(x, kernel, options.strides, options.padding, options.groups)


def _space_to_depth_conv(x, kernel, options):
    return space_to_depth_conv(x, kernel, options.strides[0])


def _winograd_conv(x, kernel, bias, tile, groups, name):
    bias = keras.ops.zeros(kernel.shape[-1]) if bias is None else bias
    return winograd_conv(x, kernel, bias, tile, groups, name)


def choose_locally_connected2d(
    kernel_size: tuple, strides: tuple, padding: str, name: str = "locally_connected2d"
) -> Choice:
    """Returns the implementation of a locally connected layer.

    Args:
        kernel_size, strides, padding: as for `reference.locally_connected2d`.
        name: the layer's name, for warnings.

    Returns:
        A `Choice` whose function takes inputs, kernel and bias (or `None`).
    """
    settings = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    possible = {
        "reference": functools.partial(reference.locally_connected2d, **settings),
        "batched": functools.partial(batched_local, **settings),
    }
    # Not measured by a benchmark; it avoids a separate product for each position.
    reason = "one product for all positions"
    return _choose("locally_connected2d", name, possible, "batched", reason)


def choose_local_response_normalization(
    axes: int,
    size: int,
    k: float,
    alpha: float,
    beta: float,
    groups: int,
    training: bool | None,
    name: str,
) -> Choice:
    """Returns the implementation of response normalization across maps.

    Args:
        axes: number of axes of the input, the last of which is the axis of the maps.
        size, k, alpha, beta, groups: as for `reference.local_response_normalization`.
        training: whether a training computes it.
        name: the layer's name, for profilers.

    Returns:
        A `Choice` whose function takes the input.
    """
    definition = functools.partial(
        reference.local_response_normalization,
        size=size,
        k=k,
        alpha=alpha,
        beta=beta,
        groups=groups,
    )
    reach = (size // 2, (size - 1) // 2)
    normalization = Normalization(((axes - 1, *reach),), k, alpha, beta, groups)
    possible = {"reference": definition, **_normalizations(normalization, training, name)}
    fastest, reason = _fastest_normalization()
    if is_split_by_tower() and groups > 1:
        in_tower = Normalization(((axes, *reach),), k, alpha, beta)
        normalize = _normalizations(in_tower, training, name)[fastest]
        possible["by_tower"] = functools.partial(
            normalization_by_tower, groups=groups, normalize=normalize
        )
        # Not measured by a benchmark; XLA does not split the others over two devices.
        fastest = "by_tower"
        reason = "XLA splits it over two devices"
    return _choose("normalization", name, possible, fastest, reason)


def choose_spatial_response_normalization(
    size: int, k: float, alpha: float, beta: float, training: bool | None, name: str
) -> Choice:
    """Returns the implementation of response normalization across positions.

    Args:
        size, k, alpha, beta: as for `reference.spatial_response_normalization`.
        training: whether a training computes it.
        name: the layer's name, for profilers.

    Returns:
        A `Choice` whose function takes the input.
    """
    definition = functools.partial(
        reference.spatial_response_normalization, size=size, k=k, alpha=alpha, beta=beta
    )
    reach = (size // 2, (size - 1) // 2)
    normalization = Normalization(((1, *reach), (2, *reach)), k, alpha, beta)
    possible = {"reference": definition, **_normalizations(normalization, training, name)}
    return _choose("normalization", name, possible, *_fastest_normalization())


def _normalizations(normalization, training, name):
    """Returns a dict from the name of each implementation with its own gradient to its function."""
    analytic = functools.partial(
        analytic_normalization,
        normalization=normalization,
        name=name,
        keep_denominators=bool(training),
    )
    possible: dict[str, Callable] = {"analytic": analytic}
    if keras.backend.backend() == "tensorflow":
        possible["analytic_xla"] = functools.partial(analytic, use_xla=True)
    if keras.backend.backend() == "jax":
        possible["recomputing"] = functools.partial(
            recomputing_normalization, normalization=normalization, name=name
        )
    return possible


def _fastest_normalization():
    """Returns the name of the fastest normalization, and why."""
    # benchmarks.layers on an H200, norm1
    if is_jax_on_gpu():
        return "recomputing", "on a GPU memory is the bottleneck"
    # benchmarks.layers, norm1 and norm2
    if is_tensorflow_on_cpu():
        return "analytic_xla", "XLA compiles each pass, which then goes through memory once"
    return "analytic", "the gradient takes one power and no second sum of squares"


def choose_max_pool(
    input_shape: tuple,
    pool_size: tuple,
    strides: tuple,
    ceil_mode: bool = False,
    name: str = "max_pool",
) -> Choice:
    """Returns the implementation of max pooling.

    Args:
        input_shape: tuple `(batch or None, height, width, maps)`.
        pool_size, strides, ceil_mode: as for `reference.max_pool`.
        name: the layer's name, for warnings.

    Returns:
        A `Choice` whose function takes the input.
    """
    settings = {"pool_size": pool_size, "strides": strides}
    definition = functools.partial(reference.max_pool, **settings, ceil_mode=ceil_mode)
    possible: dict[str, Callable] = {"reference": definition}
    fastest = "reference"
    reason = "the pool of the backend"
    if ceil_mode and _is_same_padding(input_shape, pool_size, strides):
        possible["same_padding"] = functools.partial(
            keras.ops.max_pool, **settings, padding="same", data_format="channels_last"
        )
        # Not measured by itself; it avoids the copy of padding.
        fastest = "same_padding"
        reason = "Keras pads in the same way, without a copy"
    if all(s <= k for k, s in zip(pool_size, strides, strict=True)) and math.prod(pool_size) <= 128:
        possible["gather"] = functools.partial(gather_max_pool, **settings, ceil_mode=ceil_mode)
        # benchmarks.layers on an H200, pool1
        if is_jax_on_gpu():
            fastest = "gather"
            reason = "XLA's own gradient scatters"
    return _choose("max_pool", name, possible, fastest, reason)


def _is_same_padding(input_shape, pool_size, strides):
    """Returns whether Keras' "same" pads as `ceil_mode` does: only at the bottom and right."""
    axes = list(zip(input_shape[1:3], pool_size, strides, strict=True))
    added = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in axes]
    wanted = [reference.ceiling_padding(*axis) for axis in axes]
    return any(wanted) and all(m // 2 == 0 and m == w for m, w in zip(added, wanted, strict=True))


def choose_dense(axes: int, dtype: str, training: bool | None, name: str) -> Choice:
    """Returns the implementation of the dense product.

    Args:
        axes: number of axes of the input.
        dtype: dtype of the computation.
        training: whether a training computes it.
        name: the layer's name, for profilers.

    Returns:
        A `Choice` whose function takes inputs, kernel and bias (or `None`).
    """
    possible: dict[str, Callable] = {"reference": reference.dense}
    fastest = "reference"
    reason = "the product of the backend"
    if training and axes == 2 and dtype == "float32":
        possible["swapped"] = functools.partial(swapped_dense, name=name)
        # benchmarks.layers, fc6
        if is_tensorflow_on_cpu():
            fastest = "swapped"
            reason = "TensorFlow on a CPU transposes the weights for the gradient"
    return _choose("dense", name, possible, fastest, reason)


def choose_momentum_update() -> Choice:
    """Returns the implementation of the momentum update of an optimizer.

    The function of `"reference"` returns the new weight and velocity. The function of `"in_place"`
    changes `tf.Variable`s, or PyTorch's tensors.
    """
    possible: dict[str, Callable] = {"reference": reference.momentum_update}
    fastest = "reference"
    reason = "the backend compiles it"
    if keras.backend.backend() == "tensorflow":
        from alexnet_keras.ops.in_place_momentum import in_place_momentum

        possible["in_place"] = in_place_momentum
        # benchmarks.layers, the update
        fastest = "in_place"
        reason = "TensorFlow's own operations make no copies"
    if keras.backend.backend() == "torch":
        from alexnet_keras.ops.in_place_momentum_torch import in_place_momentum

        possible["in_place"] = in_place_momentum
        # Not measured by a benchmark; it avoids seven new tensors of the size of each weight.
        fastest = "in_place"
        reason = "PyTorch's own operations make no copies"
    return _choose("momentum_update", "momentum_update", possible, fastest, reason)


def print_implementations(model: keras.Model, batch_size: int = 128) -> str:
    """Prints which implementation computes each layer of a model on this machine, and why.

    Args:
        model: an AlexNet, a VGG, or any model with layers of this package, also in inner models.
        batch_size: images in a batch. Small batches have other implementations.

    Returns:
        The printed text: the batch size, and one line a layer, or two if training and evaluation
        differ.

    Raises:
        ValueError: for a batch size that is not a positive whole number.

    Example:

    >>> text = print_implementations(AlexNet("small", classes=2), batch_size=32)  # doctest: +SKIP
    Implementations on this machine, 32 images in a batch:
    conv1         reference: the convolution of the backend
    """
    check_whole_number("batch_size", batch_size)
    lines = [f"Implementations on this machine, {batch_size} images in a batch:"]
    for layer in all_layers(model):
        if not hasattr(layer, "choose_implementation"):
            continue
        shape = (batch_size, *layer.input.shape[1:])
        training = layer.choose_implementation(shape, training=True)
        evaluation = layer.choose_implementation(shape, training=False)
        if training.name == evaluation.name:
            lines.append(f"{layer.name:14s}{training.name}: {training.reason}")
        else:
            lines.append(f"{layer.name:14s}in training {training.name}: {training.reason}")
            lines.append(f"{'':14s}in evaluation {evaluation.name}: {evaluation.reason}")
    text = "\n".join(lines)
    print(text, flush=True)
    return text


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model and of its inner models, such as the network of a classifier."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
        else:
            yield layer
