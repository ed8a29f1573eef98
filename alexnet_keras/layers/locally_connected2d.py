"""Convolution whose kernels differ from position to position."""

import keras
from keras import ops

from alexnet_keras.checks import check_whole_number, is_whole_number
from alexnet_keras.layers.replaced_weights import ReplacedWeights
from alexnet_keras.ops.dispatch import Choice, choose_locally_connected2d
from alexnet_keras.ops.reference import same_padding


@keras.saving.register_keras_serializable(package="alexnet_keras")
class LocallyConnected2D(ReplacedWeights):
    """Convolution without weight sharing: every position has its own kernels and biases.

    `y[n, p] = window[n, p] kernel[p] + bias[p]`, with the position `p`. `window[n, p]` are the
    activities of image `n` that the kernel covers there. The definition is
    `alexnet_keras.ops.reference.locally_connected2d`. `alexnet_keras.print_implementations` prints
    the implementation.

    The weights have the same shapes as in Keras 2's layer of this name. `kernel` is
    `(positions, kernel height * kernel width * maps, filters)`, with positions row by row. `bias`
    is `(rows, columns, filters)`.

    Args:
        filters: number of kernels at each position.
        kernel_size: int or pair of ints, in positions.
        strides: int or pair of ints, in positions.
        padding: `"valid"`, or `"same"` for zeros around the maps.
        activation: a Keras activation, or `None`.
        use_bias: whether the layer has biases.
        kernel_initializer: a Keras initializer. He's and Glorot's use the fan-in of one position.
        bias_initializer: a Keras initializer.
        kernel_regularizer, bias_regularizer: Keras regularizers, or `None`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input: `(batch, height, width, maps)`; output: `(batch, rows, columns, filters)`.

    Raises:
        ValueError: for sizes that are not positive, or another padding; for an input of unknown or
            too small size, or of another size than the first one.

    Example:

    >>> local3 = LocallyConnected2D(64, 3, padding="same")
    >>> local3(keras.ops.ones((1, 6, 6, 64))).shape
    TensorShape([1, 6, 6, 64])

    Reference: footnote 3 of Krizhevsky et al. (2012), the networks for CIFAR-10.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple,
        strides: int | tuple = 1,
        padding: str = "valid",
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if padding not in ("valid", "same"):
            raise ValueError(f"`padding` must be 'valid' or 'same'. Received: padding={padding!r}")
        self.filters = check_whole_number("filters", filters)
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.strides = _pair("strides", strides)
        self.padding = padding
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)

    def build(self, input_shape: tuple) -> None:
        rows, columns = self.compute_output_shape(input_shape)[1:3]
        weights = self.kernel_size[0] * self.kernel_size[1] * input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(rows * columns, weights, self.filters),
            initializer=_for_each_position(self.kernel_initializer, rows * columns),
            regularizer=self.kernel_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(rows, columns, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
            )
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))

    def call(self, inputs):
        kernel = ops.convert_to_tensor(self.kernel)
        outputs = self.choose_implementation(inputs.shape).function(inputs, kernel, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def choose_implementation(self, input_shape: tuple, training: bool = False) -> Choice:
        """Returns the implementation, the same for all inputs and in a training."""
        return choose_locally_connected2d(self.kernel_size, self.strides, self.padding, self.name)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        sizes = tuple(input_shape[1:3])
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                f"The input of layer '{self.name}' must have a known height, width and number of "
                f"maps. Received: input shape={tuple(input_shape)}"
            )
        if self.padding == "same":
            zeros = same_padding(sizes, self.kernel_size, self.strides)
            sizes = [n + sum(p) for n, p in zip(sizes, zeros, strict=True)]
        if any(n < k for n, k in zip(sizes, self.kernel_size, strict=True)):
            raise ValueError(
                f"The input of layer '{self.name}' must be at least as large as its kernels, "
                f"{self.kernel_size}. Received: input shape={tuple(input_shape)}"
            )
        axes = zip(sizes, self.kernel_size, self.strides, strict=True)
        return (input_shape[0], *((n - k) // s + 1 for n, k, s in axes), self.filters)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
        }


def _pair(name, value):
    """A pair of positive whole numbers, of one such number or a pair."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(map(is_whole_number, pair)):
        raise ValueError(
            f"`{name}` must be one or two positive whole numbers. Received: {name}={value!r}"
        )
    return tuple(map(int, pair))


def _for_each_position(initializer, positions):
    """The initializer whose fans Keras counts without the positions.

    Of a shape of three axes Keras takes the first for one that the kernel moves along.
    """
    if not isinstance(initializer, keras.initializers.VarianceScaling):
        return initializer
    return keras.initializers.VarianceScaling(
        initializer.scale * positions, initializer.mode, initializer.distribution, initializer.seed
    )
