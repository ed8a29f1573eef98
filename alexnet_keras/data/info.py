"""What is known of a data set."""

import dataclasses

import numpy as np


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
        mean_image: float32 `(image_size, image_size, 3)`, the mean of the prepared training images, 0-255.
        colour_covariance: float64 `(3, 3)`, of the RGB values of all pixels of the prepared training images.
        fingerprint: changes whenever the images might have changed.
        skipped: corrupt files that were left out.
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

    @property
    def mean_crop(self):
        """The centre of the mean image, float32 `(crop_size, crop_size, 3)`: what is subtracted from every crop."""
        return centre(self.mean_image, self.crop_size)


def centre(image, size):
    """The centre square of `size` pixels of `(..., height, width, 3)`."""
    top, left = (image.shape[-3] - size) // 2, (image.shape[-2] - size) // 2
    return image[..., top : top + size, left : left + size, :]
