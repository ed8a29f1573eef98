"""Data sets in the memory of the training device, for JAX and PyTorch, without TensorFlow."""

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from alexnet_keras.data.arrays import read_npz
from alexnet_keras.data.drawing import shapes_arrays
from alexnet_keras.data.info import DatasetInfo, center, mean_to_subtract
from alexnet_keras.data.options import BatchOptions, ImagePreparation, ImageSelection
from alexnet_keras.data.pca_noise import NOISE_STDDEV, color_shift, noise_divisor, subtract_mean
from alexnet_keras.data.statistics import training_statistics


class InMemoryDataset:
    """Images on the training device, from which the training step cuts its crops.

    Images are prepared and augmented as by `Dataset`, in another order. An epoch depends only on
    the seed and its number. A training batch has the numbers of its images and how to augment them.
    Models that train on it come from
    `alexnet_keras.training.device_augmentation.augmenting_model`.

    Args:
        name: path of an `.npz` file, as for `load`, or `"shapes"`.
        image_size: side of the prepared images, in pixels.
        crop_size: side of the crops, in pixels.
        mean_subtraction, mean, color_order: as for `load`.
        cache_dir: folder for the statistics; by default the one that ALEXNET_KERAS_CACHE names, or
            else `~/.cache/alexnet_keras`.

    Raises:
        ValueError: for another backend than JAX and PyTorch, a file without such arrays, or crops
            larger than the images.
    """

    def __init__(
        self,
        name: str | os.PathLike,
        image_size: int = 256,
        crop_size: int = 224,
        *,
        mean_subtraction: str = "image",
        mean: np.ndarray | None = None,
        color_order: str = "RGB",
        cache_dir: str | os.PathLike | None = None,
    ):
        if keras.backend.backend() not in ("jax", "torch"):
            raise ValueError(
                f"`in_memory` needs the jax or torch backend. Received: {keras.backend.backend()}"
            )
        preparation = ImagePreparation(
            image_size,
            crop_size,
            mean_subtraction=mean_subtraction,
            mean=mean,
            color_order=color_order,
        )
        arrays = shapes_arrays() if name == "shapes" else read_npz(name)
        self._labels = {"train": arrays.y_train, "validation": arrays.y_test}
        train = _prepare(arrays.x_train, preparation)
        validation = _prepare(arrays.x_test, preparation)
        mean_image, covariance = training_statistics(
            (train[i : i + 128] for i in range(0, len(train), 128)),
            len(train),
            f"{arrays.fingerprint}-{image_size}-in_memory{'' if color_order == 'RGB' else '-BGR'}",
            ImageSelection(name, cache_dir=cache_dir).cache,
        )
        self._images = {
            "train": ops.convert_to_tensor(train),
            "validation": ops.convert_to_tensor(validation),
        }
        self.info = DatasetInfo(
            name=str(name),
            classes=len(arrays.class_names),
            class_names=arrays.class_names,
            train_count=len(train),
            validation_count=len(validation),
            splits=arrays.splits,
            image_size=image_size,
            crop_size=crop_size,
            mean_image=mean_to_subtract(mean_image, preparation),
            color_covariance=covariance,
            fingerprint=arrays.fingerprint,
            color_order=color_order,
        )
        self._mean_crop = ops.convert_to_tensor(self.info.mean_crop)

    def train(self, batch_size: int = 128, **options) -> Iterator:
        """Returns endless training batches.

        Args:
            batch_size: images.
            **options: `random_crop`, `pca_noise`, `pca_noise_epochs`, `seed`, `first_epoch` and
                `first_step`, as for `load`.

        Yields:
            `(batch, labels)`: the dict that `augment` takes, and int32 `(batch_size,)`.
        """
        options = BatchOptions(batch_size, **options)
        options.check_fits(self.info.name, self.info.train_count)
        return self._batches_of_epochs(options)

    def _batches_of_epochs(self, options):
        batch_size = options.batch_size
        for epoch in itertools.count(options.first_epoch):
            images = self._epoch(options, epoch)
            divisor = np.float32(_divisor(options, epoch))
            first = options.first_step if epoch == options.first_epoch else 0
            for step in range(first, self.info.train_count // batch_size):
                part = slice(step * batch_size, (step + 1) * batch_size)
                batch = {name: values[part] for name, values in images.items()}
                batch |= {"images": self._images["train"], "divisor": divisor}
                yield batch, self._labels["train"][batch["index"]]

    def _epoch(self, options, epoch):
        """Returns number, corner, mirroring and color noise of all images of an epoch."""
        count = self.info.train_count
        room = self.info.image_size - self.info.crop_size
        random = np.random.default_rng((options.seed, epoch))
        index = random.permutation(count).astype("int32")
        corners = random.integers(0, room, (count, 2), dtype="int32", endpoint=True)
        mirrored = random.random(count) < 0.5
        if not options.random_crop:
            corners[:] = room // 2
            mirrored[:] = False
        alpha = random.normal(0, NOISE_STDDEV, (count, 3)).astype("float32")
        shift = np.zeros_like(alpha)
        if _is_noisy(options, epoch):
            shift = color_shift(alpha, self.info.color_covariance, options.pca_noise)
        return {"index": index, "corners": corners, "mirrored": mirrored, "shift": shift}

    def augment(self, batch: dict) -> Any:
        """Returns the images of a training batch.

        Args:
            batch: dict of `train`.

        Returns:
            float32 tensor `(batch_size, crop_size, crop_size, 3)`.

        Reference: section 4.1 of Krizhevsky et al. (2012).
        """
        batch = {name: ops.convert_to_tensor(value) for name, value in batch.items()}
        corners = batch["corners"]
        steps = ops.arange(self.info.crop_size, dtype="int32")
        rows = corners[:, :1] + steps
        columns = corners[:, 1:] + ops.where(batch["mirrored"][:, None], ops.flip(steps), steps)
        crops = batch["images"][
            batch["index"][:, None, None], rows[:, :, None], columns[:, None, :]
        ]
        return subtract_mean(
            ops.cast(crops, "float32"), self._mean_crop, batch["shift"], batch["divisor"]
        )

    def validation(self, batch_size: int = 128, **kwargs) -> keras.utils.PyDataset:
        """Returns validation batches of center crops with the mean subtracted.

        Args:
            batch_size: images.
            **kwargs: ignored arguments of `Dataset.validation`.
        """
        return self._batches(
            batch_size,
            lambda images: (
                ops.cast(center(images, self.info.crop_size), "float32") - self._mean_crop
            ),
        )

    def validation_images(self, batch_size: int = 128, **kwargs) -> keras.utils.PyDataset:
        """Returns padded validation batches of whole prepared images, as `Dataset` does.

        Args:
            batch_size: images.
            **kwargs: ignored arguments of `Dataset.validation_images`.
        """
        return self._batches(batch_size, lambda images: images)

    def _batches(self, batch_size, prepare):
        return _Batches(self._images["validation"], self._labels["validation"], batch_size, prepare)


def _is_noisy(options, epoch):
    """Returns whether the images of an epoch have color noise."""
    end = options.pca_noise_epochs
    return options.pca_noise != "none" and (end is None or epoch < end)


def _divisor(options, epoch):
    return noise_divisor(options.pca_noise) if _is_noisy(options, epoch) else 1.0


class _Batches(keras.utils.PyDataset):
    """Padded validation batches `(images, labels, weights)`.

    Args:
        images: uint8 tensor `(images, height, width, 3)`.
        labels: int32 `(images,)`.
        batch_size: images; at most all of them.
        prepare: function of a batch of images.
    """

    def __init__(self, images, labels, batch_size: int, prepare: Callable):
        super().__init__()
        self.images = images
        self.labels = labels
        self.prepare = prepare
        self.batch_size = max(1, min(batch_size, len(labels)))

    def __len__(self):
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, number):
        count = len(self.labels)
        index = np.arange(number * self.batch_size, (number + 1) * self.batch_size)
        weights = np.where(index < count, len(self) * self.batch_size / count, 0).astype("float32")
        index = np.minimum(index, count - 1)
        return self.prepare(ops.take(self.images, index, axis=0)), self.labels[index], weights


def _prepare(images, preparation):
    """Returns the center squares, of three colors in their order, with scaled shorter sides."""
    size = preparation.image_size
    images = images[..., None] if images.ndim == 3 else images
    lengths = np.array(images.shape[1:3])
    if lengths.min() == size:
        top, left = (lengths - size) // 2
        images = images[:, top : top + size, left : left + size]
    else:
        images = _scaled_centers(images, size)
    images = np.broadcast_to(images, (len(images), size, size, 3))
    return images[..., ::-1] if preparation.color_order == "BGR" else images


def _scaled_centers(images, size):
    """Returns the center squares of images whose shorter side is scaled to `size` pixels.

    Only the pixels of the square are scaled, as a very long image could take all memory.
    """
    lengths = np.array(images.shape[1:3])
    shorter = lengths.min()
    reach = 2 + max(shorter // size, 1)  # of the filter, in stored pixels
    start = np.maximum((lengths - shorter) // 2 - reach, 0)
    stop = lengths - start
    rows, columns = (
        _scaling(*axis, size, shorter) for axis in zip(lengths, start, stop, strict=True)
    )
    images = images[:, start[0] : stop[0], start[1] : stop[1]]
    return np.concatenate(
        [_scale(images[i : i + 128], rows, columns) for i in range(0, len(images), 128)]
    )


def _scaling(length, start, stop, size, shorter):
    """Returns the weights of the pixels `start` to `stop` in the center pixels of a scaled axis.

    A triangle filter, which is as wide as a scaled pixel or as a stored one, as Pillow's and
    TensorFlow's bilinear scaling with antialiasing.

    Returns:
        float32 `(stop - start, size)`.
    """
    scaled = np.round(length * size / shorter)
    step = length / scaled  # stored pixels in a scaled one
    first = (scaled - size) // 2
    centers = (first + np.arange(size) + 0.5) * step - 0.5
    distances = np.abs(centers - np.arange(start, stop)[:, None]) / max(step, 1)
    weights = np.maximum(1 - distances, 0)
    return (weights / weights.sum(0)).astype("float32")


def _scale(images, rows, columns):
    scaled = np.tensordot(images.astype("float32"), rows, (1, 0))
    scaled = np.tensordot(scaled, columns, (1, 0)).transpose(0, 2, 3, 1)
    return np.round(scaled).clip(0, 255).astype("uint8")
