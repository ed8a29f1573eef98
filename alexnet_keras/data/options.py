"""Options of a data set: which images it has, how they are prepared, how batches are augmented."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from alexnet_keras.checks import (
    as_tuple,
    check_color_order,
    check_crop_size,
    check_mean_subtraction,
    check_whole_number,
    is_number,
    is_whole_number,
    seed_number,
    true_or_false,
)
from alexnet_keras.data.arrays import ARRAYS
from alexnet_keras.data.pca_noise import PCA_NOISE
from alexnet_keras.data.statistics import default_cache_dir
from alexnet_keras.files import expand_home


@dataclasses.dataclass(frozen=True)
class ImageSelection:
    """Which images a data set has.

    Args:
        name: data set name: a TFDS name, a folder or an `.npz` file, as for `load`.
        hold_out_every: without a validation split, one image in N is held out, in a folder one of
            each class. The choice is the same on every machine. Use 2 for the halves of the Fall
            2009 release (section 6 of the paper).
        class_subset: numbers of the classes to keep, relabeled from 0 in this order; empty for all.
        max_images_per_class: number of training images to keep of each class, the same ones on
            every machine; `None` for all.
        skip_corrupt: whether to leave out the corrupt files of a folder instead of stopping.
        cache_dir: folder for statistics and for the list of corrupt files; `None` for
            `~/.cache/alexnet_keras` or the folder in `ALEXNET_KERAS_CACHE`.
        check_classes: function of the names of the kept classes, which raises an error for classes
            that do not fit. It is called before images are downloaded, decoded or prepared.

    Raises:
        ValueError: for a value that no data set can have; the message names the field.
    """

    name: str | os.PathLike
    hold_out_every: int = 10
    class_subset: tuple = ()
    max_images_per_class: int | None = None
    skip_corrupt: bool = False
    cache_dir: str | os.PathLike | None = None
    check_classes: Callable[[tuple], None] | None = None

    def __post_init__(self):
        object.__setattr__(self, "class_subset", as_tuple("class_subset", self.class_subset))
        true_or_false("skip_corrupt", self.skip_corrupt)
        check_whole_number("hold_out_every", self.hold_out_every, 2)
        if self.max_images_per_class is not None:
            check_whole_number("max_images_per_class", self.max_images_per_class)

    def check_hold_out(self, validation: str | None) -> None:
        """Raises a `ValueError` for a `hold_out_every` that the data set has no use for.

        Args:
            validation: name of the data set's own validation split; `None` without one.
        """
        if self.hold_out_every != ImageSelection.hold_out_every and validation is not None:
            raise ValueError(
                "`hold_out_every` needs a data set without validation images of its own. Received: "
                f"hold_out_every={self.hold_out_every}, dataset={self.name!r}, which has "
                f"{validation}"
            )

    def class_numbers(self, classes: int) -> tuple:
        """Returns the numbers of the classes to keep.

        Args:
            classes: number of classes of the data set.

        Raises:
            ValueError: for a `class_subset` of other classes, or of fewer than two.
        """
        numbers = self.class_subset or tuple(range(classes))
        is_known = all(is_whole_number(n, 0) and n < classes for n in numbers)
        if not is_known or len(set(numbers)) < max(len(numbers), 2):
            raise ValueError(
                f"`class_subset` must be different numbers from 0 to {classes - 1}, at least two. "
                f"Received: class_subset={self.class_subset}"
            )
        return numbers

    def check_names(self, class_names: Iterable[str]) -> None:
        """Raises an error if the classes of the data set, of these names, do not fit."""
        names = tuple(class_names)
        if self.class_subset:
            names = tuple(names[number] for number in self.class_numbers(len(names)))
        if self.check_classes is not None:
            self.check_classes(names)

    @property
    def cache(self) -> Path:
        """The folder that `cache_dir` stands for."""
        return default_cache_dir() if self.cache_dir is None else expand_home(self.cache_dir)


@dataclasses.dataclass(frozen=True)
class ImagePreparation:
    """How the images of a data set are prepared.

    Images are scaled so that the shorter side has `image_size` pixels. The center square is cut
    out.

    Args:
        image_size: side of the prepared images, in pixels.
        crop_size: side of the crops that a network sees, in pixels.
        scale_jitter: smallest and largest side of the training images, in pixels; every random
            crop draws one between them (VGG's scale jittering). It needs the mean `"color"`.
            Validation images keep `image_size`. Empty for `image_size` in training, too.
        mean_subtraction: which mean of the training images is subtracted: their mean `"image"`,
            or their mean `"color"` as in VGG.
        mean: mean to subtract instead, RGB 0-255: an image `(image_size, image_size, 3)`, or with
            `mean_subtraction="color"` a color `(3,)`. `None` for the training images' own.
        color_order: order of the color channels, `"RGB"` or `"BGR"`.
        memory_gib: keep the prepared training images in memory if they take at most this, in GiB;
            the validation images likewise.

    Raises:
        ValueError: for sizes that do not fit or another mean; the message names the field.

    Reference: section 2 of Krizhevsky et al. (2012); section 3.1 of Simonyan and Zisserman (2014)
    for the scale jittering.
    """

    image_size: int = 256
    crop_size: int = 224
    scale_jitter: tuple = ()
    mean_subtraction: str = "image"
    mean: np.ndarray | None = None
    color_order: str = "RGB"
    memory_gib: float = 2.0

    def __post_init__(self):
        object.__setattr__(self, "scale_jitter", as_tuple("scale_jitter", self.scale_jitter))
        check_crop_size(self.crop_size, self.image_size)
        check_mean_subtraction(self.mean_subtraction)
        check_scale_jitter(self.scale_jitter, self.crop_size, self.mean_subtraction)
        self._check_mean()
        check_color_order(self.color_order)
        if not is_number(self.memory_gib) or not self.memory_gib >= 0:
            raise ValueError(
                f"`memory_gib` must be a number from 0. Received: memory_gib={self.memory_gib!r}"
            )

    def _check_mean(self):
        if self.mean is None:
            return
        mean = np.asarray(self.mean, "float32")
        side = (self.image_size, self.image_size) if self.mean_subtraction == "image" else ()
        if mean.shape != (*side, 3):
            raise ValueError(
                f"`mean` must have the shape {(*side, 3)} for image_size={self.image_size} and "
                f"mean_subtraction={self.mean_subtraction!r}. Received: mean of shape {mean.shape}"
            )
        object.__setattr__(self, "mean", mean)

    @property
    def training_size(self) -> int:
        """Side of the prepared training images: the largest one that crops are cut from."""
        return self.scale_jitter[1] if self.scale_jitter else self.image_size

    def fits_memory(self, count: int, size: int) -> bool:
        """Returns whether images of `size` pixels take at most `memory_gib`."""
        return count * size * size * 3 / 2**30 <= self.memory_gib


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """How a training batches and augments the images of a data set.

    Args:
        batch_size: images, over all hosts together.
        random_crop: whether to take random crops and mirror images rather than center crops.
        pca_noise: `"none"`, `"eigenvalue"` (the paper's formula) or `"standard_deviation"` (2012
            source).
        pca_noise_epochs: number of epochs after which the color noise ends; `None` for never.
        seed: whole number from 0 that fixes order, crops and noise.
        first_epoch: number of the epoch that the batches begin with.
        first_step: number of the first batch in this epoch.

    Raises:
        ValueError: for a value that no training can have; the message names the field.
    """

    batch_size: int = 128
    random_crop: bool = True
    pca_noise: str = "standard_deviation"
    pca_noise_epochs: int | None = None
    seed: int = 0
    first_epoch: int = 0
    first_step: int = 0

    def __post_init__(self):
        check_whole_number("batch_size", self.batch_size)
        true_or_false("random_crop", self.random_crop)
        if self.pca_noise not in PCA_NOISE:
            raise ValueError(
                f"`pca_noise` must be one of {', '.join(PCA_NOISE)}. "
                f"Received: pca_noise={self.pca_noise!r}"
            )
        if self.pca_noise_epochs is not None:
            check_whole_number("pca_noise_epochs", self.pca_noise_epochs, 0)
        check_whole_number("first_epoch", self.first_epoch, 0)
        check_whole_number("first_step", self.first_step, 0)
        seed_number("seed", self.seed)

    def check_random_crops(self, scale_jitter: tuple) -> None:
        """Raises a `ValueError` for sides of random crops if the crops are not random."""
        if scale_jitter and not self.random_crop:
            raise ValueError(
                "`scale_jitter` needs random crops. "
                f"Received: scale_jitter={scale_jitter}, random_crop={self.random_crop}"
            )

    def check_fits(self, name: str, train_count: int) -> None:
        """Checks the options against the number of training images.

        Args:
            name: name of the data set in the message.
            train_count: number of training images.

        Raises:
            ValueError: for a batch with more images than that, or a first step after an epoch.
        """
        if not is_whole_number(self.batch_size) or self.batch_size > train_count:
            raise ValueError(
                f"`batch_size` must be from 1 to the number of training images, {train_count} in "
                f"{name!r}. Received: batch_size={self.batch_size!r}"
            )
        steps = train_count // self.batch_size
        if self.first_step >= steps:
            raise ValueError(
                f"`first_step` must be below {steps}, the steps of an epoch of {name!r}. "
                f"Received: first_step={self.first_step}"
            )


EXPECTED_DATASET = (
    "`dataset` must be the TFDS name of an image classification set (such as shapes, cifar10, "
    "imagenette/320px-v2, imagenet2012), a folder with train/CLASS/ and val/CLASS/ folders, or an "
    f".npz file with {', '.join(ARRAYS)}."
)


def check_is_name(name: str | os.PathLike) -> None:
    """Raises a `ValueError` for a path to nothing or to a file, which can't be the name of a set.

    Args:
        name: data set name that is neither a folder nor an `.npz` file.
    """
    if expand_home(name).exists():
        reason = "a file of another kind" if str(name) else "an empty name"
        raise ValueError(f"{EXPECTED_DATASET} Received: dataset={str(name)!r}, {reason}")
    text = str(name)
    is_path = (
        isinstance(name, Path)
        or text.startswith((".", "~", os.sep))
        or text.endswith(os.sep)
        or "\\" in text
    )
    if is_path:
        raise ValueError(
            f"{EXPECTED_DATASET} Received: dataset={text!r}, which does not exist "
            f"(from {Path.cwd()})"
        )


def check_path(name: str | os.PathLike) -> None:
    """Raises a `ValueError` for a path to no data set, before anything is downloaded for it.

    Args:
        name: as for `ImageSelection`.
    """
    path = expand_home(name)
    is_folder = bool(str(name)) and path.is_dir()  # an empty name is the current folder
    if path.suffix == ".npz" and not path.exists():
        raise ValueError(
            f"`dataset` must be an .npz file with {', '.join(ARRAYS)}. Received: "
            f"dataset={str(name)!r}, which does not exist (from {Path.cwd()})"
        )
    if not is_folder and path.suffix != ".npz":
        check_is_name(name)


def can_be_in_memory(name: str | os.PathLike) -> bool:
    """Returns whether an `InMemoryDataset` reads the data set of this name."""
    return name == "shapes" or str(name).endswith(".npz")


def split_options(
    name: str | os.PathLike, options: dict
) -> tuple[ImageSelection, ImagePreparation]:
    """Returns the selection and the preparation that keyword arguments describe.

    Args:
        name: as for `ImageSelection`.
        options: fields of `ImageSelection` and `ImagePreparation`.

    Raises:
        TypeError: for a name that is not a field.
    """
    fields = {
        kind: [field.name for field in dataclasses.fields(kind) if field.name != "name"]
        for kind in (ImageSelection, ImagePreparation)
    }
    accepted = [*fields[ImageSelection], *fields[ImagePreparation]]
    unknown = [key for key in options if key not in accepted]
    if unknown:
        raise TypeError(
            f"An option of a data set must be one of {', '.join(accepted)}. "
            f"Received: {', '.join(unknown)}"
        )
    chosen = {
        kind: {key: options[key] for key in names if key in options}
        for kind, names in fields.items()
    }
    return (
        ImageSelection(name, **chosen[ImageSelection]),
        ImagePreparation(**chosen[ImagePreparation]),
    )


def check_scale_jitter(scale_jitter: tuple, crop_size: int, mean_subtraction: str) -> None:
    """Raises a `ValueError` for sides of the training images that crops do not fit into."""
    if not scale_jitter:
        return
    is_pair = len(scale_jitter) == 2 and all(map(is_whole_number, scale_jitter))
    is_range = is_pair and crop_size <= scale_jitter[0] <= scale_jitter[1]
    if not is_range or mean_subtraction != "color":
        raise ValueError(
            "`scale_jitter` must be a smallest and a largest side, pixels, from crop_size on, and "
            "needs the mean color. "
            f"Received: scale_jitter={scale_jitter}, crop_size={crop_size}, "
            f"mean_subtraction={mean_subtraction!r}"
        )
