"""Layers of a built network: by name, with another activation, and the activation that follows."""

from collections.abc import Callable

import keras

from alexnet_keras.layers import (
    CeilingAveragePooling2D,
    CeilingMaxPooling2D,
    LocallyConnected2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
)

CONVOLUTIONS = (keras.layers.Conv2D, LocallyConnected2D)
LINEAR_LAYERS = (keras.layers.Dense, *CONVOLUTIONS)
ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU)
# Layers that may stand between a linear layer and its activation.
_BETWEEN = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    CeilingMaxPooling2D,
    CeilingAveragePooling2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
)


def layer_of(
    network: keras.Model, name: str, network_argument: str | None = None
) -> keras.layers.Layer:
    """Returns the layer of a network with a name.

    Args:
        network: a `keras.Model`.
        name: name of the layer.
        network_argument: for a caller that chooses the name, the argument that gives the network;
            the message then names it. `None` if the argument `layer` gives the name.

    Raises:
        ValueError: if there is none; the message lists the layers.
    """
    layers = {layer.name: layer for layer in network.layers}
    if name in layers:
        return layers[name]
    names = ", ".join(layers)
    if network_argument is None:
        raise ValueError(
            f"`layer` must be a layer of the network, {names}. Received: layer={name!r}"
        )
    raise ValueError(
        f"`{network_argument}` must have a layer {name}. Received: a model with {names}"
    )


def with_activation(
    layer: keras.layers.Layer, activation: Callable, name: str
) -> keras.layers.Layer:
    """Returns a layer with the weights of another, not copies of them, and its own activation.

    Args:
        layer: a built layer with an attribute `activation`, such as a convolution.
        activation: activation of the new layer.
        name: name of the new layer.
    """
    twin = object.__new__(type(layer))  # `copy.copy` would copy the weights, too
    own = {"activation": activation, "name": name, "_inbound_nodes": [], "_outbound_nodes": []}
    vars(twin).update({**vars(layer), **own})
    return twin


def activation_after(
    network: keras.Model, layer: keras.layers.Layer
) -> tuple[list[keras.layers.Layer], keras.layers.Layer | None]:
    """Finds the activation layer of a linear convolution or dense layer, such as relu5 for conv5.

    Pools and normalizations may stand between the two, as in the networks of the 2012 source. The
    search follows the graph, up to an output that several layers or none take.

    Args:
        network: a `keras.Model`.
        layer: a layer of the network.

    Returns:
        The layers between the two, and the activation. It is `None` for a layer that has an
        activation of its own or none before the next convolution or dense layer. The same holds
        if another kind of layer stands between, such as batch normalization, or if the network
        branches there.
    """
    between = []
    if not isinstance(layer, LINEAR_LAYERS) or layer.activation is not keras.activations.linear:
        return between, None
    other = _only_consumer(network, layer)
    while isinstance(other, _BETWEEN):
        between.append(other)
        other = _only_consumer(network, other)
    return between, other if isinstance(other, ACTIVATIONS) else None


def _only_consumer(network, layer):
    """Returns the layer that takes the output of another; `None` for several or none."""
    # Functions such as `keras.ops.add` are operations, and no layers.
    operations = getattr(network, "operations", network.layers)
    consumers = [
        other
        for other in operations
        if any(tensor is layer.output for tensor in keras.tree.flatten(other.input))
    ]
    return consumers[0] if len(consumers) == 1 else None
