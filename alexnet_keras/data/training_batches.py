"""The augmented training batches of a data set."""

import dataclasses
import functools
import os

import tensorflow as tf

from alexnet_keras.data.augmentation import (
    cast_and_subtract_mean,
    crop_and_flip,
    crop_and_flip_one,
    crop_at_scale,
    resize_and_crop,
)
from alexnet_keras.data.info import DatasetInfo, center
from alexnet_keras.data.options import BatchOptions, ImagePreparation
from alexnet_keras.data.pca_noise import NOISE_STDDEV, color_shift, noise_divisor
from alexnet_keras.data.sources import ImageSource

# All sources mix the classes in their fixed order, so a window over stored images is enough.
_SHUFFLED_FILES = 10_000

# TensorFlow frees a tuned iterator only when its tuning thread wakes. The end of every validation
# and training then waits for as long as the iterator has run, up to a minute. Without tuning,
# AUTOTUNE means all cores, up to 16.
NOT_TUNED = tf.data.Options()
NOT_TUNED.autotune.enabled = False

# AutoGraph would take a second to rewrite these functions, and change nothing.
without_autograph = tf.autograph.experimental.do_not_convert

# Number of batches that are finished in parallel. As many may wait for a slow consumer, and a batch
# of 2048 images takes 1.2 GB.
PARALLEL_BATCHES = min(4, os.cpu_count() or 1)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingBatches:
    """Builds one host's part of the training batches, epoch by epoch.

    An epoch depends only on the seed, its number, and whether the images are in memory. A resumed
    training therefore sees the same batches.

    Args:
        source: the stored images.
        prepared: `tf.data.Dataset` of all prepared training images in memory, or `None`. Without
            it, each host decodes and crops its own images one by one.
        info: description of the data set.
        preparation: how the images are prepared.
        options: how they are batched and augmented.
        host: number of this host.
        hosts: number of hosts.
        device_augmentation: whether to return crops and their color noise instead of images.
    """

    source: ImageSource
    prepared: tf.data.Dataset | None
    info: DatasetInfo
    preparation: ImagePreparation
    options: BatchOptions
    host: int
    hosts: int
    device_augmentation: bool

    def __post_init__(self):
        self.options.check_fits(self.info.name, self.info.train_count)
        self.options.check_random_crops(self.preparation.scale_jitter)
        if self.options.batch_size % self.hosts:
            raise ValueError(
                f"`batch_size` must be a multiple of the {self.hosts} hosts. "
                f"Received: batch_size={self.options.batch_size}"
            )

    @property
    def steps(self) -> int:
        """Number of batches in an epoch."""
        return self.info.train_count // self.options.batch_size

    @property
    def own_size(self) -> int:
        """Number of this host's images in a batch."""
        return self.options.batch_size // self.hosts

    def endless(self) -> tf.data.Dataset:
        """Returns the batches of all epochs, one epoch after the other."""
        epochs = tf.data.Dataset.range(self.options.first_epoch, tf.int64.max)
        return self._batches_of(epochs)

    def by_epoch(self) -> tf.data.Dataset:
        """Returns a data set of one epoch, which is the next one in every pass."""
        start = tf.constant(self.options.first_epoch - 1, tf.int64)
        epoch = tf.Variable(start, trainable=False)
        batches = self._batches_of(tf.data.Dataset.range(1).map(lambda _: epoch.assign_add(1)))
        if self.options.first_step:  # the first pass is shorter
            return batches
        return batches.apply(tf.data.experimental.assert_cardinality(self.steps))

    def _batches_of(self, epochs):
        return epochs.flat_map(self._epoch).prefetch(2).with_options(NOT_TUNED)

    @without_autograph
    def _epoch(self, epoch):
        """Returns the batches of an epoch, after the steps that a resumed training has done."""
        options = self.options
        is_first = epoch == options.first_epoch
        done = tf.where(is_first, tf.constant(options.first_step, tf.int64), 0)
        examples = self._examples(epoch)
        examples = examples.take(self.steps * self.own_size).skip(done * self.own_size)
        if self.prepared is None:
            examples = examples.map(self._decode_and_crop, num_parallel_calls=os.cpu_count())
        batches = examples.batch(self.own_size, drop_remainder=True).enumerate(done)
        finish = functools.partial(self._finish, epoch)
        return batches.map(finish, num_parallel_calls=PARALLEL_BATCHES)

    def _examples(self, epoch):
        """Returns this host's images in the order of the epoch: `((image, label), uniform)`."""
        uniform = self._uniform(epoch)
        count = self.info.train_count
        # Only the order depends on this seed here. Without it, the process' own seed would matter.
        # TensorFlow takes seeds modulo 2**31 - 1, and refuses 0.
        seed = self.options.seed
        tf.random.set_seed(seed + 1 if seed < 2**31 - 2 else seed - 1)
        if self.prepared is None:
            images = self.source.part("train", self.host, self.hosts)
            images = _shuffle(images, min(_SHUFFLED_FILES, count), epoch)
            own = tf.data.Dataset.from_tensor_slices(uniform[self.host :: self.hosts])
            return tf.data.Dataset.zip(images, own)
        images = _shuffle(self.prepared, count, epoch)
        examples = tf.data.Dataset.zip(images, tf.data.Dataset.from_tensor_slices(uniform))
        return examples if self.hosts == 1 else self._own_part(examples)

    def _uniform(self, epoch):
        """Returns the random numbers of the crops, uniform in [0, 1), a row for each image."""
        seed = self.options.seed
        count = self.info.train_count
        uniform = tf.random.stateless_uniform((count, 3), seed=tf.stack([seed, epoch]))
        if not self.preparation.scale_jitter:
            return uniform
        scale = tf.random.stateless_uniform((count, 1), seed=tf.stack([seed + 2, epoch]))
        return tf.concat([uniform, scale], 1)

    def _own_part(self, examples):
        """Returns this host's images of every batch of all hosts together."""
        batch_size = self.options.batch_size
        numbered = examples.take(self.steps * batch_size).enumerate()
        own = numbered.filter(
            lambda number, example: number % batch_size // self.own_size == self.host
        )
        return own.map(lambda number, example: example)

    def _decode_and_crop(self, example, uniform):
        """Returns `((crop, label), uniform)` of one stored image."""
        stored, label = example
        size = self.info.crop_size
        image = resize_and_crop(self.source.decode(stored), self.preparation.training_size)
        if self.preparation.scale_jitter:
            scale_jitter = self.preparation.scale_jitter
            crop = crop_at_scale(image[None], uniform[None], size, scale_jitter)[0]
        elif self.options.random_crop:
            crop = crop_and_flip_one(image, uniform, size)
        else:
            crop = center(image, size)
        return (crop, label), uniform

    def _crop(self, images, uniform):
        """Returns the crops of a batch, as there are too many small images to crop one by one."""
        size = self.info.crop_size
        if self.preparation.scale_jitter:
            return crop_at_scale(images, uniform, size, self.preparation.scale_jitter)
        if self.options.random_crop:
            return crop_and_flip(images, uniform, size)
        return center(images, size)

    def _finish(self, epoch, step, batch):
        """Returns `(images, labels)`, or with `device_augmentation` `(dict, labels)`."""
        (images, labels), uniform = batch
        if self.prepared is not None:
            images = self._crop(images, uniform)
        shift, divisor = self._color_noise(epoch, step)
        if not self.device_augmentation:
            mean = self.info.mean_crop
            return cast_and_subtract_mean(images, mean, shift, divisor), labels
        if not self.preparation.scale_jitter:
            images = tf.cast(images, tf.uint8)
        divisor = tf.fill((self.own_size, 1, 1, 1), divisor)
        return {"crops": images, "shift": shift, "divisor": divisor}, labels

    def _color_noise(self, epoch, step):
        """Returns the shifts of this host's images, `(own_size, 3)`, and the divisor of all."""
        options = self.options
        shift = tf.zeros((self.own_size, 3))
        divisor = tf.constant(1.0)
        if options.pca_noise == "none":
            return shift, divisor
        seed = tf.stack([options.seed + 1, epoch * self.steps + step])
        shape = (options.batch_size, 3)
        alpha = tf.random.stateless_normal(shape, seed=seed, stddev=NOISE_STDDEV)
        alpha = alpha[self.host * self.own_size : (self.host + 1) * self.own_size]
        noise = color_shift(alpha, self.info.color_covariance, options.pca_noise)
        end = tf.int64.max if options.pca_noise_epochs is None else options.pca_noise_epochs
        is_noisy = epoch < end
        return (
            tf.where(is_noisy, noise, shift),
            tf.where(is_noisy, noise_divisor(options.pca_noise), divisor),
        )


def _shuffle(images, window, epoch):
    return images.shuffle(window, seed=epoch, reshuffle_each_iteration=False)
