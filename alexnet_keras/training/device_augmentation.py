"""Augmentation on the device, as a part of the compiled training step. JAX only."""

import keras
import numpy as np

from alexnet_keras.evaluation.evaluate import compile_classifier


class AugmentingModel(keras.Model):
    """A network whose training steps begin with the augmentation of their images.

    `augmenting_model` makes it of a network, with which it shares its layers, variables and optimizer.
    """

    augment = None

    def train_step(self, state, data):
        batch, *rest = data
        return super().train_step(state, (self.augment(batch), *rest))


def augmenting_model(network, dataset) -> AugmentingModel:
    """Returns a model that trains a network on batches that a data set has not augmented yet.

    What travels to the device is then what `dataset.augment` takes: pixels, a quarter of the bytes of the
    float32 images that it gives, which would keep a GPU waiting.

    Args:
        network: classifier on the JAX backend, compiled for training. Train the returned model, and
            evaluate and save the network.
        dataset: a `Dataset`, whose batches are made with `device_augmentation=True`, or an `InMemoryDataset`.
    """
    model = AugmentingModel(network.input, network.output, name=network.name)
    model.augment = dataset.augment
    compile_classifier(model, network.optimizer)
    distribution, size = keras.distribution.distribution(), dataset.info.crop_size
    count = distribution.device_mesh.shape[0] if distribution else 1
    # Keras builds what it has compiled by the shapes of a batch; those of training have other ones.
    model.test_on_batch(np.zeros((count, size, size, 3), "float32"), np.zeros(count, "int32"))
    return model
