"""Initial values of layers."""

import zlib

import keras


def layer_initializers(kernel, bias, seed, layer):
    """Initial values that depend on a layer's name and shape and the seed, whatever other layers there are.

    Args:
        kernel: a Keras initializer, or the name of one.
        bias: initial value of the biases.
        seed: of the network.
        layer: the layer's name.

    Returns:
        dict of the arguments of a Keras layer.
    """
    kernel = keras.initializers.get(kernel)
    if "seed" in kernel.get_config():
        kernel = kernel.from_config(
            {**kernel.get_config(), "seed": zlib.crc32(f"{seed} {layer}".encode())}
        )
    return {"kernel_initializer": kernel, "bias_initializer": keras.initializers.Constant(bias)}
