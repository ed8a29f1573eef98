"""Max pooling whose output size is rounded up."""

import math

import keras
from keras import ops

from alexnet_keras.distribution import computes_with
from alexnet_keras.layers.max_pooling import max_pooling


@keras.saving.register_keras_serializable(package="alexnet_keras")
class CeilingMaxPooling2D(keras.layers.MaxPooling2D):
    """A `keras.layers.MaxPooling2D` whose last windows may reach over the right and bottom edges.

    The output has `ceil((n - pool_size) / strides) + 1` rows for `n` rows of input, as in the 2012 source; Keras'
    `"valid"` rounds down, and its `"same"` puts the missing positions on both sides. Positions outside the map do not
    take part in the maximum. On a GPU, JAX computes `max_pooling`, whose gradient gathers: pool1 and the ReLU before
    it, in bfloat16 on an H200, take 3.5 times less.

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
                raise ValueError(f"`{name}` must be {accepted!r}. Received: {name}={kwargs[name]!r}")
        super().__init__(pool_size, strides, **kwargs)

    def call(self, inputs):
        axes = self._axes(inputs.shape)
        missing = [ceiling_padding(n, k, s) for n, k, s in axes]
        by_place = computes_with("jax", accelerator=True)
        by_place &= all(stride <= size for _, size, stride in axes) and math.prod(self.pool_size) <= 128
        if not any(missing):
            return self._pooled(inputs, by_place)
        if not by_place and all(_same_padding(n, k, s) == (0, m) for (n, k, s), m in zip(axes, missing, strict=True)):
            return ops.max_pool(inputs, self.pool_size, self.strides, padding="same", data_format="channels_last")
        padding = [(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)]
        return self._pooled(ops.pad(inputs, padding, constant_values=-float("inf")), by_place)

    def _pooled(self, inputs, by_place):
        return max_pooling(inputs, self.pool_size, self.strides) if by_place else super().call(inputs)

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


def ceiling_padding(size, window, stride):
    """Rows to add below (or columns to the right) so that `window` with `stride` covers all `size` rows.

    Reference: 2012 source; 224 pixels, 11x11 kernels and stride 4 need 3.
    """
    return (window - size) % stride if size >= window else window - size


def _same_padding(size, window, stride):
    """Positions that the padding "same" adds ahead of and behind `size` of them."""
    missing = max((-(-size // stride) - 1) * stride + window - size, 0)
    return missing // 2, missing - missing // 2
