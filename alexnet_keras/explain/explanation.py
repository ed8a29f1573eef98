"""Explanations of images: what all methods share."""

import dataclasses
import difflib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from alexnet_keras.checks import check_whole_number
from alexnet_keras.classifier import Classifier
from alexnet_keras.compiled import CompiledModel
from alexnet_keras.data.info import center
from alexnet_keras.data.photographs import (
    Photograph,
    list_photographs,
    prepared_batches,
    progress,
    unreadable_error,
)

_LISTED = 20  # classes in a message at most


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The explanation of one image.

    Args:
        source: path of the image, or its number such as `"image 0"`.
        image: the crop that the network sees, uint8 `(size, size, 3)`, RGB.
        class_name: name of the explained class.
        probability: probability of this class, from 0 to 1.
        method: name of the function that made the explanation, such as `"grad_cam"`.
        map: float32 `(size, size)`, or `(size, size, 3)` for guided backpropagation. Each value
            belongs to the pixel of `image` at its place; the method says in which unit.
        layer: name of the layer whose maps `grad_cam` weights; `None` for other methods.
    """

    source: str
    image: np.ndarray
    class_name: str
    probability: float
    method: str
    map: np.ndarray
    layer: str | None = None


@dataclasses.dataclass(frozen=True)
class Batch:
    """Images of a batch, with the classes to explain.

    Args:
        images: prepared images, uint8 `(batch, image_size, image_size, 3)`.
        labels: the class for each image, `(batch,)`.
        probabilities: its probability for each image, `(batch,)`.
        run: compiled function from prepared images to the probabilities of all classes.
        bar: progress bar, for methods that take several steps for an image.
    """

    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    run: CompiledModel
    bar: tqdm


@dataclasses.dataclass(frozen=True)
class Method:
    """A method for one classifier.

    Args:
        name: name of the function that uses it, such as `"grad_cam"`.
        maps: function from a `Batch` to an array with a map for each image.
        layer: name of the method's layer, if it has one.
        steps: steps of `maps` for each image, for the progress bar.
    """

    name: str
    maps: Callable[[Batch], np.ndarray]
    layer: str | None = None
    steps: int = 1


def explained_images(
    classifier: Classifier,
    images: Any,
    class_name: str | None,
    batch_size: int,
    method: Method,
) -> Iterator[Explanation]:
    """Explains images batch by batch.

    Args:
        classifier: a `Classifier`.
        images: as for `Classifier.predict`.
        class_name: the class to explain; `None` for the most probable class of each image.
        batch_size: images that pass through the network at a time.
        method: how they are explained.

    Returns:
        An iterator of `Explanation`, one for each image that can be read, in order. A line on
        stderr names each other image.

    Raises:
        ValueError: for a class that is not the classifier's, or a path without images. If no image
            can be read, it is raised after the last one.
    """
    label = None if class_name is None else label_of(classifier, class_name)
    check_whole_number("batch_size", batch_size)
    photographs = list_photographs(images)
    run = classifier.once(
        ("center", batch_size), lambda: CompiledModel(classifier.model, batch_size)
    )
    return _explanations(classifier, photographs, label, run, batch_size, method)


def _explanations(classifier, photographs, label, run, batch_size, method):
    """Yields the explanations of all photographs."""
    unit = "image" if method.steps == 1 else "step"
    with progress(method.steps * len(photographs), "Explaining", unit) as bar:
        batches = readable_batches(classifier, photographs, batch_size, bar, method.steps)
        for readable in batches:
            batch = _batch(readable.images, label, run, bar)
            yield from _explained(classifier, readable, batch, method.maps(batch), method)


@dataclasses.dataclass(frozen=True)
class ReadableBatch:
    """The images of a batch that can be read.

    Args:
        sources: path of each image, or its number such as `"image 0"`.
        images: prepared images, uint8 `(batch, image_size, image_size, 3)`.
        crops: the crops that the network sees, uint8 `(batch, crop_size, crop_size, 3)`, RGB.
    """

    sources: list[str]
    images: np.ndarray
    crops: np.ndarray


def readable_batches(
    classifier: Classifier,
    photographs: list[Photograph],
    batch_size: int,
    bar: tqdm,
    steps: int = 1,
) -> Iterator[ReadableBatch]:
    """Reads and scales images batch by batch, and names those that can't be read on stderr.

    Args:
        classifier: a `Classifier`.
        photographs: list of `Photograph`.
        batch_size: number of images in a batch.
        bar: progress bar, which is brought to the end of each batch that was used.
        steps: steps of the bar for each image.

    Raises:
        ValueError: after the last batch, if no image could be read.
    """
    errors = []
    silent = tqdm(disable=True)  # `bar` has other steps, and moves after the work on a batch
    for prepared in prepared_batches(photographs, classifier.image_size, batch_size, silent):
        prepared.print_errors()
        errors += prepared.errors
        if len(prepared.images):
            pairs = zip(prepared.photographs, prepared.errors, strict=True)
            sources = [photograph.source for photograph, error in pairs if error is None]
            crops = center(prepared.images, classifier.preparation.crop_size)
            yield ReadableBatch(sources, prepared.images, crops)
        bar.update(steps * len(errors) - bar.n)
    if None not in errors:
        raise unreadable_error(photographs, errors)


def _batch(images, label, run, bar):
    probabilities = run(images)
    labels = probabilities.argmax(-1) if label is None else np.full(len(images), label)
    return Batch(images, labels, probabilities[np.arange(len(images)), labels], run, bar)


def _explained(classifier, readable, batch, maps, method):
    """Yields the explanations of a batch."""
    for index, source in enumerate(readable.sources):
        yield Explanation(
            source,
            readable.crops[index],
            classifier.class_names[batch.labels[index]],
            float(batch.probabilities[index]),
            method.name,
            np.asarray(maps[index], "float32"),
            method.layer,
        )


def label_of(classifier: Classifier, class_name: Any, argument: str = "class_name") -> int:
    """Returns the label of a class.

    Args:
        classifier: a `Classifier`.
        class_name: name of the class.
        argument: name of the argument in the message.

    Raises:
        ValueError: if the classifier has no class, or several classes, of this name.
    """
    names = classifier.class_names
    if names.count(class_name) == 1:
        return names.index(class_name)
    if class_name in names:
        raise ValueError(
            f"`{argument}` must be the name of one class. "
            f"Received: {argument}={class_name!r}, the name of {names.count(class_name)} classes"
        )
    shown = names
    if len(names) > _LISTED:
        shown = difflib.get_close_matches(str(class_name), names) or names[:3]
    more = "" if shown is names else f" ({len(names):,} in all)"
    raise ValueError(
        f"`{argument}` must be a class of the classifier, such as {', '.join(shown)}{more}. "
        f"Received: {argument}={class_name!r}"
    )


def check_classifier(classifier: Classifier) -> None:
    """Raises a `ValueError` for anything but a `Classifier`."""
    if not isinstance(classifier, Classifier):
        raise ValueError(
            "`classifier` must be a Classifier, which has class names and the preparation of its "
            f"images. Received: {type(classifier).__name__}. Make one by Classifier.from_network"
        )
