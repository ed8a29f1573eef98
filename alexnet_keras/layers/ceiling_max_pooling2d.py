"""Max pooling with `ceil_mode`: output sizes are rounded up."""

import keras

from alexnet_keras.layers.ceiling_pooling import CeilingPooling
from alexnet_keras.ops.dispatch import Choice, choose_max_pool


@keras.saving.register_keras_serializable(package="alexnet_keras")
class CeilingMaxPooling2D(CeilingPooling, keras.layers.MaxPooling2D):
    """A `keras.layers.MaxPooling2D` with `ceil_mode`, as PyTorch and Caffe call it: sizes round up.

    The last windows may reach over the right and bottom edges, but begin inside the map. The output
    has `ceil((n - pool_size) / strides) + 1` rows for `n` rows of input, as in the 2012 source. It
    has one less if the last window would begin below them. Keras' `"valid"` rounds down, and its
    `"same"` pads on both sides. The maximum ignores positions outside the map. The definition is
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

    def call(self, inputs):
        return self.choose_implementation(inputs.shape).function(inputs)

    def choose_implementation(self, input_shape: tuple, training: bool = False) -> Choice:
        """Returns the implementation for an input of this shape; a training has the same."""
        self.axes(input_shape)
        sizes = (self.pool_size, self.strides)
        return choose_max_pool(tuple(input_shape), *sizes, ceil_mode=True, name=self.name)
