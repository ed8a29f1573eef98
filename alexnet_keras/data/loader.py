"""One loader for every data set."""

import os

import keras
import tensorflow as tf

from alexnet_keras.data.augmentation import (
    cast_and_subtract_mean,
    crop_and_flip,
    crop_and_flip_one,
    crop_at_scale,
    resize_and_crop,
)
from alexnet_keras.data.info import (
    DatasetInfo,
    center,
    check_scale_jitter,
    check_sizes,
    check_training,
    mean_of,
)
from alexnet_keras.data.pca_noise import NOISE_STDDEV, color_shift, noise_divisor, subtract_mean
from alexnet_keras.data.sources import open_image_source
from alexnet_keras.data.statistics import default_cache_dir, training_statistics
from alexnet_keras.distributed.devices import replica_count

if keras.backend.backend() != "tensorflow":
    tf.config.set_visible_devices([], "GPU")  # it only reads images then

# All sources mix the classes in their fixed order, so a window over stored images is enough.
_SHUFFLED_FILES = 10_000

# An iterator that TensorFlow tunes is only let go when the tuning thread wakes: at the end of every validation and
# training that takes up to as long again as it has run, or a minute. What AUTOTUNE then means is all cores, up to 16.
NOT_TUNED = tf.data.Options()
NOT_TUNED.autotune.enabled = False

# Whole batches that are finished at the same time, as many of which wait where the consumer is slower: of 2048 images
# each is 1.2 GB.
_AT_ONCE = min(4, os.cpu_count())


def load(
    name,
    *,
    image_size=256,
    crop_size=224,
    batch_size=128,
    random_crop=True,
    pca_noise="standard_deviation",
    pca_noise_epochs=None,
    seed=0,
    first_epoch=0,
    first_step=0,
    scale_jitter=(),
    mean_subtraction="image",
    skip_corrupt=False,
    hold_out_every=10,
    class_subset=(),
    max_images_per_class=None,
    memory_gib=2.0,
    cache_dir=None,
):
    """Loads an image data set and prepares and augments it as the paper does.

    Images are scaled so that the shorter side has `image_size` pixels, and their center square is taken. For training,
    random crops of `crop_size` pixels and their mirror images, less the center crop of the mean image of the training
    set, plus PCA color noise; for validation the center crop, less the same mean.

    What an epoch holds, and in which order, depends on `seed` and the number of the epoch alone (and, with more than
    10,000 training images, on whether they fit into `memory_gib`), so that a training that is resumed with
    `first_epoch` and `first_step` sees what it would have seen.

    Args:
        name: the TFDS name of an image classification set (`"shapes"`, `"cifar10"`, `"imagenette/320px-v2"`,
            `"imagenet2012"`, ...); a folder with `train/CLASS/` and `val/CLASS/` folders, or with `CLASS/` folders
            alone; or an `.npz` file with x_train, y_train, x_test, y_test. A folder's parts may have other usual names,
            such as `training_set` and `test_set`; a printed summary says which folders are used and which files are
            left out. Photographs are read as a person sees them: their EXIF orientation is applied.
        image_size: pixels.
        crop_size: pixels.
        batch_size: images.
        random_crop: whether training takes random crops and mirror images, or center crops alone.
        pca_noise: `"none"`, `"eigenvalue"` (the paper's formula) or `"standard_deviation"` (2012 source).
        pca_noise_epochs: number of epochs after which the color noise ends; `None` for never.
        seed: whole number that fixes order, crops and noise.
        first_epoch: number of the epoch that the first pass over `train` gives.
        first_step: number of the first batch in it.
        scale_jitter: the smallest and the largest side of the whole training image, pixels, between which that of each is
            drawn for every random crop, as VGG's scale jittering has it; needs the mean `"color"`. Validation images
            have `image_size` all the same. Empty for `image_size` in training, too.
        mean_subtraction: what is subtracted of the training images: their mean `"image"`, or their mean `"color"`, as VGG does.
        skip_corrupt: leave corrupt files of a folder out instead of stopping.
        hold_out_every: of a set without validation images, one image in so many, of a folder of each class, is taken for
            them, the same on every machine; 2 for the halves of the Fall 2009 release (section 6).
        class_subset: numbers of the classes that count, numbered anew in this order; empty for all.
        max_images_per_class: the first so many training images of each class alone; `None` for all.
        memory_gib: prepared images stay in memory where the training set takes no more than this, in GiB.
        cache_dir: folder for the statistics; by default `~/.cache/alexnet_keras`.

    Returns:
        `(train, validation, info)`. `train`: `tf.data.Dataset` of `(images, labels)`, float32
        `(batch_size, crop_size, crop_size, 3)` and int32 `(batch_size,)`. Each pass over it is the next epoch, of
        `info.train_count // batch_size` batches, as `model.fit(train, epochs=90)` takes it. `validation`: one pass
        over `(images, labels)` of the same kind, the last batch smaller. `info`: a `DatasetInfo`.

    Raises:
        ValueError: for an unknown data set, sizes that do not fit, more images in a batch than there are, or a folder
            that is not laid out as class folders, has a class without images, or holds a corrupt file.
        FileNotFoundError: for a set that must be downloaded by hand and is not there; it says which files go where.

    Example:

    >>> train, validation, info = load("shapes", image_size=64, crop_size=56)

    Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
    """
    dataset = Dataset(
        name,
        image_size,
        crop_size,
        scale_jitter=scale_jitter,
        mean_subtraction=mean_subtraction,
        skip_corrupt=skip_corrupt,
        hold_out_every=hold_out_every,
        class_subset=class_subset,
        max_images_per_class=max_images_per_class,
        memory_gib=memory_gib,
        cache_dir=cache_dir,
    )
    train = dataset.train(
        batch_size,
        random_crop=random_crop,
        pca_noise=pca_noise,
        pca_noise_epochs=pca_noise_epochs,
        seed=seed,
        first_epoch=first_epoch,
        first_step=first_step,
        endless=False,
    )
    return train, dataset.validation(batch_size), dataset.info


class Dataset:
    """A data set whose images are prepared: the parts of `load`, for those who need them one by one.

    Args:
        name: as for `load`, like every argument that is not described here.
        host: this host's number, where several hosts share each batch.
        hosts: how many they are. Each reads and decodes its own part of the images; of a training set that fits into
            `memory_gib`, all, so that the batches of all hosts together are those of one.
    """

    def __init__(
        self,
        name,
        image_size=256,
        crop_size=224,
        *,
        scale_jitter=(),
        mean_subtraction="image",
        skip_corrupt=False,
        hold_out_every=10,
        class_subset=(),
        max_images_per_class=None,
        memory_gib=2.0,
        cache_dir=None,
        host=0,
        hosts=1,
    ):
        check_sizes(image_size, crop_size)
        check_scale_jitter(scale_jitter, crop_size, mean_subtraction)
        cache_dir = default_cache_dir() if cache_dir is None else cache_dir
        source = self._source = open_image_source(
            name, skip_corrupt, cache_dir, hold_out_every, class_subset, max_images_per_class
        )
        self._scale_jitter, self._host, self._hosts = scale_jitter, host, hosts
        self._train_size = (
            scale_jitter[1] if scale_jitter else image_size
        )  # crops at all scales are cut of the largest

        def fits(count, size):
            return count * size * size * 3 / 2**30 <= memory_gib

        self._train_in_memory = fits(source.train_count, self._train_size)
        self._train = self._prepare(source.train, self._train_size, self._train_in_memory)
        validation = source.part("validation", host, hosts)
        self._validation = self._prepare(
            validation, image_size, fits(source.validation_count, image_size)
        )
        mean_image, covariance = training_statistics(
            self._train.batch(128).map(lambda images, labels: images).prefetch(1),
            source.train_count,
            f"{source.fingerprint}-{self._train_size}",
            cache_dir,
            read_anyway=self._train_in_memory,
        )
        self.info = DatasetInfo(
            name=name,
            classes=len(source.class_names),
            class_names=source.class_names,
            train_count=source.train_count,
            validation_count=source.validation_count,
            splits=source.splits,
            image_size=image_size,
            crop_size=crop_size,
            mean_image=mean_of(mean_image, mean_subtraction, image_size),
            color_covariance=covariance,
            fingerprint=source.fingerprint,
            content=source.content,
            skipped=source.skipped,
        )

    def _prepare(self, stored, size, in_memory=False):
        def prepare(image, label):
            return resize_and_crop(self._source.decode(image), size), label

        prepared = stored.map(prepare, num_parallel_calls=os.cpu_count()).with_options(NOT_TUNED)
        return prepared.cache() if in_memory else prepared

    def train(
        self,
        batch_size=128,
        *,
        random_crop=True,
        pca_noise="standard_deviation",
        pca_noise_epochs=None,
        seed=0,
        first_epoch=0,
        first_step=0,
        device_augmentation=False,
        endless=True,
    ):
        """Augmented training batches, of several hosts this one's part.

        Args:
            batch_size, random_crop, pca_noise, pca_noise_epochs, seed, first_epoch, first_step: as for `load`.
            device_augmentation: whether to leave the mean and the color noise to `augment`, for a model of
                `alexnet_keras.training.device_augmentation.augmenting_model`. A batch then has a dict of the crops,
                uint8 (drawn from several scales, float32), `shift` and `divisor`, rather than images.
            endless: whether one pass holds all epochs, one after the other. Otherwise each pass holds one epoch, and
                the next pass the next epoch.
        """
        info, host, hosts, scale_jitter = self.info, self._host, self._hosts, self._scale_jitter
        if scale_jitter and not random_crop:
            raise ValueError(
                f"`scale_jitter` goes with random crops. Received: scale_jitter={scale_jitter}, random_crop={random_crop}"
            )
        check_training(info, batch_size, pca_noise)
        if batch_size % hosts:
            raise ValueError(
                f"`batch_size` must be a multiple of the {hosts} hosts. Received: batch_size={batch_size}"
            )
        steps, own_size = info.train_count // batch_size, batch_size // hosts
        mean, covariance, crop_size = info.mean_crop, info.color_covariance, info.crop_size
        last_noise = tf.int64.max if pca_noise_epochs is None else pca_noise_epochs

        def epoch_of_batches(epoch):
            draws = tf.random.stateless_uniform((info.train_count, 3), seed=tf.stack([seed, epoch]))
            if scale_jitter:
                of_scale = tf.random.stateless_uniform(
                    (info.train_count, 1), seed=tf.stack([seed + 2, epoch])
                )
                draws = tf.concat([draws, of_scale], 1)
            # In here this concerns the order alone, which then does not depend on the seed of the process.
            tf.random.set_seed(seed + 1)
            if self._train_in_memory:
                images, window = self._train, info.train_count
            else:
                images = self._source.part("train", host, hosts)
                window = min(_SHUFFLED_FILES, info.train_count)
                draws = draws[host::hosts]
            shuffled = images.shuffle(window, seed=epoch, reshuffle_each_iteration=False)
            done = tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0)
            examples = tf.data.Dataset.zip(shuffled, tf.data.Dataset.from_tensor_slices(draws))
            if self._train_in_memory and hosts > 1:
                numbered = examples.take(steps * batch_size).enumerate()
                own = numbered.filter(
                    lambda number, example: number % batch_size // own_size == host
                )
                examples = own.map(lambda number, example: example)
            examples = examples.take(steps * own_size).skip(done * own_size)
            if not self._train_in_memory:  # one by one, as they are decoded

                def prepare(example, draw):
                    stored, label = example
                    image = resize_and_crop(self._source.decode(stored), self._train_size)
                    if scale_jitter:
                        crop = crop_at_scale(image[None], draw[None], crop_size, scale_jitter)[0]
                    else:
                        crop = (
                            crop_and_flip_one(image, draw, crop_size)
                            if random_crop
                            else center(image, crop_size)
                        )
                    return (crop, label), draw

                examples = examples.map(prepare, num_parallel_calls=os.cpu_count())
            batches = examples.batch(own_size, drop_remainder=True)

            def finish(step, batch):
                (images, labels), draws = batch
                if (
                    self._train_in_memory
                ):  # the small images of CIFAR-10 are too many to be cropped one by one
                    if scale_jitter:
                        images = crop_at_scale(images, draws, crop_size, scale_jitter)
                    else:
                        images = (
                            crop_and_flip(images, draws, crop_size)
                            if random_crop
                            else center(images, crop_size)
                        )
                shift, divisor = tf.zeros((own_size, 3)), tf.constant(1.0)
                if pca_noise != "none":
                    number = epoch * steps + step
                    alpha = tf.random.stateless_normal(
                        (batch_size, 3), seed=tf.stack([seed + 1, number]), stddev=NOISE_STDDEV
                    )
                    alpha = alpha[host * own_size : (host + 1) * own_size]
                    noisy = epoch < last_noise
                    shift = tf.where(noisy, color_shift(alpha, covariance, pca_noise), shift)
                    divisor = tf.where(noisy, noise_divisor(pca_noise), divisor)
                if device_augmentation:
                    images = images if scale_jitter else tf.cast(images, tf.uint8)
                    divisor = tf.fill((own_size, 1, 1, 1), divisor)
                    return {"crops": images, "shift": shift, "divisor": divisor}, labels
                return cast_and_subtract_mean(images, mean, shift, divisor), labels

            return batches.enumerate(done).map(finish, num_parallel_calls=_AT_ONCE)

        if endless:
            batches = tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch_of_batches)
        else:
            batches = _next_epoch_each_pass(first_epoch).flat_map(epoch_of_batches)
            if not first_step:
                batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
        return batches.prefetch(2).with_options(NOT_TUNED)

    def augment(self, batch):
        """The images of a training batch with `device_augmentation`, float32 `(batch_size, crop_size, crop_size, 3)`.

        Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
        """
        crops = keras.ops.cast(batch["crops"], "float32")
        return subtract_mean(crops, self.info.mean_crop, batch["shift"], batch["divisor"])

    def validation(self, batch_size=128, *, padded=False):
        """Validation batches of center crops less the mean; `padded` as for `validation_images`."""
        mean, crop_size = self.info.mean_crop, self.info.crop_size

        def finish(images, *rest):
            return tf.cast(center(images, crop_size), tf.float32) - mean, *rest

        images = self.validation_images(batch_size, padded=padded)
        return images.map(finish, num_parallel_calls=_AT_ONCE).prefetch(2)

    def validation_images(self, batch_size=128, *, padded=False):
        """Validation batches of whole prepared images.

        Args:
            batch_size: images, over all hosts together.
            padded: whether all batches have this size, as several hosts or replicas and the JAX backend need
                (`needs_full_batches`).

        Returns:
            `tf.data.Dataset` of uint8 `(batch, image_size, image_size, 3)` and labels; padded, also of weights, 0 for
            what fills up the last batches. The mean of all weights is 1, so that Keras' mean of the loss over batches
            is that over images.
        """
        count, hosts, replicas = self.info.validation_count, self._hosts, replica_count()
        # Replicas must get as many images of the first batch each.
        batch_size = max(1, min(batch_size, count) // replicas) * replicas
        if not padded:
            return self._validation.batch(batch_size).prefetch(2)
        steps = -(-count // batch_size)
        weight = tf.constant(steps * batch_size / count, tf.float32)
        size = self.info.image_size
        filler = (tf.zeros((size, size, 3), tf.uint8), tf.constant(0), tf.constant(0.0))
        images = self._validation.map(lambda image, label: (image, label, weight))
        images = images.concatenate(tf.data.Dataset.from_tensors(filler).repeat()).take(
            steps * batch_size // hosts
        )
        return images.batch(batch_size // hosts, drop_remainder=True).prefetch(2)

    def training_images(self, batch_size=128):
        """Training images in their stored order, as `validation_images` gives them."""
        size = self.info.image_size
        images = (
            self._train if size == self._train_size else self._prepare(self._source.train, size)
        )
        return images.batch(batch_size).prefetch(2)


def _next_epoch_each_pass(first_epoch):
    """A data set of one number, which is one higher in each pass."""
    epoch = tf.Variable(first_epoch - 1, dtype=tf.int64, trainable=False)
    return tf.data.Dataset.range(1).map(lambda _: epoch.assign_add(1))
