"""Throughput of whole epochs, as `train_and_evaluate` trains them, on images of random noise."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_keras.training.config import TrainingConfig


def noise_dataset(config: TrainingConfig, classes: int, count: int, in_memory: bool) -> Any:
    """Returns a data set of random images, which are in memory.

    Args:
        config: configuration of the training, for the sizes of the images.
        classes: number of classes.
        count: number of training images, at least `classes`.
        in_memory: whether it is an `InMemoryDataset`, on the training device, and not a `Dataset`.
    """
    random = np.random.default_rng(0)
    side = config.image_size
    sizes = (side, config.crop_size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.npz"
        np.savez(
            path,
            x_train=random.integers(0, 256, (count, side, side, 3), dtype="uint8"),
            y_train=np.arange(count) % classes,
            x_test=np.zeros((2, side, side, 3), "uint8"),
            y_test=np.array([0, classes - 1]),
        )
        if in_memory:
            from alexnet_keras.data import InMemoryDataset

            return InMemoryDataset(path, *sizes, cache_dir=folder)
        from alexnet_keras.data import Dataset

        return Dataset(path, *sizes, cache_dir=folder)


class EpochRate:
    """Measures the training images per second of an epoch with its input pipeline.

    Each call trains a new network for two epochs by the package's `Trainer`, with its callbacks and
    checkpoints. The second epoch counts, without its validation.

    Args:
        config: configuration of the training.
        classes: number of classes.
        count: number of training images.
        in_memory: as for `noise_dataset`.
    """

    def __init__(self, config: TrainingConfig, classes: int, count: int, in_memory: bool):
        from alexnet_keras.training.training_data import TrainingData

        dataset = noise_dataset(config, classes, count, in_memory)
        # The name stands for the deleted file, as `in_memory` is only possible for some data sets.
        config = dataclasses.replace(config, dataset="noise.npz", in_memory=in_memory, epochs=2)
        self._data = TrainingData(dataset, config)
        self._classes = classes

    def __call__(self) -> float:
        from alexnet_keras import AlexNet
        from alexnet_keras.training.checkpoints import find_checkpoint
        from alexnet_keras.training.run_folder import RunFolder
        from alexnet_keras.training.train import compile_for_training
        from alexnet_keras.training.trainer import Trainer

        config = self._data.config
        network = AlexNet(config.network, classes=self._classes)
        compile_for_training(network, config)
        with tempfile.TemporaryDirectory() as path:
            folder = RunFolder(path, config)
            _, state = find_checkpoint(path)
            Trainer(network, self._data, folder, state).run(verbose=0)
            return folder.history()[-1]["images_per_second"]
