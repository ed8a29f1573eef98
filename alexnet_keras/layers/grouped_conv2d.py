"""Convolution in groups."""

import keras

from alexnet_keras.checks import check_whole_number, is_whole_number
from alexnet_keras.layers.replaced_weights import ReplacedWeights
from alexnet_keras.ops.dispatch import Choice, ConvOptions, choose_conv2d


@keras.saving.register_keras_serializable(package="alexnet_keras")
class GroupedConv2D(ReplacedWeights, keras.layers.Conv2D):
    """A `keras.layers.Conv2D` with fast `groups` on a CPU, and with JAX on a GPU.

    `G` groups divide the input maps and the kernels into `G` equal, consecutive parts. Kernel part
    `g` sees input part `g` only: `y[..., g] = conv(x[..., g], w[..., g]) + b[g]`. In AlexNet the
    groups are the two GPUs. The definition is `alexnet_keras.ops.reference.conv2d`.
    `alexnet_keras.print_implementations` prints the implementation.

    Arguments, weights and output are the same as in `keras.layers.Conv2D`, so weights can be
    exchanged. `kernel` has the shape `(kernel height, kernel width, input maps / groups, filters)`,
    and `bias` has the shape `(filters,)`.

    Args:
        filters: number of kernels, a multiple of `groups`.
        kernel_size: int or pair of ints, in pixels.
        groups: number of groups, which divides the input maps and `filters`.
        *args, **kwargs: every other argument of `keras.layers.Conv2D`, in its order.

    Raises:
        ValueError: if `groups` does not divide `filters` or the number of input maps, and for
            channels_first or dilation with a tower on each of two devices.

    Example:

    >>> conv2 = GroupedConv2D(256, 5, padding="same", groups=2)
    >>> conv2(keras.ops.ones((1, 27, 27, 96))).shape
    TensorShape([1, 27, 27, 256])

    Reference: section 3.5 and figure 2 of Krizhevsky et al. (2012).
    """

    def __init__(self, filters: int, kernel_size: int | tuple, *args, groups: int = 1, **kwargs):
        filters = check_whole_number("filters", filters)
        if not is_whole_number(groups) or filters % groups:
            raise ValueError(
                "`groups` must be a positive whole number that divides `filters`. "
                f"Received: groups={groups!r}, filters={filters}"
            )
        super().__init__(filters, kernel_size, *args, groups=int(groups), **kwargs)

    def build(self, input_shape: tuple) -> None:
        axis = 1 if self.data_format == "channels_first" else -1
        maps = input_shape[axis]
        if maps is None or maps % self.groups:
            raise ValueError(
                f"The input of layer '{self.name}' must have a number of maps that `groups` "
                f"divides. Received: groups={self.groups}, input shape={tuple(input_shape)}"
            )
        super().build(input_shape)

    def call(self, inputs, training=False):
        bias = self.bias if self.use_bias else None
        choice = self.choose_implementation(inputs.shape, training)
        outputs = choice.function(inputs, self.kernel, bias)
        return outputs if self.activation is None else self.activation(outputs)

    def choose_implementation(self, input_shape: tuple, training: bool | None) -> Choice:
        """Returns the implementation for an input of this shape."""
        options = ConvOptions(
            self.strides, self.padding, self.groups, self.dilation_rate, self.data_format
        )
        return choose_conv2d(
            tuple(input_shape),
            tuple(self.kernel.shape),
            self.compute_dtype,
            options,
            training,
            self.name,
        )
