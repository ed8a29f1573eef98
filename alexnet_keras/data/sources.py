"""Image sources: a TFDS data set, a folder of class folders, or an `.npz` file of arrays."""

import dataclasses
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from alexnet_keras.data.arrays import fixed_permutation, read_npz
from alexnet_keras.data.class_selection import select_classes
from alexnet_keras.data.decoding import decode_image
from alexnet_keras.data.folders import fingerprint_of, read_folder
from alexnet_keras.data.options import EXPECTED_DATASET, ImageSelection, check_is_name
from alexnet_keras.extras import extra
from alexnet_keras.files import expand_home

# What TFDS raises for a name. A set of Hugging Face needs another package.
_ERRORS_OF_NAMES = (ValueError, RuntimeError, AssertionError, TypeError, ModuleNotFoundError)
IMAGENET_FILES = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """Images as they are stored, and how to decode them.

    Args:
        class_names: a name for each label.
        train: `tf.data.Dataset` of `(stored image, label)`, in a fixed order that mixes the
            classes.
        validation: the validation images in the same form.
        train_count: number of training images.
        validation_count: number of validation images.
        decode: function from a stored image to a uint8 tensor `(height, width, 3)`.
        fingerprint: digest that changes whenever images or labels might have changed.
        content: digest of the files of each class, which stays the same when they are moved;
            `None` for sources whose class names suffice.
        splits: names of the training and the validation split.
        skipped: corrupt files that are left out.
        read: function from a stored image to the content of its file; `None` for images that are
            stored as arrays.
        read_part: function from `"train"` or `"validation"`, the number of a part and the number
            of parts to this part of the images; `None` if sharding all images costs nothing.
    """

    class_names: tuple
    train: tf.data.Dataset
    validation: tf.data.Dataset
    train_count: int
    validation_count: int
    decode: Callable
    fingerprint: str
    content: str | None = None
    splits: tuple = ("train", "validation")
    skipped: tuple = ()
    read: Callable | None = None
    read_part: Callable | None = None

    def part(self, split: str, number: int, parts: int) -> tf.data.Dataset:
        """Returns one of `parts` of a split. Their sizes differ by one image at most.

        Args:
            split: `"train"` or `"validation"`.
            number: number of the part, from 0.
            parts: number of parts.
        """
        if parts == 1:
            return getattr(self, split)
        if self.read_part:
            return self.read_part(split, number, parts)
        return getattr(self, split).shard(parts, number)


def open_image_source(selection: ImageSelection) -> ImageSource:
    """Opens a data set without reading its images. A folder's files are decoded once as a check.

    Args:
        selection: which images the data set has.

    Raises:
        ValueError: for an unknown name or a set that is not image classification; for a folder
            without class folders or with corrupt files; for a part that the set does not have.
        FileNotFoundError: for data that must be downloaded by hand and is not there.
    """
    name = selection.name
    path = expand_home(name)
    if path.is_dir() and str(name):
        source = _from_folder(selection)
    elif path.suffix == ".npz":
        source = _from_npz(selection)
    else:
        check_is_name(name)
        source = _from_tfds(selection)
    if selection.class_subset or selection.max_images_per_class is not None:
        source = select_classes(source, selection)
    return source


@dataclasses.dataclass(frozen=True)
class _TFDSReader:
    """Reads the stored examples of a TFDS builder.

    Args:
        builder: a prepared TFDS builder.
        keys: names of the image and of the label in an example.
        splits: names of the training and the validation split.
    """

    builder: Any
    keys: tuple
    splits: tuple

    def read(self, split):
        import tensorflow_datasets as tfds

        decoders = {self.keys[0]: tfds.decode.SkipDecoding()}
        stored = self.builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
        return stored.map(self._image_and_label)

    def read_part(self, split, number, parts):
        import tensorflow_datasets as tfds

        name = self.splits[split == "validation"]
        return self.read(tfds.even_splits(name, parts)[number])

    def _image_and_label(self, example):
        image, label = self.keys
        return example[image], tf.cast(example[label], tf.int32)


def _from_tfds(selection):
    name = selection.name
    builder = _tfds_builder(name)
    keys, class_names = _image_and_label_keys(builder, name)
    selection.check_names(class_names)
    if not builder.is_prepared():
        _check_manual_files(builder, name)
        builder = _prepare(builder, name)
    splits = _tfds_splits(builder, name, selection.hold_out_every)
    has_validation = splits[1] in builder.info.splits
    selection.check_hold_out(splits[1] if has_validation else None)
    reader = _TFDSReader(builder, keys, splits)
    content = name if has_validation else f"{name}{splits}"
    return ImageSource(
        class_names=class_names,
        train=reader.read(splits[0]),
        validation=reader.read(splits[1]),
        train_count=builder.info.splits[splits[0]].num_examples,
        validation_count=builder.info.splits[splits[1]].num_examples,
        decode=decode_image,
        fingerprint=fingerprint_of(content, sorted(Path(builder.data_dir).iterdir())),
        splits=splits,
        read=tf.identity,
        read_part=reader.read_part,
    )


def _tfds_builder(name):
    """Returns the TFDS builder of a name."""
    with extra("reading TFDS data sets"):
        import tensorflow_datasets as tfds

        from alexnet_keras.data import shapes, tiny_imagenet  # noqa: F401  registers the builders

    try:
        return tfds.builder(name)
    except _ERRORS_OF_NAMES as error:
        reason = str(error).strip().splitlines()[0]
        is_unknown = isinstance(error, tfds.core.DatasetNotFoundError)
        if is_unknown or reason.startswith("Parsing builder name"):
            reason = "neither an existing file or folder nor the name of a TFDS set"
        raise ValueError(f"{EXPECTED_DATASET} Received: dataset={name!r}: {reason}") from error


def _image_and_label_keys(builder, name):
    """Returns the names of image and label in an example, and the names of the classes."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    keys: list = list(builder.info.supervised_keys or ())[:2]
    kinds = [type(features[key]) for key in keys]
    expected = (tfds.features.Image, tfds.features.ClassLabel)
    if len(kinds) < 2 or not all(map(issubclass, kinds, expected)):
        raise ValueError(
            "`dataset` must be an image classification set. "
            f"Received: dataset={name!r}, whose features are {features}"
        )
    return tuple(keys), tuple(features[keys[1]].names)


def _tfds_splits(builder, name, hold_out_every):
    """Returns the names of the training and the validation split, which may be parts of one."""
    available = builder.info.splits
    if "train" not in available:
        raise ValueError(
            f"`dataset` must have a split train. "
            f"Received: dataset={name!r} with {', '.join(available) or 'no splits'}"
        )
    validation = next((split for split in ("validation", "test") if split in available), None)
    count = available["train"].num_examples
    first = count - count // hold_out_every
    splits = ("train", validation) if validation else (f"train[:{first}]", f"train[{first}:]")
    counts = [available[split].num_examples for split in splits]
    if not all(counts):
        raise ValueError(
            "`dataset` must have training and validation images. Received: "
            f"dataset={name!r} with {counts[0]} in {splits[0]} and {counts[1]} in {splits[1]}"
        )
    return splits


def _check_manual_files(builder, name):
    """Refuses a set whose files must be downloaded by hand and are not there."""
    if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return
    folder, files = _manual_files(builder)
    missing = [file for file in files if not (folder / file).exists()]
    if missing or (not files and not folder.is_dir()):
        instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS.strip()
        needed = " and ".join(files) or "the files named below"
        raise FileNotFoundError(
            f"`dataset` {name!r} must be downloaded by hand: put {needed} into {folder}, then run "
            f"the same command again. Missing: {', '.join(missing) or folder}\n{instructions}"
        )


def _manual_files(builder):
    """Returns the folder of manual downloads, and the files in it, as far as they are known."""
    root = Path(builder.data_dir).parents[builder.info.full_name.count("/")]
    files = IMAGENET_FILES if builder.name == "imagenet2012" else ()
    return root / "downloads" / "manual", files


def _prepare(builder, name):
    """Downloads a set and stores it as TFDS does. An error names the damaged files.

    Returns:
        The builder that reads it: another one where another process has stored the set meanwhile.
    """
    try:
        builder.download_and_prepare()
    except OSError:  # of the disk or the network, or since the folder is there already
        if builder.is_prepared():
            return _tfds_builder(name)
        raise
    except Exception as error:  # TFDS passes on the errors of readers of all kinds of files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        advice = ""
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            folder, files = _manual_files(builder)
            damaged = [str(folder / file) for file in files if not _is_whole_tar(folder / file)]
            advice = f". Download {' and '.join(damaged) or f'the files in {folder}'} again"
        raise ValueError(
            f"`dataset` must be made of whole files. Received: dataset={name!r}, whose files can't "
            f"be read: {reason.removesuffix(':')}{advice}"
        ) from error
    return builder


def _is_whole_tar(path):
    try:
        with tarfile.open(path) as archive:
            return sum(1 for _ in archive) > 0
    except (tarfile.TarError, OSError, EOFError):
        return False


def _from_npz(selection):
    splits = ("x_train", "x_test")
    selection.check_hold_out(splits[1])
    data = read_npz(selection.name)
    selection.check_names(data.class_names)
    return ImageSource(
        class_names=data.class_names,
        train=tf.data.Dataset.from_tensor_slices((data.x_train, data.y_train)),
        validation=tf.data.Dataset.from_tensor_slices((data.x_test, data.y_test)),
        train_count=len(data.x_train),
        validation_count=len(data.x_test),
        decode=_three_colors,
        fingerprint=data.fingerprint,
        splits=splits,
    )


def _three_colors(image):
    """Returns `(height, width[, 1 or 3])` as `(height, width, 3)`."""
    image = image[..., None] if image.shape.rank == 2 else image
    return tf.broadcast_to(image, tf.concat([tf.shape(image)[:2], [3]], 0))


def _from_folder(selection):
    folder = read_folder(selection)
    return ImageSource(
        class_names=folder.class_names,
        train=_mixed_files(folder.train),
        validation=_mixed_files(folder.validation),
        train_count=len(folder.train),
        validation_count=len(folder.validation),
        decode=_decode_file,
        fingerprint=folder.fingerprint,
        content=folder.content,
        splits=folder.splits,
        skipped=folder.skipped,
        read=tf.io.read_file,
    )


def _mixed_files(files):
    """Returns a `tf.data.Dataset` of `(path, label)` in the fixed order that mixes the classes."""
    files = [files[i] for i in fixed_permutation(len(files))]
    paths, labels = zip(*files, strict=True)
    encoded = [os.fsencode(path) for path in paths]
    return tf.data.Dataset.from_tensor_slices((encoded, np.array(labels, "int32")))


def _decode_file(path):
    return decode_image(tf.io.read_file(path))
