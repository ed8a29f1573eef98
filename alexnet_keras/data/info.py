"""What is known of a data set, and checks of what is asked of it."""

import dataclasses

import numpy as np

from alexnet_keras.data.pca_noise import PCA_NOISE


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set.

    Args:
        name: the name it was asked for by.
        classes: number of classes.
        class_names: a name for each label.
        train_count: number of training images.
        validation_count: number of validation images.
        splits: what the two sets are called in the data set.
        image_size: side of the prepared images, in pixels.
        crop_size: side of the crops that a network sees, in pixels.
        mean_image: float32 `(image_size, image_size, 3)`, the mean of the prepared training images, 0-255; one color
            where the data set was asked for that.
        color_covariance: float64 `(3, 3)`, of the RGB values of all pixels of the prepared training images.
        fingerprint: changes whenever the images might have changed.
        skipped: corrupt files that were left out.
        content: digest of which files a class of a folder has; `None` for other sets.
    """

    name: str
    classes: int
    class_names: tuple
    train_count: int
    validation_count: int
    splits: tuple
    image_size: int
    crop_size: int
    mean_image: np.ndarray
    color_covariance: np.ndarray
    fingerprint: str
    skipped: tuple = ()
    content: str | None = None

    @property
    def mean_crop(self):
        """The center of the mean image, float32 `(crop_size, crop_size, 3)`: what is subtracted from every crop."""
        return center(self.mean_image, self.crop_size)


def center(image, size):
    """The center square of `size` pixels of `(..., height, width, 3)`."""
    top, left = (image.shape[-3] - size) // 2, (image.shape[-2] - size) // 2
    return image[..., top : top + size, left : left + size, :]


def mean_of(mean_image, kind, size):
    """What is subtracted of images of `size` pixels: the mean image, or for `"color"` its mean color, as VGG does.

    Raises:
        ValueError: for another kind.

    Reference: section 2.1 of Simonyan and Zisserman (2014).
    """
    if kind not in ("image", "color"):
        raise ValueError(
            f"`mean_subtraction` must be image or color. Received: mean_subtraction={kind!r}"
        )
    color = mean_image.mean((0, 1), dtype="float64").astype("float32")
    return mean_image if kind == "image" else np.tile(color, (size, size, 1))


def check_scale_jitter(scale_jitter, crop_size, mean_subtraction):
    """Raises a `ValueError` for sides of the training images that crops cannot be taken of."""
    whole = all(isinstance(scale, int) for scale in scale_jitter)
    low_to_high = (
        len(scale_jitter) == 2 and whole and crop_size <= scale_jitter[0] <= scale_jitter[1]
    )
    if scale_jitter and not (low_to_high and mean_subtraction == "color"):
        raise ValueError(
            "`scale_jitter` must be a smallest and a largest side, pixels, from crop_size on, and needs the mean color. "
            f"Received: scale_jitter={scale_jitter}, crop_size={crop_size}, mean_subtraction={mean_subtraction!r}"
        )


def check_sizes(image_size, crop_size):
    """Raises a `ValueError` for crops larger than the prepared images, or of no pixels."""
    if not 0 < crop_size <= image_size:
        raise ValueError(
            f"`crop_size` must be from 1 to image_size pixels. Received: crop_size={crop_size}, image_size={image_size}"
        )


def check_training(info, batch_size, pca_noise):
    """Raises a `ValueError` for training batches that a data set cannot give."""
    if pca_noise not in PCA_NOISE:
        raise ValueError(
            f"`pca_noise` must be one of {', '.join(PCA_NOISE)}. Received: pca_noise={pca_noise!r}"
        )
    if not 1 <= batch_size <= info.train_count:
        raise ValueError(
            f"`batch_size` must be from 1 to the number of training images, {info.train_count} in {info.name!r}. "
            f"Received: batch_size={batch_size}"
        )
