"""What is known of a data set, and checks of what is asked of it."""

import dataclasses

import numpy as np

from alexnet_keras.data.colour_noise import COLOUR_NOISE


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
        mean_image: float32 `(image_size, image_size, 3)`, the mean of the prepared training images, 0-255; one colour
            where the data set was asked for that.
        colour_covariance: float64 `(3, 3)`, of the RGB values of all pixels of the prepared training images.
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
    colour_covariance: np.ndarray
    fingerprint: str
    skipped: tuple = ()
    content: str | None = None

    @property
    def mean_crop(self):
        """The centre of the mean image, float32 `(crop_size, crop_size, 3)`: what is subtracted from every crop."""
        return centre(self.mean_image, self.crop_size)


def centre(image, size):
    """The centre square of `size` pixels of `(..., height, width, 3)`."""
    top, left = (image.shape[-3] - size) // 2, (image.shape[-2] - size) // 2
    return image[..., top : top + size, left : left + size, :]


def mean_of(mean_image, kind, size):
    """What is subtracted of images of `size` pixels: the mean image, or for `"colour"` its mean colour, as VGG does.

    Raises:
        ValueError: for another kind.

    Reference: section 2.1 of Simonyan and Zisserman (2014).
    """
    if kind not in ("image", "colour"):
        raise ValueError(f"`mean` must be image or colour. Received: mean={kind!r}")
    colour = mean_image.mean((0, 1), dtype="float64").astype("float32")
    return mean_image if kind == "image" else np.tile(colour, (size, size, 1))


def check_scales(scales, crop_size, mean):
    """Raises a `ValueError` for sides of the training images that crops cannot be taken of."""
    whole = all(isinstance(scale, int) for scale in scales)
    if scales and (len(scales) != 2 or not whole or not crop_size <= scales[0] <= scales[1] or mean != "colour"):
        raise ValueError(
            "`scales` must be a smallest and a largest side, pixels, from crop_size on, and needs the mean colour. "
            f"Received: scales={scales}, crop_size={crop_size}, mean={mean!r}"
        )


def check_sizes(image_size, crop_size):
    """Raises a `ValueError` for crops larger than the prepared images, or of no pixels."""
    if not 0 < crop_size <= image_size:
        raise ValueError(
            f"`crop_size` must be from 1 to image_size pixels. Received: crop_size={crop_size}, image_size={image_size}"
        )


def check_training(info, batch_size, colour_noise):
    """Raises a `ValueError` for training batches that a data set cannot give."""
    if colour_noise not in COLOUR_NOISE:
        raise ValueError(
            f"`colour_noise` must be one of {', '.join(COLOUR_NOISE)}. Received: colour_noise={colour_noise!r}"
        )
    if not 1 <= batch_size <= info.train_count:
        raise ValueError(
            f"`batch_size` must be from 1 to the number of training images, {info.train_count} in {info.name!r}. "
            f"Received: batch_size={batch_size}"
        )
