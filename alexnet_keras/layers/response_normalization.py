"""What the two response normalizations share."""

import numpy as np
from keras import name_scope, ops


def window_matrix(length, size):
    """Matrix `(length, length)` of 0 and 1: row `i` selects `i - size // 2` to `i + (size - 1) // 2`.

    A sum over neighbours is a product with this band: on every processor the fastest form of it, and its gradient is
    the product with the transposed band.
    """
    offset = np.arange(length)[None, :] - np.arange(length)[:, None]
    return ((-(size // 2) <= offset) & (offset <= (size - 1) // 2)).astype("float32")


def normalize(x, window_sum, transposed_window_sum, k, alpha, beta, name):
    """`x / (k + alpha * window_sum(x**2)) ** beta` with a gradient that keeps the denominator and takes no powers.

    Args:
        x: float32 tensor.
        window_sum: a linear function from tensors of the shape of `x` to such tensors.
        transposed_window_sum: the transpose of that function.
        k, alpha, beta: constants.
        name: the layer's name; a profiler shows the gradient as `gradient_NAME`.
    """

    @ops.custom_gradient
    def function(x):
        denominator = k + alpha * window_sum(ops.square(x))
        if beta == 0.75:  # two square roots are many times faster than a power
            root = ops.rsqrt(denominator)
            power = root * ops.sqrt(root)
        else:
            power = ops.power(denominator, -beta)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            with name_scope(f"gradient_{name}"):
                inner = transposed_window_sum(upstream * x * power / denominator)
                return upstream * power - (2 * alpha * beta) * x * inner

        return x * power, gradient

    return function(x)
