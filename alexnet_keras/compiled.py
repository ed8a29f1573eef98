"""A model as a compiled function of images, without the overhead of `keras.Model.predict`."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops


class CompiledModel:
    """A model as a function of uint8 images, compiled by the backend.

    Keras' `predict` sets up a data pipeline at each call, which is slow for a small network.

    Args:
        model: `keras.Model` of one input.
        full: images in a full batch. Smaller batches are padded to a power of two, so that the
            backend compiles few sizes.
    """

    def __init__(self, model: keras.Model, full: int):
        self.full = full
        self._model = model  # a trace does not keep the weights in memory
        self._function = model.predict_on_batch
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # One trace for all sizes; `predict_on_batch` would warn about a trace for each size.
            signature = [tf.TensorSpec((None, *model.input_shape[1:]), "uint8")]
            call = functools.partial(model, training=False)
            function = tf.function(call, input_signature=signature, autograph=False)
            # Calls of the trace itself skip TensorFlow's search for one.
            self._function = function.get_concrete_function()

    def __call__(self, images: np.ndarray) -> Any:
        """Returns the outputs for images `(batch, height, width, 3)`, as NumPy arrays.

        Args:
            images: uint8, at most `full` of them.

        Raises:
            ValueError: for more images.
        """
        count = len(images)
        if count > self.full:
            raise ValueError(
                f"`images` must be at most {self.full}, a full batch. Received: {count} images"
            )
        padded = 1
        while padded < count:
            padded = min(2 * padded, self.full)
        if padded > count:
            zeros = np.zeros((padded - count, *images.shape[1:]), images.dtype)
            images = np.concatenate([images, zeros])
        outputs = self._function(images)
        return keras.tree.map_structure(
            lambda output: ops.convert_to_numpy(output)[:count], outputs
        )
