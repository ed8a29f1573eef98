"""Rounded logistic units."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="alexnet_keras")
class BinaryUnits(keras.layers.Layer):
    """Rounds logistic units to 0 or 1, with the gradient of the unrounded units.

    `y = round(s)` with `s = 1 / (1 + exp(-x))`, and `dy/dx = s (1 - s)`. `x` is the input, `y` the
    output.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input and output: `(batch, ...)`.

    Example:

    >>> BinaryUnits()(keras.ops.convert_to_tensor([-2.0, 0.5])).numpy().tolist()
    [0.0, 1.0]

    Reference: section 2 of Krizhevsky and Hinton (2011), "Using very deep autoencoders for
    content-based image retrieval", reference [14] of Krizhevsky et al. (2012).
    """

    def call(self, inputs):
        smooth = ops.sigmoid(inputs)
        return smooth + ops.stop_gradient(ops.round(smooth) - smooth)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape
