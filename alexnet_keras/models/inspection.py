"""Layers of a built network: by name, and the activation that follows one."""

import keras


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
