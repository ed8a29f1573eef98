"""Response normalization inside a feature map."""

import keras
from keras import ops

from alexnet_keras.checks import check_whole_number
from alexnet_keras.ops.dispatch import Choice, choose_spatial_response_normalization


@keras.saving.register_keras_serializable(package="alexnet_keras")
class SpatialResponseNormalization(keras.layers.Layer):
    """Divides each activity by a norm of its neighbors in the same feature map.

    `b[y, x] = a[y, x] / (k + alpha / size**2 * sum a[v, u]**2) ** beta`. `v` runs from
    `y - size // 2` to `y + (size - 1) // 2`, as far as these positions exist, and `u` likewise
    around `x`. `a` is the input, `b` the output. The defaults are the constants of the 2012 source,
    where this layer follows the second response normalization. The paper does not mention it.

    The definition is `alexnet_keras.ops.reference.spatial_response_normalization`. The computation
    is in float32 under mixed precision; the output has the compute dtype.

    Args:
        size: side of the square window, in positions.
        k: the constant in the denominator.
        alpha: the weight of the mean square, which is divided by `size**2` as in the 2012 source.
        beta: the power.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input and output: `(batch, height, width, maps)`.

    Raises:
        ValueError: for constants that are out of range, or an input of unknown height or width.

    Example:

    >>> SpatialResponseNormalization()(keras.ops.ones((1, 27, 27, 4))).shape
    TensorShape([1, 27, 27, 4])

    Reference: 2012 source, net 145.
    """

    def __init__(
        self,
        size: int = 5,
        k: float = 1.0,
        alpha: float = 1e-3,
        beta: float = 0.75,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if k <= 0 or alpha < 0:
            raise ValueError(
                f"`k` must be positive and `alpha` not negative. Received: k={k}, alpha={alpha}"
            )
        self.size = check_whole_number("size", size)
        self.k = k
        self.alpha = alpha
        self.beta = beta

    def build(self, input_shape: tuple) -> None:
        if None in input_shape[1:3]:
            raise ValueError(
                f"The input of layer '{self.name}' must have a known height and width. "
                f"Received: input shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs, training=False):
        x = ops.cast(inputs, self.compute_dtype)
        return self.choose_implementation(x.shape, training).function(x)

    def choose_implementation(self, input_shape: tuple, training: bool | None) -> Choice:
        """Returns the implementation, the same for inputs of all shapes."""
        constants = (self.size, self.k, self.alpha / self.size**2, self.beta)
        return choose_spatial_response_normalization(*constants, training, self.name)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "size": self.size,
            "k": self.k,
            "alpha": self.alpha,
            "beta": self.beta,
        }
