"""The loader of all data sets."""

import contextlib
import dataclasses
import os

import keras
import tensorflow as tf

from alexnet_keras.checks import as_tuple
from alexnet_keras.data.augmentation import resize_and_crop
from alexnet_keras.data.info import DatasetInfo, center, mean_to_subtract
from alexnet_keras.data.options import BatchOptions, split_options
from alexnet_keras.data.pca_noise import subtract_mean
from alexnet_keras.data.sources import ImageSource, open_image_source
from alexnet_keras.data.statistics import training_statistics
from alexnet_keras.data.training_batches import (
    NOT_TUNED,
    PARALLEL_BATCHES,
    TrainingBatches,
    without_autograph,
)
from alexnet_keras.distributed.devices import replica_count

if keras.backend.backend() != "tensorflow":
    # TensorFlow only reads images then. If it has computed before, it keeps its GPUs.
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")


def load(
    name: str | os.PathLike,
    *,
    batch_size: int = 128,
    random_crop: bool = True,
    pca_noise: str = "standard_deviation",
    pca_noise_epochs: int | None = None,
    seed: int = 0,
    first_epoch: int = 0,
    first_step: int = 0,
    **options,
) -> tuple[tf.data.Dataset, tf.data.Dataset, DatasetInfo]:
    """Loads an image data set, and prepares and augments it as in the paper.

    Images are scaled so that the shorter side has `image_size` pixels. The center square is cut
    out. Training images are random crops of `crop_size` pixels and their mirror images. The center
    crop of the mean training image is subtracted, and PCA color noise is added. Validation images
    are center crops with the same mean subtracted.

    The content and the order of an epoch depend only on `seed` and the number of the epoch. With
    more than 10,000 training images they also depend on whether these fit into `memory_gib`. A
    training that is resumed with `first_epoch` and `first_step` therefore sees the same batches.

    Args:
        name: one of
            - the TFDS name of an image classification set, such as `"shapes"`, `"cifar10"`,
              `"imagenette/320px-v2"` or `"imagenet2012"`;
            - a folder with `train/CLASS/` and `val/CLASS/` folders, or with `CLASS/` folders only.
              Other usual names such as `training_set` and `test_set` work too. A printed summary
              shows the used folders and the files that are left out. Photographs are
              turned upright by their EXIF or XMP orientation;
            - an `.npz` file with x_train, y_train, x_test and y_test.
        batch_size: images, over all hosts together.
        random_crop: whether training takes random crops and mirror images rather than center crops.
        pca_noise: `"none"`, `"eigenvalue"` (the paper's formula) or `"standard_deviation"` (2012
            source).
        pca_noise_epochs: number of epochs after which the color noise ends; `None` for never.
        seed: whole number from 0 that fixes order, crops and noise.
        first_epoch: number of the epoch that the first pass over `train` gives.
        first_step: number of the first batch in this epoch.
        **options: fields of `alexnet_keras.data.ImageSelection` (`hold_out_every`,
            `class_subset`, `max_images_per_class`, `skip_corrupt`, `cache_dir`, `check_classes`)
            and of `alexnet_keras.data.ImagePreparation` (`image_size`, `crop_size`,
            `scale_jitter`, `mean_subtraction`, `mean`, `color_order`, `memory_gib`).

    Returns:
        `(train, validation, info)`.

        `train` is a `tf.data.Dataset` of `(images, labels)`: float32
        `(batch_size, crop_size, crop_size, 3)` and int32 `(batch_size,)`. Each pass over it is the
        next epoch of `info.train_count // batch_size` batches, as in `model.fit(train, epochs=90)`.

        `validation` is one pass over such batches, the last of which may be smaller. `info` is a
        `DatasetInfo`.

    Raises:
        ValueError: for an unknown data set, sizes that do not fit, a batch larger than the training
            set, or another value that no training can have; for a folder without class folders,
            with an empty class or a corrupt file.
        FileNotFoundError: for a set that must be downloaded by hand; the message says which files
            go where.
        OSError: if a file can't be read, or the folder for the statistics can't be written.
        TypeError: for an unknown option.

    Example:

    >>> train, validation, info = load("shapes", image_size=64, crop_size=56)

    Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
    """
    batch_options = {
        "random_crop": random_crop,
        "pca_noise": pca_noise,
        "pca_noise_epochs": pca_noise_epochs,
        "seed": seed,
        "first_epoch": first_epoch,
        "first_step": first_step,
    }
    # Raises before any image is read.
    scale_jitter = as_tuple("scale_jitter", options.get("scale_jitter", ()))
    BatchOptions(batch_size, **batch_options).check_random_crops(scale_jitter)
    dataset = Dataset(name, **options)
    train = dataset.train(batch_size, endless=False, **batch_options)
    return train, dataset.validation(batch_size), dataset.info


class Dataset:
    """A data set of prepared images: the parts of `load`, for users who need them one by one.

    Args:
        name: as for `load`.
        image_size: side of the prepared images, in pixels.
        crop_size: side of the crops that a network sees, in pixels.
        host: number of this host. Several hosts share each batch.
        hosts: number of hosts. Each reads and decodes its own part of the images. All hosts read a
            training set that fits into `memory_gib`, so that together they give the batches of one.
        **options: the other fields of `alexnet_keras.data.ImageSelection` and
            `alexnet_keras.data.ImagePreparation`.

    Attributes:
        selection: the `ImageSelection`.
        preparation: the `ImagePreparation`.
        info: the `DatasetInfo`.

    Raises:
        ValueError, FileNotFoundError, OSError, TypeError: as for `load`.
    """

    def __init__(
        self,
        name: str | os.PathLike,
        image_size: int = 256,
        crop_size: int = 224,
        *,
        host: int = 0,
        hosts: int = 1,
        **options,
    ):
        sizes = {"image_size": image_size, "crop_size": crop_size}
        self.selection, self.preparation = split_options(name, options | sizes)
        self._host = host
        self._hosts = hosts
        self._source = _in_color_order(
            open_image_source(self.selection), self.preparation.color_order
        )
        self._train_in_memory = self.preparation.fits_memory(
            self._source.train_count, self.preparation.training_size
        )
        self._train = self._prepare(
            self._source.train, self.preparation.training_size, self._train_in_memory
        )
        self._validation = self._prepare(
            self._source.part("validation", host, hosts),
            image_size,
            self.preparation.fits_memory(self._source.validation_count, image_size),
        )
        self.info = self._describe()

    def _prepare(self, stored, size, in_memory=False):
        """Returns `(prepared image, label)` of stored images, which in memory are read once."""

        @without_autograph
        def prepare(image, label):
            return resize_and_crop(self._source.decode(image), size), label

        prepared = stored.map(prepare, num_parallel_calls=os.cpu_count()).with_options(NOT_TUNED)
        return prepared.cache() if in_memory else prepared

    def _describe(self):
        """Returns the `DatasetInfo`; computes the statistics, or reads them from the cache."""
        source = self._source
        preparation = self.preparation
        mean_image, covariance = training_statistics(
            self._train.batch(128).map(lambda images, labels: images).prefetch(1),
            source.train_count,
            f"{source.fingerprint}-{preparation.training_size}",
            self.selection.cache,
            read_anyway=self._train_in_memory,
        )
        return DatasetInfo(
            name=str(self.selection.name),
            classes=len(source.class_names),
            class_names=source.class_names,
            train_count=source.train_count,
            validation_count=source.validation_count,
            splits=source.splits,
            image_size=preparation.image_size,
            crop_size=preparation.crop_size,
            mean_image=mean_to_subtract(mean_image, preparation),
            color_covariance=covariance,
            fingerprint=source.fingerprint,
            content=source.content,
            skipped=source.skipped,
            color_order=preparation.color_order,
        )

    def train(
        self,
        batch_size: int = 128,
        *,
        device_augmentation: bool = False,
        endless: bool = True,
        **options,
    ) -> tf.data.Dataset:
        """Returns augmented training batches; with several hosts, this host's part of them.

        Args:
            batch_size: images, over all hosts together.
            device_augmentation: whether to leave the mean and the color noise to `augment`, for a
                model of `alexnet_keras.training.device_augmentation.augmenting_model`. A batch
                then has a dict instead of images: `crops` (uint8, with scale jittering float32),
                `shift` and `divisor`.
            endless: whether one pass holds all epochs, one after the other. Otherwise each pass
                holds one epoch, and the next pass the next epoch.
            **options: `random_crop`, `pca_noise`, `pca_noise_epochs`, `seed`, `first_epoch` and
                `first_step`, as for `load`.

        Raises:
            ValueError: for batches that the data set or the hosts cannot give.
        """
        prepared = self._train if self._train_in_memory else None
        batches = TrainingBatches(
            source=self._source,
            prepared=prepared,
            info=self.info,
            preparation=self.preparation,
            options=BatchOptions(batch_size, **options),
            host=self._host,
            hosts=self._hosts,
            device_augmentation=device_augmentation,
        )
        return batches.endless() if endless else batches.by_epoch()

    def augment(self, batch: dict):
        """Returns the images of a training batch with `device_augmentation`.

        Args:
            batch: dict of `crops`, `shift` and `divisor`.

        Returns:
            float32 `(batch_size, crop_size, crop_size, 3)`.

        Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
        """
        crops = keras.ops.cast(batch["crops"], "float32")
        return subtract_mean(crops, self.info.mean_crop, batch["shift"], batch["divisor"])

    def validation(self, batch_size: int = 128, *, padded: bool = False) -> tf.data.Dataset:
        """Returns validation batches of center crops with the mean subtracted.

        Args:
            batch_size, padded: as for `validation_images`.
        """
        mean = self.info.mean_crop
        crop_size = self.info.crop_size

        @without_autograph
        def finish(images, *rest):
            return tf.cast(center(images, crop_size), tf.float32) - mean, *rest

        images = self.validation_images(batch_size, padded=padded)
        return images.map(finish, num_parallel_calls=PARALLEL_BATCHES).prefetch(2)

    def validation_images(self, batch_size: int = 128, *, padded: bool = False) -> tf.data.Dataset:
        """Returns validation batches of whole prepared images.

        Args:
            batch_size: images, over all hosts together.
            padded: whether all batches have this size, as several hosts or replicas and the JAX
                backend need (`needs_full_batches`).

        Returns:
            `tf.data.Dataset` of uint8 `(batch, image_size, image_size, 3)` and labels. Padded
            batches also have weights, which are 0 for the images that fill up the last batches.
            All weights have the mean 1, so that Keras' mean over batches is the mean over images.
        """
        count = self.info.validation_count
        replicas = replica_count()
        # Replicas must get the same number of images of the first batch.
        batch_size = max(1, min(batch_size, count) // replicas) * replicas
        if not padded:
            return self._validation.batch(batch_size).prefetch(2)
        steps = -(-count // batch_size)
        weight = tf.constant(steps * batch_size / count, tf.float32)
        size = self.info.image_size
        filler = (tf.zeros((size, size, 3), tf.uint8), tf.constant(0), tf.constant(0.0))
        images = self._validation.map(lambda image, label: (image, label, weight))
        images = images.concatenate(tf.data.Dataset.from_tensors(filler).repeat())
        images = images.take(steps * batch_size // self._hosts)
        return images.batch(batch_size // self._hosts, drop_remainder=True).prefetch(2)

    def training_images(self, batch_size: int = 128) -> tf.data.Dataset:
        """Returns batches of the prepared training images in their stored order.

        Args:
            batch_size: images.

        Returns:
            `tf.data.Dataset` of uint8 `(batch, image_size, image_size, 3)` and labels.
        """
        images = self._train
        if self.preparation.training_size != self.preparation.image_size:
            images = self._prepare(self._source.train, self.preparation.image_size)
        return images.batch(batch_size).prefetch(2)


def _in_color_order(source: ImageSource, color_order: str) -> ImageSource:
    """Returns a source whose images have their colors in this order."""
    if color_order == "RGB":
        return source

    def decode(stored):
        return tf.reverse(source.decode(stored), [-1])

    # Other values have other statistics.
    fingerprint = f"{source.fingerprint}-{color_order}"
    return dataclasses.replace(source, decode=decode, fingerprint=fingerprint)
