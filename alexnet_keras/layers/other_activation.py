"""A layer of a network, computed with another activation."""

from collections.abc import Callable
from typing import Any

import keras


class OtherActivation(keras.layers.Layer):
    """Computes a layer with another activation. The weights are the layer's own, and no copies.

    Args:
        layer: a built layer with the attribute `activation`, such as a convolution.
        activation: function that replaces its activation.
        name: name of this layer.
    """

    def __init__(self, layer: keras.layers.Layer, activation: Callable, name: str):
        super().__init__(name=name, dtype=layer.dtype_policy)
        self.layer = layer
        self.activation = activation

    def call(self, x: Any) -> Any:
        own = self.layer.activation
        self.layer.activation = self.activation
        try:
            return self.layer(x)
        finally:
            self.layer.activation = own
