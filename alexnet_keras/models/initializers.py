"""Initial values of layers."""

import zlib

import keras


def layer_initializers(kernel, bias: float, seed: int, layer: str) -> dict:
    """Returns initializers that depend only on the seed and on a layer's name and shape.

    Networks that differ in other layers start from the same values.

    Args:
        kernel: a Keras initializer, or the name of one.
        bias: initial value of the biases.
        seed: seed of the network.
        layer: the layer's name.

    Returns:
        dict of arguments of a Keras layer.
    """
    kernel = keras.initializers.get(kernel)
    if "seed" in kernel.get_config():
        own_seed = zlib.crc32(f"{seed} {layer}".encode())
        kernel = kernel.from_config({**kernel.get_config(), "seed": own_seed})
    return {"kernel_initializer": kernel, "bias_initializer": keras.initializers.Constant(bias)}
