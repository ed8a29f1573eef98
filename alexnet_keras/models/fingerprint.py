"""A digest of a trained network."""

import hashlib

import keras
import numpy as np


def fingerprint(model: keras.Model) -> str:
    """Returns a digest of a model's layers and weights, of 16 hexadecimal digits."""
    digest = hashlib.blake2b(str(model.input_shape).encode(), digest_size=8)
    for layer in model.layers:
        digest.update(layer.name.encode())
        for weight in layer.weights:
            digest.update(
                np.ascontiguousarray(keras.ops.convert_to_numpy(weight), "float32").tobytes()
            )
    return digest.hexdigest()
