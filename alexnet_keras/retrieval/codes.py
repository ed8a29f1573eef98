"""Short binary codes of vectors, from an autoencoder."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import layers

from alexnet_keras.checks import is_whole_number
from alexnet_keras.layers import BinaryUnits


def train_encoder(
    vectors: np.ndarray,
    bits: int,
    *,
    hidden: int = 512,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 0.001,
    seed: int = 0,
    verbose: int = 0,
) -> keras.Model:
    """Trains an autoencoder with a binary layer, and returns its encoder.

    The input is centered, and divided by one common number, so that its largest deviations matter
    most. Encoder and decoder have one hidden layer of ReLUs. The inputs of the code's units are
    normalized over the batch, so each bit is 0 for about half of the images.

    Args:
        vectors: `(images, numbers)`.
        bits: length of the code, a multiple of 8.
        hidden: units of the hidden layers.
        epochs: passes over the vectors.
        batch_size: vectors in a step.
        learning_rate: of Adam.
        seed: seed of weights and order.
        verbose: as for `keras.Model.fit`.

    Returns:
        `keras.Model` from `(batch, numbers)` to 0 and 1, `(batch, bits)`.

    Raises:
        ValueError: for a length that is not a multiple of 8, or fewer than two vectors.

    Reference: last paragraph of section 6.1 of Krizhevsky et al. (2012), and Krizhevsky and Hinton
    (2011). Unlike theirs, this autoencoder has no pre-training, fewer layers and batch
    normalization.
    """
    vectors = np.asarray(vectors)
    if not is_whole_number(bits, 8) or bits % 8:
        raise ValueError(f"`bits` must be a positive multiple of 8. Received: bits={bits!r}")
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(
            f"`vectors` must be two or more, (images, numbers). Received: shape {vectors.shape}"
        )
    keras.utils.set_random_seed(seed)
    mean = vectors.mean(0, dtype="float64").astype("float32")
    vectors = vectors - mean
    scale = float(vectors.std()) or 1.0
    vectors /= scale
    coder = keras.Sequential(
        [
            keras.Input((vectors.shape[1],)),
            layers.Dense(hidden, activation="relu", name="hidden"),
            layers.Dense(bits, use_bias=False, name="code_inputs"),
            layers.BatchNormalization(momentum=0.9, center=False, scale=False, name="balanced"),
            BinaryUnits(name="code"),
        ],
        name="coder",
    )
    decoder = [layers.Dense(hidden, activation="relu"), layers.Dense(vectors.shape[1])]
    autoencoder = keras.Sequential([coder, *decoder], name="autoencoder")
    autoencoder.compile(keras.optimizers.Adam(learning_rate), loss="mse")
    autoencoder.fit(vectors, vectors, epochs=epochs, batch_size=batch_size, verbose=verbose)
    scaled = layers.Rescaling(1 / scale, (-mean / scale).tolist(), name="scaled")
    return keras.Sequential([keras.Input((vectors.shape[1],)), scaled, coder], name="encoder")


def encode(
    encoder: keras.Model, chunks: Iterable[np.ndarray], batch_size: int = 1024
) -> np.ndarray:
    """Returns the codes of vectors.

    Args:
        encoder: model that `train_encoder` returned.
        chunks: arrays `(vectors, numbers)`.
        batch_size: vectors at a time.

    Returns:
        uint8 `(vectors, bits / 8)`, eight bits in a byte.
    """
    codes = [
        encoder.predict(np.asarray(chunk, "float32"), batch_size=batch_size, verbose=0)
        for chunk in chunks
    ]
    return np.packbits(np.concatenate(codes) > 0.5, axis=1)
