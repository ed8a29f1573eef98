"""Some classes of an image source, and the first training images of each."""

import dataclasses
import hashlib

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from alexnet_keras.data.options import ImageSelection


def select_classes(source, selection: ImageSelection):
    """Returns an `ImageSource` of the classes and training images that are asked for.

    Args:
        source: an `ImageSource`.
        selection: an `ImageSelection` with `class_subset` or `max_images_per_class`.

    Raises:
        ValueError: for classes or numbers of images that the source does not have.
    """
    numbers = selection.class_numbers(len(source.class_names))
    names = tuple(source.class_names[number] for number in numbers)
    new_labels = np.full(len(source.class_names), -1, "int32")
    new_labels[list(numbers)] = np.arange(len(numbers))
    train = _keep_classes(source.train, new_labels)
    train_counts = _count(train, len(names))
    limit = selection.max_images_per_class
    if limit is not None:
        _check_enough(limit, train_counts, names, selection.name)
        train = _keep_first(train, limit, len(names))
        train_counts = np.full(len(names), limit)
    validation = _keep_classes(source.validation, new_labels)
    train_count = int(train_counts.sum())
    validation_count = int(_count(validation, len(names)).sum())
    if not validation_count:
        raise ValueError(
            "`class_subset` must have validation images. Received: "
            f"class_subset={selection.class_subset}, of which {selection.name!r} has none"
        )
    text = f"{source.fingerprint}{numbers}{limit}"
    return dataclasses.replace(
        source,
        class_names=names,
        # Keras takes a data set of unknown length for one that was cut off.
        train=train.apply(tf.data.experimental.assert_cardinality(train_count)),
        validation=validation.apply(tf.data.experimental.assert_cardinality(validation_count)),
        train_count=train_count,
        validation_count=validation_count,
        fingerprint=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
        read_part=None,
    )


def _check_enough(limit, counts, names, dataset):
    """Refuses a number of training images that a class does not have."""
    fewest = counts.argmin()
    if counts[fewest] < limit:
        raise ValueError(
            "`max_images_per_class` must be at most the training images of each class, "
            f"{counts[fewest]} of {names[fewest]!r} in {dataset!r}. "
            f"Received: max_images_per_class={limit}"
        )


def _keep_classes(images, new_labels):
    """Returns the images whose new label is not negative, with this label."""
    relabeled = images.map(lambda image, label: (image, tf.gather(new_labels, label)))
    return relabeled.filter(lambda image, label: label >= 0)


def _keep_first(images, limit, classes):
    """Returns the first `limit` images of each class."""

    def count(counts, example):
        counts += tf.one_hot(example[1], classes, dtype=tf.int32)
        return counts, (*example, counts[example[1]] <= limit)

    counted = images.scan(tf.zeros(classes, tf.int32), count)
    kept = counted.filter(lambda image, label, is_kept: is_kept)
    return kept.map(lambda image, label, is_kept: (image, label))


def _count(images, classes):
    """Returns the number of images of each class; reads all images without decoding them."""
    labels = images.map(lambda image, label: label).batch(1024)
    with tqdm(desc="Counting", unit="image") as bar:
        counts = np.zeros(classes, int)
        for batch in labels.as_numpy_iterator():
            counts += np.bincount(batch, minlength=classes)
            bar.update(len(batch))
    return counts
