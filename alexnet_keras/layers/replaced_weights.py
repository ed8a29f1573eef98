"""Weights that a file replaces at once, so that no initial values are computed for them."""

import contextlib
import contextvars
from collections.abc import Iterator

import keras
import numpy as np

_ARE_REPLACED = contextvars.ContextVar("weights_replaced", default=False)


@contextlib.contextmanager
def weights_replaced(are_replaced: bool = True) -> Iterator[None]:
    """Context in which new layers of this package have zeros as weights.

    Their initializers stay in their configuration. It is for models whose weights are loaded next:
    on JAX, the random numbers of each shape are a program that is compiled, which took nearly all
    of the time to load a network.

    Args:
        are_replaced: `False` for the usual initial weights.
    """
    token = _ARE_REPLACED.set(are_replaced)
    try:
        yield
    finally:
        _ARE_REPLACED.reset(token)


class ReplacedWeights(keras.layers.Layer):
    """Base of the layers that `weights_replaced` changes."""

    def add_weight(self, *args, **kwargs):
        if _ARE_REPLACED.get():
            kwargs["initializer"] = _Zeros()
        return super().add_weight(*args, **kwargs)


class _Zeros(keras.initializers.Initializer):
    """Zeros of NumPy, for which no backend compiles anything."""

    def __call__(self, shape, dtype=None):
        return np.zeros(shape, dtype or "float32")
