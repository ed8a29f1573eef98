"""Max pooling whose output size is rounded up."""

import keras

from alexnet_keras.ops.dispatch import choose_max_pool
from alexnet_keras.ops.reference import ceiling_padding


@keras.saving.register_keras_serializable(package="alexnet_keras")
class CeilingMaxPooling2D(keras.layers.MaxPooling2D):
    """A `keras.layers.MaxPooling2D` with `ceil_mode`, as PyTorch and Caffe call it: sizes round up.

    The last windows may reach over the right and bottom edges. The output has `ceil((n - pool_size) / strides) + 1`
    rows for `n` rows of input, as in the 2012 source; Keras' `"valid"` rounds down, and its `"same"` puts the missing
    positions on both sides. Positions outside the map do not take part in the maximum. The definition is
    `alexnet_keras.ops.reference.max_pool`.

    Args:
        pool_size: int, side of the window, in positions.
        strides: int, distance between windows, in positions.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input: `(batch, height, width, maps)`; output: `(batch, new height, new width, maps)`.

    Raises:
        ValueError: for another padding or data format, or an input of unknown height or width.

    Example:

    >>> CeilingMaxPooling2D(2, 2)(keras.ops.ones((1, 55, 55, 4))).shape
    TensorShape([1, 28, 28, 4])

    Reference: 2012 source; section 3.4 of Krizhevsky et al. (2012) for the overlap.
    """

    def __init__(self, pool_size=3, strides=2, **kwargs):
        for name, accepted in (("padding", "valid"), ("data_format", "channels_last")):
            if kwargs.setdefault(name, accepted) != accepted:
                raise ValueError(
                    f"`{name}` must be {accepted!r}. Received: {name}={kwargs[name]!r}"
                )
        super().__init__(pool_size, strides, **kwargs)

    def call(self, inputs):
        return self.choose_implementation(inputs.shape).function(inputs)

    def choose_implementation(self, input_shape, training=False):
        """The `alexnet_keras.ops.dispatch.Choice` for an input of this shape; the same in a training."""
        self._axes(input_shape)
        return choose_max_pool(tuple(input_shape), self.pool_size, self.strides, ceil_mode=True)

    def compute_output_shape(self, input_shape):
        sizes = [(n + ceiling_padding(n, k, s) - k) // s + 1 for n, k, s in self._axes(input_shape)]
        return (input_shape[0], *sizes, input_shape[3])

    def _axes(self, input_shape):
        """`(size, window, stride)` for each of height and width."""
        if None in input_shape[1:3]:
            raise ValueError(
                f"The input of layer '{self.name}' must have a known height and width. "
                f"Received: input shape={tuple(input_shape)}"
            )
        return list(zip(input_shape[1:3], self.pool_size, self.strides, strict=True))
