"""The gradient of a function, on whichever backend of Keras runs."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops


def gradient(function: Callable, x: np.ndarray) -> np.ndarray:
    """Returns the gradient of `sum(function(x))` with respect to `x`.

    Args:
        function: function from a tensor to a tensor, of Keras models and `keras.ops`.
        x: float array.

    Returns:
        Array of the shape of `x`.

    Raises:
        ValueError: if the backend of Keras has no gradients.

    Example:

    >>> gradient(keras.ops.square, np.array([1.0, 3.0], "float32")).tolist()
    [2.0, 6.0]
    """
    backend = keras.backend.backend()
    if backend not in _GRADIENTS:
        raise ValueError(
            f"The backend of Keras must be one of {', '.join(_GRADIENTS)}. Received: {backend}"
        )
    return ops.convert_to_numpy(_GRADIENTS[backend](function, x))


def _tensorflow(function, x):
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = ops.sum(function(x))
    return tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _jax(function, x):
    import jax

    return jax.grad(lambda tensor: ops.sum(function(tensor)))(ops.convert_to_tensor(x))


def _torch(function, x):
    import torch

    # Not `backward`, which would also compute the gradients of all weights and keep them.
    x = ops.convert_to_tensor(x).detach().clone().requires_grad_(True)
    total = ops.sum(function(x))
    if not total.requires_grad:  # the function does not depend on x
        return torch.zeros_like(x)
    (result,) = torch.autograd.grad(total, x, allow_unused=True, materialize_grads=True)
    return result


_GRADIENTS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
