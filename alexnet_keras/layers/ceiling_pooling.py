"""The shared part of pools whose output sizes round up."""

import keras

from alexnet_keras.ops.reference import ceiling_padding


class CeilingPooling(keras.layers.Layer):
    """Arguments and sizes of a pool with `ceil_mode`, to be mixed into a pooling layer of Keras."""

    def __init__(self, pool_size: int = 3, strides: int = 2, **kwargs):
        for name, accepted in (("padding", "valid"), ("data_format", "channels_last")):
            if kwargs.setdefault(name, accepted) != accepted:
                raise ValueError(
                    f"`{name}` must be {accepted!r}. Received: {name}={kwargs[name]!r}"
                )
        super().__init__(pool_size, strides, **kwargs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        sizes = [(n + ceiling_padding(n, k, s) - k) // s + 1 for n, k, s in self.axes(input_shape)]
        return (input_shape[0], *sizes, input_shape[3])

    def axes(self, input_shape: tuple) -> list:
        """Returns `(size, window, stride)` of height and width; refuses inputs of unknown size."""
        if None in input_shape[1:3]:
            raise ValueError(
                f"The input of layer '{self.name}' must have a known height and width. "
                f"Received: input shape={tuple(input_shape)}"
            )
        return list(zip(input_shape[1:3], self.pool_size, self.strides, strict=True))
