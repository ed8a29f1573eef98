"""Response normalization across feature maps."""

import keras
from keras import ops

from alexnet_keras.checks import check_whole_number
from alexnet_keras.ops.dispatch import Choice, choose_local_response_normalization


@keras.saving.register_keras_serializable(package="alexnet_keras")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each activity by a norm of its neighbors in the other maps at the same position.

    `b[i] = a[i] / (k + alpha * sum_j a[j]**2) ** beta`. `j` runs over the `size` maps from
    `i - size // 2` to `i + (size - 1) // 2`, as far as they exist. `a` is the input, `b` the
    output, `i` the map.

    The definition is `alexnet_keras.ops.reference.local_response_normalization`. The computation
    is in float32 under mixed precision; the output has the compute dtype.

    Args:
        size: number of neighboring maps in the sum, `n` of the paper.
        k: the constant in the denominator.
        alpha: the weight of the sum of squares.
        beta: the power.
        divide_alpha: whether `alpha` is divided by `size` first, as in the 2012 source, Caffe and
            PyTorch. The paper's formula and TensorFlow's operation do not divide.
        groups: number of equal, consecutive parts of the maps (the two GPUs of the paper), whose
            borders no sum crosses.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input and output: `(batch, ..., maps)`.

    Raises:
        ValueError: for constants that are out of range, or if `groups` does not divide the maps.

    Example:

    >>> y = LocalResponseNormalization()(keras.ops.ones((1, 1, 1, 5)))
    >>> float(y[0, 0, 0, 2])  # 1 / (2 + 5e-4) ** 0.75
    0.5944921374320984

    Reference: section 3.3 of Krizhevsky et al. (2012).
    """

    def __init__(
        self,
        size: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        divide_alpha: bool = False,
        groups: int = 1,
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
        self.divide_alpha = divide_alpha
        self.groups = check_whole_number("groups", groups)

    def build(self, input_shape: tuple) -> None:
        maps = input_shape[-1]
        if maps is None or maps % self.groups:
            raise ValueError(
                f"The input of layer '{self.name}' must have a number of maps that `groups` "
                f"divides. Received: groups={self.groups}, input shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs, training=False):
        x = ops.cast(inputs, self.compute_dtype)
        return self.choose_implementation(x.shape, training).function(x)

    def choose_implementation(self, input_shape: tuple, training: bool | None) -> Choice:
        """Returns the implementation for an input of this shape."""
        alpha = self.alpha / self.size if self.divide_alpha else self.alpha
        constants = (self.size, self.k, alpha, self.beta, self.groups)
        return choose_local_response_normalization(
            len(input_shape), *constants, training, self.name
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "size": self.size,
            "k": self.k,
            "alpha": self.alpha,
            "beta": self.beta,
            "divide_alpha": self.divide_alpha,
            "groups": self.groups,
        }
