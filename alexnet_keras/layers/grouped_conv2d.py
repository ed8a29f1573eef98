"""Convolution in groups."""

import keras

from alexnet_keras.ops.dispatch import ConvOptions, choose_conv2d


@keras.saving.register_keras_serializable(package="alexnet_keras")
class GroupedConv2D(keras.layers.Conv2D):
    """A `keras.layers.Conv2D` whose `groups` cost no speed on a CPU, nor with JAX on a GPU.

    With `G` groups the input maps and the kernels are cut into `G` equal, consecutive parts, and kernel part `g` sees
    input part `g` only: `y[..., g] = conv(x[..., g], w[..., g]) + b[g]`. In AlexNet the groups are the two GPUs. The
    definition is `alexnet_keras.ops.reference.conv2d`; `alexnet_keras.ops.explain` says how it is computed.

    Arguments, weights (`kernel` of shape `(kernel height, kernel width, input maps / groups, filters)` and `bias` of
    shape `(filters,)`) and output are those of `keras.layers.Conv2D`, so weights move freely between the two.

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
        bias = self.bias if self.use_bias else None
        outputs = self.choose_implementation(inputs.shape, training).function(
            inputs, self.kernel, bias
        )
        return outputs if self.activation is None else self.activation(outputs)

    def choose_implementation(self, input_shape, training):
        """The `alexnet_keras.ops.dispatch.Choice` for an input of this shape."""
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
