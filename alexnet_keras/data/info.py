"""The description of a data set, and its mean image."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from alexnet_keras.data.options import ImagePreparation


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The description of a data set.

    Args:
        name: the name that it was opened by.
        classes: number of classes.
        class_names: a name for each label.
        train_count: number of training images.
        validation_count: number of validation images.
        splits: names of the training and the validation split in the data set.
        image_size: side of the prepared images, in pixels.
        crop_size: side of the crops that a network sees, in pixels.
        mean_image: float32 `(image_size, image_size, 3)`, the mean to subtract, 0-255. With
            `mean_subtraction="color"` all of its pixels have one color.
        color_covariance: float64 `(3, 3)`, of the color values of all pixels of the prepared
            training images.
        fingerprint: digest that changes whenever the images might have changed.
        skipped: corrupt files that are left out.
        content: digest of the files of each class in a folder; `None` for other sets.
        color_order: order of the colors in images, mean and covariance.
    """

    name: str
    classes: int
    class_names: tuple[str, ...]
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
    color_order: str = "RGB"

    @property
    def mean_crop(self) -> np.ndarray:
        """Center of the mean image, `(crop_size, crop_size, 3)`, subtracted from all crops."""
        return center(self.mean_image, self.crop_size)


def center(image, size: int):
    """Returns the center square of `size` pixels of `(..., height, width, 3)`."""
    top = (image.shape[-3] - size) // 2
    left = (image.shape[-2] - size) // 2
    return image[..., top : top + size, left : left + size, :]


def mean_to_subtract(mean_image: np.ndarray, preparation: "ImagePreparation") -> np.ndarray:
    """Returns the mean to subtract from the images of a data set.

    Args:
        mean_image: float32 `(height, width, 3)`, the mean of the training images.
        preparation: how the images are prepared. Its `mean` replaces the training images' own.

    Returns:
        float32 `(image_size, image_size, 3)`, with the colors in the order of the images. For
        `mean_subtraction="color"`, as in VGG, all pixels have one color.

    Reference: section 2.1 of Simonyan and Zisserman (2014).
    """
    mean = mean_image
    if preparation.mean is not None:
        is_bgr = preparation.color_order == "BGR"
        mean = preparation.mean[..., ::-1] if is_bgr else preparation.mean
    if preparation.mean_subtraction == "image":
        return np.ascontiguousarray(mean)
    if mean.ndim == 3:
        mean = mean.mean((0, 1), dtype="float64").astype("float32")
    return np.tile(mean, (preparation.image_size, preparation.image_size, 1))
