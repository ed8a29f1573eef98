"""Augmentation on the device, in the training step, for JAX and PyTorch."""

from typing import Any

import keras
import numpy as np

from alexnet_keras.evaluation.evaluate import compile_classifier


class AugmentingModel(keras.Model):
    """A network whose training steps augment their images first.

    `augmenting_model` makes it. Both models share layers, variables and optimizer.
    """

    augment: Any = None

    def train_step(self, *arguments):
        *state, (batch, *rest) = arguments  # JAX passes the state of the model first
        return super().train_step(*state, (self.augment(batch), *rest))


def augmenting_model(network: keras.Model, dataset: Any) -> AugmentingModel:
    """Returns a model that trains a network on batches without augmentation.

    The device gets the uint8 pixels that `dataset.augment` takes, a quarter of the bytes of the
    float32 images that it returns.

    Args:
        network: classifier on the JAX or PyTorch backend, compiled for training. Train the returned
            model, and evaluate and save the network.
        dataset: an `InMemoryDataset`, or on JAX a `Dataset`, whose batches are made with
            `device_augmentation=True`.
    """
    model = AugmentingModel(network.input, network.output, name=network.name)
    model.augment = dataset.augment
    compile_classifier(model, network.optimizer)
    distribution = keras.distribution.distribution()
    size = dataset.info.crop_size
    count = distribution.device_mesh.shape[0] if distribution else 1
    # Keras builds loss and metrics by the first batch, and training batches have other shapes.
    model.test_on_batch(np.zeros((count, size, size, 3), "float32"), np.zeros(count, "int32"))
    return model
