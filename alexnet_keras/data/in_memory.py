"""Data sets that lie in the memory of the device that trains. Needs JAX; neither TensorFlow nor its data sets."""

import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np

from alexnet_keras.data.arrays import read_arrays
from alexnet_keras.data.info import DatasetInfo, center, check_sizes, check_training, mean_of
from alexnet_keras.data.pca_noise import NOISE_STDDEV, color_shift, noise_divisor, subtract_mean
from alexnet_keras.data.statistics import default_cache_dir, training_statistics


class InMemoryDataset:
    """An `.npz` of arrays on a GPU, of which the compiled training step cuts its crops.

    It prepares and augments images as `Dataset` does, in another order: what an epoch holds depends on the seed and the
    number of the epoch alone. A training batch names its images and says what to do with them; a model that trains on
    it is one that `alexnet_keras.training.device_augmentation.augmenting_model` made.

    Args:
        name: path of the `.npz` file, as for `load`.
        image_size: side of the prepared images, in pixels.
        crop_size: side of the crops, in pixels.
        mean_subtraction: as for `load`.
        cache_dir: folder for the statistics; by default `~/.cache/alexnet_keras`.

    Raises:
        ValueError: when Keras has another backend than JAX, for a file without such arrays, or crops larger than the
            images.
    """

    def __init__(
        self, name, image_size=256, crop_size=224, *, mean_subtraction="image", cache_dir=None
    ):
        if keras.backend.backend() != "jax":
            raise ValueError(
                f"`in_memory` needs the jax backend. Received: {keras.backend.backend()}"
            )
        check_sizes(image_size, crop_size)
        arrays = read_arrays(name)
        self._labels = {"train": arrays.y_train, "validation": arrays.y_test}
        prepared = {
            split: _prepare(images, image_size)
            for split, images in (("train", arrays.x_train), ("validation", arrays.x_test))
        }
        mean_image, covariance = training_statistics(
            (prepared["train"][i : i + 128] for i in range(0, len(arrays.x_train), 128)),
            len(arrays.x_train),
            f"{arrays.fingerprint}-{image_size}-jax",
            default_cache_dir() if cache_dir is None else cache_dir,
        )
        self._images = {split: jax.device_put(images) for split, images in prepared.items()}
        self.info = DatasetInfo(
            name=name,
            classes=len(arrays.class_names),
            class_names=arrays.class_names,
            train_count=len(arrays.x_train),
            validation_count=len(arrays.x_test),
            splits=("x_train", "x_test"),
            image_size=image_size,
            crop_size=crop_size,
            mean_image=mean_of(mean_image, mean_subtraction, image_size),
            color_covariance=covariance,
            fingerprint=arrays.fingerprint,
        )
        self._mean_crop = jax.device_put(self.info.mean_crop)

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
    ):
        """Endless training batches, arguments as for `load`.

        Yields:
            `(batch, labels)`: what `augment` takes, and int32 `(batch_size,)`.
        """
        check_training(self.info, batch_size, pca_noise)
        return self._train(
            batch_size, random_crop, pca_noise, pca_noise_epochs, seed, first_epoch, first_step
        )

    def _train(
        self, batch_size, random_crop, pca_noise, pca_noise_epochs, seed, first_epoch, first_step
    ):
        info = self.info
        room = info.image_size - info.crop_size
        for epoch in itertools.count(first_epoch):
            noisy = pca_noise != "none" and (pca_noise_epochs is None or epoch < pca_noise_epochs)
            random = np.random.default_rng((seed, epoch))
            order = random.permutation(info.train_count).astype("int32")
            corners = random.integers(0, room, (info.train_count, 2), dtype="int32", endpoint=True)
            mirrored = random.random(info.train_count) < 0.5
            if not random_crop:
                corners[:], mirrored[:] = room // 2, False
            alpha = random.normal(0, NOISE_STDDEV, (info.train_count, 3)).astype("float32")
            shift = (
                color_shift(alpha, info.color_covariance, pca_noise)
                if noisy
                else np.zeros_like(alpha)
            )
            divisor = noise_divisor(pca_noise) if noisy else 1.0
            for step in range(
                first_step if epoch == first_epoch else 0, info.train_count // batch_size
            ):
                part = slice(step * batch_size, (step + 1) * batch_size)
                batch = {
                    "images": self._images["train"],
                    "index": order[part],
                    "corners": corners[part],
                    "mirrored": mirrored[part],
                    "shift": shift[part],
                    "divisor": np.float32(divisor),
                }
                yield batch, self._labels["train"][order[part]]

    def augment(self, batch):
        """The crops of a training batch, float32 `(batch_size, crop_size, crop_size, 3)`.

        Reference: section 4.1 of Krizhevsky et al. (2012).
        """
        size = self.info.crop_size
        steps = jnp.arange(size)
        rows = batch["corners"][:, :1] + steps
        columns = batch["corners"][:, 1:] + jnp.where(
            batch["mirrored"][:, None], steps[::-1], steps
        )
        crops = batch["images"][
            batch["index"][:, None, None], rows[:, :, None], columns[:, None, :]
        ]
        return subtract_mean(
            crops.astype("float32"), self._mean_crop, batch["shift"], batch["divisor"]
        )

    def validation(self, batch_size=128, **kwargs):
        """Validation batches of center crops less the mean, as `validation_images` gives them."""
        return self._batches(
            batch_size, lambda images: center(images, self.info.crop_size) - self._mean_crop
        )

    def validation_images(self, batch_size=128, **kwargs):
        """Validation batches of whole prepared images, as those of `Dataset` that are padded."""
        return self._batches(batch_size, lambda images: images)

    def _batches(self, batch_size, prepare):
        return _Batches(self._images["validation"], self._labels["validation"], batch_size, prepare)


class _Batches(keras.utils.PyDataset):
    def __init__(self, images, labels, batch_size, prepare):
        super().__init__()
        self.images, self.labels, self.prepare = images, labels, prepare
        self.batch_size = max(1, min(batch_size, len(labels)))

    def __len__(self):
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, number):
        count = len(self.labels)
        index = np.arange(number * self.batch_size, (number + 1) * self.batch_size)
        weights = np.where(index < count, len(self) * self.batch_size / count, 0).astype("float32")
        index = np.minimum(index, count - 1)
        return self.prepare(self.images[index]), self.labels[index], weights


def _prepare(images, size):
    """Scales the shorter side of uint8 images to `size` pixels and cuts out the center square, of three colors."""
    images = images[..., None] if images.ndim == 3 else images
    lengths = np.array(images.shape[1:3])
    if lengths.min() == size:
        top, left = (lengths - size) // 2
        images = images[:, top : top + size, left : left + size]
    else:
        images = _scaled_centers(images, size)
    return np.broadcast_to(images, (len(images), size, size, 3))


def _scaled_centers(images, size):
    """The center squares of images whose shorter side is scaled to `size` pixels.

    Only pixels that count are scaled: whole, a very long image would take any amount of memory.
    """
    lengths = np.array(images.shape[1:3])
    shorter = lengths.min()
    new = np.round(lengths * size / shorter)
    scale = new / lengths
    reach = 2 + max(shorter // size, 1)  # of the filter, in stored pixels
    start = np.maximum((lengths - shorter) // 2 - reach, 0)
    stop = lengths - start
    first = (new - size) // 2  # scaled pixel that the square begins with
    translation = start * scale - first

    @jax.jit
    def resize(part):
        part = jax.image.scale_and_translate(
            part.astype("float32"),
            (len(part), size, size, part.shape[-1]),
            (1, 2),
            jnp.array(scale, "float32"),
            jnp.array(translation, "float32"),
            "linear",
        )
        return jnp.round(part).clip(0, 255).astype("uint8")

    images = images[:, start[0] : stop[0], start[1] : stop[1]]
    return np.concatenate([resize(images[i : i + 128]) for i in range(0, len(images), 128)])
