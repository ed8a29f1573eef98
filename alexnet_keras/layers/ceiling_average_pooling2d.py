"""Average pooling with `ceil_mode`: output sizes are rounded up."""

import keras

from alexnet_keras.layers.ceiling_pooling import CeilingPooling
from alexnet_keras.ops.reference import average_pool


@keras.saving.register_keras_serializable(package="alexnet_keras")
class CeilingAveragePooling2D(CeilingPooling, keras.layers.AveragePooling2D):
    """A `keras.layers.AveragePooling2D` with `ceil_mode`, as PyTorch calls it: sizes round up.

    The last windows may reach over the right and bottom edges, but begin inside the map. Each
    output is the mean over the positions of its window inside the map. The definition is
    `alexnet_keras.ops.reference.average_pool`.

    Args:
        pool_size: int, side of the window, in positions.
        strides: int, distance between windows, in positions.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input: `(batch, height, width, maps)`; output: `(batch, new height, new width, maps)`.

    Raises:
        ValueError: for another padding or data format, or an input of unknown height or width.

    Example:

    >>> CeilingAveragePooling2D(3, 2)(keras.ops.ones((1, 16, 16, 4))).shape
    TensorShape([1, 8, 8, 4])

    Reference: cuda-convnet, the networks for CIFAR-10 that section 3.3 of Krizhevsky et al. (2012)
    refers to.
    """

    def call(self, inputs):
        self.axes(inputs.shape)
        return average_pool(inputs, self.pool_size, self.strides, ceil_mode=True)
