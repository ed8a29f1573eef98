"""Augmentation as a part of the compiled training step. JAX only."""

import keras
import numpy as np


def augment_in_step(model, dataset):
    """Lets each training step of a compiled model begin with the dataset's `augment`.

    What travels to the device is then what `augment` takes, and not the float32 images that it gives, which are four
    times as large as pixels and would keep a GPU waiting.

    Args:
        model: compiled, on the JAX backend, and not fitted yet. From then on it trains on batches of `dataset` that are
            not augmented; to call this once more would augment them twice.
        dataset: a `Dataset` or an `InMemoryDataset`.
    """
    distribution, size = keras.distribution.distribution(), dataset.info.crop_size
    count = distribution.device_mesh.shape[0] if distribution else 1
    # Keras builds what it has compiled by the shapes of a batch.
    model.test_on_batch(np.zeros((count, size, size, 3), "float32"), np.zeros(count, "int32"))
    step = model.train_step

    def train_step(state, data):
        batch, *rest = data
        return step(state, (dataset.augment(batch), *rest))

    model.train_step = train_step
