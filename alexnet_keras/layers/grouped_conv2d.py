"""Convolution at full speed where libraries are slow: in groups, with small kernels, or long strides over few maps."""

import math

import keras
from keras import ops

from alexnet_keras.distribution import computes_with, is_split_by_tower
from alexnet_keras.environment import has_bfloat16_arithmetic
from alexnet_keras.layers.winograd import winograd_convolution


@keras.saving.register_keras_serializable(package="alexnet_keras")
class GroupedConv2D(keras.layers.Conv2D):
    """A `keras.layers.Conv2D` whose `groups` cost no speed on a CPU, nor with JAX on a GPU.

    With `G` groups the input maps and the kernels are cut into `G` equal, consecutive parts, and kernel part `g` sees
    input part `g` alone: `y[..., g] = conv(x[..., g], w[..., g]) + b[g]`. In AlexNet the groups are the two GPUs.

    Arguments, weights (`kernel` of shape `(kernel height, kernel width, input maps / groups, filters)` and `bias` of
    shape `(filters,)`) and output are those of `keras.layers.Conv2D`, so weights move freely between the two.

    Grouped convolutions of TensorFlow and JAX are several times slower on a CPU than one convolution per group, and
    those of JAX on a GPU 1.6 to 2 times (an H200, in bfloat16); there the layer computes one per group and concatenates
    the maps. Under `alexnet_keras.distribution.two_towers` it computes products that XLA can split by group. Elsewhere
    it leaves the groups to the backend.

    Two more forms of the same convolution are faster. On a CPU, a training computes the layers that `winograd_tile`
    names by Winograd's method, which differs from the definition by less than 1e-5 of the largest value in float32 (on
    TensorFlow and JAX), 2% in bfloat16 (on TensorFlow, on processors with bfloat16 arithmetic). On a GPU, JAX computes
    a convolution with a stride over a few maps, such as conv1 over three colours, as one without a stride over blocks
    of positions, in a sixth of the time (the same H200).

    Args:
        filters: number of kernels, a multiple of `groups`.
        kernel_size: int or pair of ints, in pixels.
        groups: number of groups; it divides the input maps and `filters`.
        *args, **kwargs: every other argument of `keras.layers.Conv2D`, in its order.

    Raises:
        ValueError: when `groups` does not divide `filters` or the number of input maps, and under `two_towers` with
            channels_first or dilation.

    Example:

    >>> conv2 = GroupedConv2D(256, 5, padding="same", groups=2)
    >>> conv2(keras.ops.ones((1, 27, 27, 96))).shape
    TensorShape([1, 27, 27, 256])

    Reference: section 3.5 and figure 2 of Krizhevsky et al. (2012).
    """

    def __init__(self, filters, kernel_size, *args, groups=1, **kwargs):
        if not isinstance(groups, int) or groups < 1 or filters % groups:
            raise ValueError(
                "`groups` must be a positive whole number that divides `filters`. "
                f"Received: groups={groups}, filters={filters}"
            )
        super().__init__(filters, kernel_size, *args, groups=groups, **kwargs)

    def build(self, input_shape):
        maps = input_shape[1 if self.data_format == "channels_first" else -1]
        if maps is None or maps % self.groups:
            raise ValueError(
                f"The input of layer '{self.name}' must have a number of maps that `groups` divides. "
                f"Received: groups={self.groups}, input shape={tuple(input_shape)}"
            )
        super().build(input_shape)

    def call(self, inputs, training=False):
        tile = self.winograd_tile(inputs.shape) if training else None
        if tile is not None:
            bias = self.bias if self.use_bias else ops.zeros(self.filters)
            outputs = winograd_convolution(inputs, self.kernel, bias, tile, self.groups, self.name)
            return outputs if self.activation is None else self.activation(outputs)
        if self.groups == 1 or is_split_by_tower() or not _split_is_faster():
            return super().call(inputs)
        axis = 1 if self.data_format == "channels_first" else -1
        # With its bias, each group is an operation that TensorFlow fuses, also in the gradient.
        parts = zip(
            ops.split(inputs, self.groups, axis=axis),
            ops.split(self.kernel, self.groups, axis=-1),
            ops.split(self.bias, self.groups) if self.use_bias else [None] * self.groups,
            strict=True,
        )
        outputs = ops.concatenate([self._convolution_of_group(*part) for part in parts], axis=axis)
        return outputs if self.activation is None else self.activation(outputs)

    def winograd_tile(self, input_shape):
        """What a training computes the layer by: Winograd's method, or what an evaluation takes, the definition.

        Args:
            input_shape: tuple `(batch or None, height, width, maps)`.

        Returns:
            Side of the method's tiles, in positions; `None` for the definition.
        """
        images, *sizes = input_shape[:3]
        maps, filters = self.kernel.shape[2], self.filters // self.groups
        small = self.kernel_size == (3, 3)
        # The longer the sums with a kernel of 5x5, the more digits they lose.
        plain = small or (self.kernel_size == (5, 5) and maps <= 64 and filters <= 192)
        plain &= self.padding == "same" and self.data_format == "channels_last"
        # The transforms multiply by matrices that are as long as an axis.
        plain &= {*self.strides, *self.dilation_rate} == {1} and all(size and size <= 64 for size in sizes)
        # XLA would not keep a batch apart that lies on several of JAX's devices.
        if not plain or keras.distribution.distribution() is not None:
            return None
        # With few positions or weights, the transforms take as long as the products that they save. In bfloat16, in
        # which all but the smallest windows lose too many digits, there are fewer to save; on JAX too few.
        if (images or 16) * math.prod(sizes) < 2_500:
            return None
        weights = math.prod(self.kernel_size) * maps * filters
        tensorflow, jax = (computes_with(backend, accelerator=False) for backend in ("tensorflow", "jax"))
        if self.compute_dtype == "float32":
            return 4 if weights >= 100_000 and (tensorflow or jax) else None
        # Sums in bfloat16 would lose too many digits of the transformed values.
        exact = tensorflow and has_bfloat16_arithmetic()
        return 2 if self.compute_dtype == "bfloat16" and weights >= 500_000 and small and exact else None

    def _convolution_of_group(self, inputs, kernel, bias):
        outputs = super().convolution_op(inputs, kernel)
        if bias is None:
            return outputs
        shape = (1, -1, 1, 1) if self.data_format == "channels_first" else (1, 1, 1, -1)
        return ops.add(outputs, ops.reshape(bias, shape))

    def convolution_op(self, inputs, kernel):
        if self.groups > 1 and is_split_by_tower():
            return self._convolution_by_tower(inputs, kernel)
        if self._blocks_are_faster():
            return convolution_of_blocks(inputs, kernel, self.strides[0])
        return super().convolution_op(inputs, kernel)

    def _blocks_are_faster(self):
        few = self.groups == 1 and self.kernel.shape[2] <= 4
        few &= 1 < self.strides[0] == self.strides[1] <= min(self.kernel_size)
        plain = self.padding == "valid" and self.data_format == "channels_last" and set(self.dilation_rate) == {1}
        return few and plain and computes_with("jax", accelerator=True)

    def _convolution_by_tower(self, inputs, kernel):
        """The convolution as products in which the groups are an axis of their own, which can lie on two devices."""
        if self.data_format == "channels_first" or any(rate != 1 for rate in self.dilation_rate):
            raise ValueError(
                f"Layer '{self.name}' on two devices must have channels_last and no dilation. "
                f"Received: data_format={self.data_format!r}, dilation_rate={self.dilation_rate}"
            )
        (height, width, maps, filters), groups = kernel.shape, self.groups
        if self.padding == "same":
            sizes = zip(inputs.shape[1:3], (height, width), self.strides, strict=True)
            missing = [max(((n + s - 1) // s - 1) * s + k - n, 0) for n, k, s in sizes]
            inputs = ops.pad(inputs, [(0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)])
        rows, columns = (
            (n - k) // s + 1 for n, k, s in zip(inputs.shape[1:3], (height, width), self.strides, strict=True)
        )
        inputs = ops.reshape(inputs, (-1, *inputs.shape[1:3], groups, maps))
        kernel = ops.reshape(kernel, (height, width, maps, groups, filters // groups))
        outputs = 0.0
        for y in range(height):
            for x in range(width):
                part = inputs[:, y :: self.strides[0], x :: self.strides[1]][:, :rows, :columns]
                outputs += ops.cast(ops.einsum("nyxgi,igo->nyxgo", part, kernel[y, x]), "float32")
        return ops.cast(ops.reshape(outputs, (-1, rows, columns, filters)), kernel.dtype)


def convolution_of_blocks(inputs, kernel, stride):
    """A convolution without padding, whose stride is the side of blocks of positions.

    The maps of a block's positions become maps of one position, and the kernel, filled up with zeros to whole blocks,
    moves by one.

    Args:
        inputs: tensor `(batch, height, width, maps)`.
        kernel: tensor `(kernel height, kernel width, maps, filters)`.
        stride: int, in positions.

    Returns:
        Tensor `(batch, new height, new width, filters)`.
    """
    sides, (maps, filters) = kernel.shape[:2], kernel.shape[2:]
    blocks = [-(-side // stride) for side in sides]  # that a kernel reaches over
    missing = [(0, n * stride - side) for n, side in zip(blocks, sides, strict=True)]
    kernel = ops.reshape(
        ops.pad(kernel, [*missing, (0, 0), (0, 0)]), (blocks[0], stride, blocks[1], stride, maps, filters)
    )
    kernel = ops.reshape(ops.transpose(kernel, (0, 2, 1, 3, 4, 5)), (*blocks, stride * stride * maps, filters))
    # Of the inputs, the blocks that a kernel meets, no more; the last may have to be filled up with zeros.
    rows, columns = (
        (size - side) // stride + n for size, side, n in zip(inputs.shape[1:3], sides, blocks, strict=True)
    )
    inputs = inputs[:, : rows * stride, : columns * stride]
    missing = [(0, rows * stride - inputs.shape[1]), (0, columns * stride - inputs.shape[2])]
    inputs = ops.reshape(ops.pad(inputs, [(0, 0), *missing, (0, 0)]), (-1, rows, stride, columns, stride, maps))
    inputs = ops.reshape(ops.transpose(inputs, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, stride * stride * maps))
    return ops.conv(inputs, kernel, padding="valid", data_format="channels_last")


def _split_is_faster():
    # On a CPU XLA computes grouped convolutions several times slower than single ones, on a GPU so does cuDNN. PyTorch
    # on a CPU does not; Keras on PyTorch or TensorFlow has not been measured on a GPU.
    return keras.backend.backend() == "jax" or computes_with("tensorflow", accelerator=False)
