"""Where images come from: TFDS by name, a folder of class folders, or an `.npz` of arrays."""

import dataclasses
import hashlib
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from alexnet_keras.data.arrays import ARRAYS, fixed_permutation, read_arrays
from alexnet_keras.data.decoding import decode_image
from alexnet_keras.data.folders import fingerprint_of, read_folder
from alexnet_keras.extras import extra

IMAGENET_FILES = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")


@dataclasses.dataclass(frozen=True)
class Source:
    """Images as they are stored, and how to decode them.

    Args:
        class_names: a name for each label.
        train: `tf.data.Dataset` of `(stored image, label)`, in a fixed order that mixes the classes.
        validation: the same of the images to measure errors on.
        train_count: number of training images.
        validation_count: number of validation images.
        decode: from a stored image to a uint8 tensor `(height, width, 3)`.
        fingerprint: changes whenever the training images might have changed.
        content: digest of which files a class has, which stays the same when they are moved; `None` where
            class names tell as much.
        splits: what the two sets are called there.
        has_validation: whether the set has validation images of its own.
        skipped: corrupt files that were left out.
        read: from a stored image to what its file holds; `None` where images are stored as arrays.
        read_part: from `"train"` or `"validation"`, a number and how many parts there are to that part of the images;
            `None` where picking them out of all costs nothing.
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
    has_validation: bool = True
    skipped: tuple = ()
    read: Callable | None = None
    read_part: Callable | None = None

    def part(self, split, number, parts):
        """One of the `parts` that `"train"` or `"validation"` is dealt into, in numbers that differ by one at most."""
        if parts == 1:
            return getattr(self, split)
        if self.read_part:
            return self.read_part(split, number, parts)
        return getattr(self, split).shard(parts, number)


def open_image_source(
    name,
    skip_corrupt=False,
    cache_dir=None,
    hold_out_every=10,
    class_subset=(),
    max_images_per_class=None,
):
    """Opens the data set `name` without reading its images (a folder's files are decoded once, to find corrupt ones).

    Args:
        name: a TFDS name such as `"cifar10"`, a folder, or the path of an `.npz` file.
        skip_corrupt: leave out corrupt files of a folder instead of stopping.
        cache_dir: where the list of a folder's corrupt files is remembered.
        hold_out_every, class_subset, max_images_per_class: as for `alexnet_keras.data.load`.

    Raises:
        ValueError: for an unknown name, a set that is not image classification, a folder that is not laid out as class
            folders, corrupt files, or a part of the set that it does not have.
        FileNotFoundError: for data that must be downloaded by hand and is not there.
    """
    if not isinstance(hold_out_every, int) or hold_out_every < 2:
        raise ValueError(
            f"`hold_out_every` must be a whole number from 2. Received: hold_out_every={hold_out_every!r}"
        )
    path = Path(name).expanduser()
    if path.is_dir():
        source = _from_folder(name, path, skip_corrupt, cache_dir, hold_out_every)
    elif path.suffix == ".npz":
        source = _from_npz(name)
    else:
        _check_not_path(name, path)
        source = _from_tfds(name, hold_out_every)
    if hold_out_every != 10 and source.has_validation:
        raise ValueError(
            f"`hold_out_every` goes with a data set without validation images of its own. Received: hold_out_every={hold_out_every}, "
            f"dataset={name!r}, which has {source.splits[1]}"
        )
    if class_subset or max_images_per_class is not None:
        source = _selected(source, name, tuple(class_subset), max_images_per_class)
    return source


def _selected(source, name, class_subset, max_images_per_class):
    """Some classes of a source, and the first images of each for training."""
    classes = len(source.class_names)
    numbers = class_subset or tuple(range(classes))
    known = all(isinstance(n, int) and 0 <= n < classes for n in numbers)
    if not known or len(set(numbers)) < max(len(numbers), 2):
        raise ValueError(
            f"`class_subset` must be different numbers from 0 to {classes - 1}, at least two. "
            f"Received: class_subset={class_subset}"
        )
    if max_images_per_class is not None and (
        not isinstance(max_images_per_class, int) or max_images_per_class < 1
    ):
        raise ValueError(
            f"`max_images_per_class` must be a positive whole number. Received: max_images_per_class={max_images_per_class!r}"
        )
    new_labels = np.full(classes, -1, "int32")
    new_labels[list(numbers)] = np.arange(len(numbers))

    def of_classes(images):
        renamed = images.map(lambda image, label: (image, tf.gather(new_labels, label)))
        return renamed.filter(lambda image, label: label >= 0)

    def first_of_each(images):
        def number(counts, example):
            counts += tf.one_hot(example[1], len(numbers), dtype=tf.int32)
            return counts, (*example, counts[example[1]] <= max_images_per_class)

        numbered = images.scan(tf.zeros(len(numbers), tf.int32), number)
        return numbered.filter(lambda image, label, taken: taken).map(
            lambda image, label, taken: (image, label)
        )

    train, validation = of_classes(source.train), of_classes(source.validation)
    counts = _count(train, len(numbers)), _count(validation, len(numbers))
    if max_images_per_class is not None:
        if counts[0].min() < max_images_per_class:
            fewest = counts[0].argmin()
            raise ValueError(
                f"`max_images_per_class` must be at most the training images of each class, {counts[0][fewest]} of "
                f"{source.class_names[numbers[fewest]]!r} in {name!r}. Received: max_images_per_class={max_images_per_class}"
            )
        train, counts = (
            first_of_each(train),
            (np.full(len(numbers), max_images_per_class), counts[1]),
        )
    if not counts[1].sum():
        raise ValueError(
            f"`class_subset` must have validation images. Received: class_subset={class_subset}, of which {name!r} has "
            "none"
        )
    what = f"{source.fingerprint}{numbers}{max_images_per_class}"
    totals = [int(of_each.sum()) for of_each in counts]
    return dataclasses.replace(
        source,
        class_names=tuple(source.class_names[number] for number in numbers),
        # Keras takes data of unknown length that end for cut off.
        train=train.apply(tf.data.experimental.assert_cardinality(totals[0])),
        validation=validation.apply(tf.data.experimental.assert_cardinality(totals[1])),
        train_count=totals[0],
        validation_count=totals[1],
        fingerprint=hashlib.blake2b(what.encode(), digest_size=16).hexdigest(),
        read_part=None,
    )


def _count(images, classes):
    """How many images there are of each class; reads them all, but decodes none."""
    labels = images.map(lambda image, label: label).batch(1024)
    with tqdm(desc="Counting", unit="image") as bar:
        counts = np.zeros(classes, int)
        for batch in labels.as_numpy_iterator():
            counts += np.bincount(batch, minlength=classes)
            bar.update(len(batch))
    return counts


_EXPECTED = (
    "`dataset` must be the TFDS name of an image classification set (such as shapes, cifar10, imagenette/320px-v2, "
    f"imagenet2012), a folder with train/CLASS/ and val/CLASS/ folders, or an .npz file with {', '.join(ARRAYS)}."
)


def _check_not_path(name, path):
    """Refuses what is written as a path, before TFDS takes it for a name."""
    if path.exists():
        raise ValueError(f"{_EXPECTED} Received: dataset={str(name)!r}, a file of another kind")
    text = str(name)
    if (
        isinstance(name, Path)
        or text.startswith((".", "~", os.sep))
        or text.endswith(os.sep)
        or "\\" in text
    ):
        raise ValueError(
            f"{_EXPECTED} Received: dataset={text!r}, where nothing is (from {Path.cwd()})"
        )


def _from_tfds(name, hold_out_every):
    with extra("reading TFDS data sets"):
        import tensorflow_datasets as tfds

        from alexnet_keras.data import shapes, tiny_imagenet  # noqa: F401  registers the builders

    try:
        builder = tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, ValueError, RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        if isinstance(error, tfds.core.DatasetNotFoundError) or reason.startswith(
            "Parsing builder name"
        ):
            reason = "neither an existing file or folder nor the name of a TFDS set"
        raise ValueError(f"{_EXPECTED} Received: dataset={name!r}: {reason}") from error
    keys = builder.info.supervised_keys
    features = builder.info.features
    image, label = (features[key] for key in keys[:2]) if keys else (None, None)
    if not isinstance(image, tfds.features.Image) or not isinstance(
        label, tfds.features.ClassLabel
    ):
        raise ValueError(
            f"`dataset` must be an image classification set. Received: dataset={name!r}, whose features are {features}"
        )
    if not builder.is_prepared():
        _check_manual_files(builder, name)
        _prepare(builder, name)
    decoders = {keys[0]: tfds.decode.SkipDecoding()}
    available = builder.info.splits
    if "train" not in available:
        raise ValueError(
            f"`dataset` must have a split train. Received: dataset={name!r} with {', '.join(available) or 'no splits'}"
        )
    validation = next((split for split in ("validation", "test") if split in available), None)
    first = available["train"].num_examples - available["train"].num_examples // hold_out_every
    splits = ("train", validation) if validation else (f"train[:{first}]", f"train[{first}:]")
    counts = [available[split].num_examples for split in splits]
    if not all(counts):
        raise ValueError(
            f"`dataset` must have training and validation images. Received: dataset={name!r} with "
            f"{counts[0]} in {splits[0]} and {counts[1]} in {splits[1]}"
        )

    def read(split):
        stored = builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
        return stored.map(lambda example: (example[keys[0]], tf.cast(example[keys[1]], tf.int32)))

    def read_part(split, number, parts):
        return read(tfds.even_splits(splits[split == "validation"], parts)[number])

    return Source(
        class_names=tuple(label.names),
        train=read(splits[0]),
        validation=read(splits[1]),
        train_count=counts[0],
        validation_count=counts[1],
        decode=decode_image,
        fingerprint=fingerprint_of(
            name if validation else f"{name}{splits}", sorted(Path(builder.data_dir).iterdir())
        ),
        splits=splits,
        has_validation=validation is not None,
        read=tf.identity,
        read_part=read_part,
    )


def _check_manual_files(builder, name):
    if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return
    folder, files = _manual_files(builder)
    missing = [file for file in files if not (folder / file).exists()]
    if missing or (not files and not folder.is_dir()):
        instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS.strip()
        what = " and ".join(files) or "the files named below"
        raise FileNotFoundError(
            f"`dataset` {name!r} must be downloaded by hand: put {what} into {folder}, then run the same command "
            f"again. Missing: {', '.join(missing) or folder}\n{instructions}"
        )


def _manual_files(builder):
    """The folder of what is downloaded by hand, and the files in it, where they are known."""
    root = Path(builder.data_dir).parents[builder.info.full_name.count("/")]
    return root / "downloads" / "manual", IMAGENET_FILES if builder.name == "imagenet2012" else ()


def _prepare(builder, name):
    """Downloads a set and writes it as TFDS stores it; damaged files are one error that names them."""
    try:
        builder.download_and_prepare()
    except OSError:  # of the disk or the network
        raise
    except Exception as error:  # TFDS passes on what the readers of all kinds of files raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        advice = ""
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            folder, files = _manual_files(builder)
            damaged = [str(folder / file) for file in files if not _is_whole_tar(folder / file)]
            advice = f". Download {' and '.join(damaged) or f'the files in {folder}'} again"
        raise ValueError(
            f"`dataset` must be made of whole files. Received: dataset={name!r}, whose files can't be read: "
            f"{reason.removesuffix(':')}{advice}"
        ) from error


def _is_whole_tar(path):
    try:
        with tarfile.open(path) as archive:
            return sum(1 for _ in archive) > 0
    except (tarfile.TarError, OSError, EOFError):
        return False


def _from_npz(name):
    arrays = read_arrays(name)

    def decode(image):
        image = image[..., None] if image.shape.rank == 2 else image
        return tf.broadcast_to(image, tf.concat([tf.shape(image)[:2], [3]], 0))

    return Source(
        class_names=arrays.class_names,
        train=tf.data.Dataset.from_tensor_slices((arrays.x_train, arrays.y_train)),
        validation=tf.data.Dataset.from_tensor_slices((arrays.x_test, arrays.y_test)),
        train_count=len(arrays.x_train),
        validation_count=len(arrays.x_test),
        decode=decode,
        fingerprint=arrays.fingerprint,
        splits=("x_train", "x_test"),
    )


def _from_folder(name, path, skip_corrupt, cache_dir, hold_out_every):
    folder = read_folder(name, path, skip_corrupt, cache_dir, hold_out_every)

    def dataset(files):
        files = [files[i] for i in fixed_permutation(len(files))]
        paths, labels = zip(*files, strict=True)
        return tf.data.Dataset.from_tensor_slices(
            ([os.fsencode(p) for p in paths], np.array(labels, "int32"))
        )

    return Source(
        class_names=folder.class_names,
        train=dataset(folder.train),
        validation=dataset(folder.validation),
        train_count=len(folder.train),
        validation_count=len(folder.validation),
        decode=lambda file: decode_image(tf.io.read_file(file)),
        fingerprint=folder.fingerprint,
        content=folder.content,
        splits=folder.splits,
        has_validation=folder.has_validation,
        skipped=folder.skipped,
        read=tf.io.read_file,
    )
