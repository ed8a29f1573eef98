"""Classifier of photographs: a network with its preparation and class names in one file."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from alexnet_keras.checks import check_whole_number
from alexnet_keras.compiled import CompiledModel
from alexnet_keras.data.info import center
from alexnet_keras.data.photographs import (
    list_photographs,
    prepared_batches,
    progress,
    unreadable_error,
)
from alexnet_keras.evaluation.probabilities import ends_in_logits, most_probable_labels
from alexnet_keras.evaluation.views import TEST_VIEWS, check_test_views, dense_model, views_model
from alexnet_keras.features import FeatureExtractor
from alexnet_keras.files import check_suffix, check_writable, expand_home, replacing
from alexnet_keras.layers.preparation import Preparation
from alexnet_keras.models import AlexNet
from alexnet_keras.models.saved import check_has_no_preparation, load_whole_model, preparation_of
from alexnet_keras.pretrained import available, preparation

FILE_NAME = "classifier.keras"  # beside best.keras in the folder of a training


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image.

    Args:
        source: path of the image, or its number such as `"image 0"`.
        names: class names, the most probable first; empty for an image that can't be read.
        probabilities: float32 `(len(names),)`, the probability of each name.
        error: reason why the image can't be read; `None` for a classified image.
    """

    source: str
    names: tuple = ()
    probabilities: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, "float32"))
    error: str | None = None


class Classifier:
    """A network, the preparation of its images, and its class names.

    The three are one Keras model, `classifier.model`, from prepared RGB images `(batch, image_size,
    image_size, 3)`, 0-255, to probabilities `(batch, classes)`. Keras loads its file once
    `alexnet_keras` is imported, and exports it like any other model.

    Pillow and NumPy decode and scale files, without TensorFlow, to the pixels of
    `alexnet_keras.data.Dataset`. TensorFlow rounds JPEG files differently, so their pixels may
    differ by a few gray levels.

    Args:
        model: `keras.Model` that `from_network` or `load` has made.

    Attributes:
        model: whole model.
        network: `keras.Model` from crops less the mean to probabilities or logits.
        preparation: the `alexnet_keras.layers.Preparation` layer.

    Example:

    >>> classifier = Classifier.load("runs/shapes")  # doctest: +SKIP
    >>> (prediction,) = classifier.predict("photo.jpg")  # doctest: +SKIP
    >>> prediction.names[0], prediction.probabilities[0]  # doctest: +SKIP
    ('yellow ring', 0.97)
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self.preparation, self.network = _parts(model)
        self._functions = {}

    @classmethod
    def load(cls, path: str | os.PathLike, argument: str = "path") -> "Classifier":
        """Loads a classifier.

        Args:
            path: a `.keras` file, or the folder of a training with its `classifier.keras`.
            argument: name of the argument in the message.

        Raises:
            ValueError: if the file is missing or is not a classifier.
        """
        model = load_whole_model(classifier_file(path), argument)
        if preparation_of(model) is None:
            raise ValueError(
                f"`{argument}` must be a classifier, such as classifier.keras in the folder of a "
                f"training. Received: {argument}={str(path)!r}, a network without preparation and "
                "class names; add both by Classifier.from_network"
            )
        return cls(model)

    @classmethod
    def pretrained(cls, name: str, argument: str = "name") -> "Classifier":
        """Returns a classifier with weights that come with the package or are downloaded once.

        Args:
            name: one of `alexnet_keras.pretrained.available()`.
            argument: name of the argument in the message.

        Raises:
            ValueError: for an unknown name, weights without classes, or a file that is damaged or
                can't be downloaded. The message names the file and its place.

        Example:

        >>> Classifier.pretrained("imagenet").predict("photo.jpg")  # doctest: +SKIP
        """
        mean, class_names = preparation(name, argument)
        image_size = available()[name].image_size
        return cls.from_network(AlexNet(weights=name), mean, class_names, image_size=image_size)

    @classmethod
    def from_network(
        cls,
        model: keras.Model,
        mean: np.ndarray | Sequence[float],
        class_names: Iterable[str],
        *,
        image_size: int | None = None,
        color_order: str = "RGB",
    ) -> "Classifier":
        """Returns a classifier with a network.

        Args:
            model: network from `(batch, size, size, 3)`, 0-255 less the mean, to probabilities or
                logits `(batch, classes)`.
            mean: mean to subtract, RGB 0-255: a mean image `(image_size, image_size, 3)`, or a mean
                color `(3,)`.
            class_names: a name for each label.
            image_size: length to which the shorter side of a photograph is scaled, in pixels;
                `None` for the side of the mean image. The network sees the center of `size` pixels.
            color_order: order of the network's color channels, `"RGB"` or `"BGR"`.

        Raises:
            ValueError: for a model of other inputs or outputs, or a mean, names or a size that do
                not fit it.
        """
        size, classes = _sizes_of(model)
        logits = ends_in_logits(model)
        names = _checked_names(class_names, classes)
        mean = np.asarray(mean, "float32")
        if image_size is None:
            if mean.ndim != 3:
                raise ValueError(
                    "`image_size` must be given with a mean color: the shorter side of the scaled "
                    f"photographs, from {size} pixels on. Received: image_size=None"
                )
            image_size = int(mean.shape[0])
        preparation = Preparation(
            image_size, size, mean, color_order=color_order, class_names=names, name="preparation"
        )
        images = keras.Input((image_size, image_size, 3), name="images")
        # A compiled model's file would have the state of its optimizer, twice the size of the
        # weights. A model of `[outputs]` gives a list.
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
        outputs = model(preparation(images))
        if logits:
            outputs = keras.layers.Softmax(dtype="float32", name="probabilities")(outputs)
        return cls(keras.Model(images, outputs, name="classifier"))

    @property
    def class_names(self) -> tuple:
        """A name for each label."""
        return self.preparation.class_names

    @property
    def image_size(self) -> int:
        """Side of the prepared images, in pixels."""
        return self.preparation.image_size

    def save(self, path: str | os.PathLike) -> None:
        """Saves the classifier atomically.

        Args:
            path: path of a `.keras` file; an existing file is replaced.

        Raises:
            ValueError: for another ending, or a folder that can't be written.
            OSError: if it can't be written; the previous file stays.
        """
        path = expand_home(path)
        check_suffix(path, ".keras")
        check_writable(path.parent, "path", "a file in a folder")
        with replacing(path) as partial:
            self.model.save(partial)

    def predict(
        self,
        images: Any,
        top: int | None = None,
        test_views: str = "center",
        *,
        batch_size: int = 32,
    ) -> list[Prediction]:
        """Classifies images.

        Args:
            images: a path, an array `(height, width, 3)` of RGB values 0-255, a Pillow image, or a
                list of these. A path is a file, a folder, whose images are found at any depth, or
                a glob such as `"photos/*.jpg"`. An array may also be `(count, height, width, 3)`.
            top: number of classes for each image; `None` for 5, or for all of fewer.
            test_views: `"center"` for the center crop; `"ten_crop"` for the mean over corners,
                center and their mirror images; `"nine_crop"` for three rows of three crops;
                `"dense"` for all positions of the image and its mirror image.
            batch_size: crops that pass through the network at a time.

        Returns:
            A list of `Prediction`, one for each image in order. An image that can't be read has its
            `error`, and a line on stderr names it.

        Raises:
            ValueError: for more `top` than classes, unknown views or views that the network can't
                see, a `batch_size` below 1, arrays of another shape or range, a path without
                images, or if no image can be read.
        """
        return list(self.predict_each(images, top, test_views, batch_size=batch_size))

    def predict_each(
        self,
        images: Any,
        top: int | None = None,
        test_views: str = "center",
        *,
        batch_size: int = 32,
    ) -> Iterator[Prediction]:
        """Classifies images one batch after the other.

        This is for many images: each `Prediction` is there as soon as its batch is classified, and
        none is kept in memory.

        Args:
            images: as for `predict`.
            top: as for `predict`.
            test_views: as for `predict`.
            batch_size: as for `predict`.

        Returns:
            An iterator of `Prediction`, one for each image in order, as in the list of `predict`.

        Raises:
            ValueError: as `predict`. If no image can be read, it is raised after the last one.

        Example:

        >>> for prediction in classifier.predict_each("photos"):  # doctest: +SKIP
        ...     print(prediction.source, *prediction.names[:1])
        """
        top = self._checked_top(top)
        check_test_views(test_views)
        check_whole_number("batch_size", batch_size)
        photographs = list_photographs(images)
        full = max(1, batch_size // TEST_VIEWS[test_views])
        return self._predictions(photographs, top, self._compiled(test_views, full), full)

    def _predictions(self, photographs, top, run, full):
        """Yields a `Prediction` for each photograph; `run` takes batches of `full` images."""
        errors = []
        with progress(len(photographs), "Classifying") as bar:
            for batch in prepared_batches(photographs, self.image_size, full, bar):
                batch.print_errors()
                errors += batch.errors
                probabilities = run(batch.images) if len(batch.images) else ()
                most_probable = iter(self._most_probable(probabilities, top))
                for photograph, error in zip(batch.photographs, batch.errors, strict=True):
                    classes = next(most_probable) if error is None else ()
                    yield Prediction(photograph.source, *classes, error=error)
        if None not in errors:
            raise unreadable_error(photographs, errors)

    def features(
        self,
        images: Any,
        layers: str | Iterable[str],
        *,
        before_activation: bool = False,
        batch_size: int = 32,
    ) -> dict:
        """Computes the activations of layers for the center crops of images.

        A convolution or dense layer gives its values after its activation. The activation may be a
        separate layer, such as relu5 for conv5. Other layers give their output.

        Args:
            images: as for `predict`.
            layers: names of layers of `network`, such as `["conv5", "pool5", "fc6"]`.
            before_activation: whether convolutions and dense layers give their values before the
                activation. For a ReLU, `max(before, 0)` is `after` to the bit.
            batch_size: images that pass through the network at a time.

        Returns:
            dict of arrays: for each layer, float32 `(images, ...)`; `files`, the sources of the
            rows; `skipped` and `reasons`, the images that can't be read.

        Raises:
            ValueError: for an unknown layer, or as `predict`.
        """
        photographs = list_photographs(images)
        extractor = self.feature_extractor(layers, before_activation, batch_size)
        with progress(len(photographs), "Features") as bar:
            arrays = extractor.read(photographs, bar)
        if not len(arrays["files"]):
            raise unreadable_error(photographs, list(arrays["reasons"]))
        return arrays

    def feature_extractor(
        self, layers: str | Iterable[str], before_activation: bool = False, batch_size: int = 32
    ) -> FeatureExtractor:
        """Returns the function that `features` calls; the same layers are compiled once."""
        check_whole_number("batch_size", batch_size)
        layers = (layers,) if isinstance(layers, str) else tuple(layers)
        key = (layers, before_activation, batch_size)
        return self.once(
            key, functools.partial(FeatureExtractor, self.preparation, self.network, *key)
        )

    def once(self, key: tuple, make: Callable) -> Any:
        """Returns what `make()` returns, which is called once for each key.

        Models that share layers with `network` stay in memory as long as it does.
        """
        if key not in self._functions:
            self._functions[key] = make()
        return self._functions[key]

    def prepare(self, images: Any, *, batch_size: int = 32) -> np.ndarray:
        """Reads and scales images for `model` and its exported files.

        Args:
            images: as for `predict`.
            batch_size: images that are read at a time.

        Returns:
            uint8 `(count, image_size, image_size, 3)`.

        Raises:
            ValueError: for an image that can't be read, or another `batch_size`.
        """
        check_whole_number("batch_size", batch_size)
        photographs = list_photographs(images)
        parts = []
        with progress(len(photographs), "Reading images") as bar:
            for batch in prepared_batches(photographs, self.image_size, batch_size, bar):
                for photograph, error in zip(batch.photographs, batch.errors, strict=True):
                    if error is not None:
                        raise ValueError(
                            f"`images` must be images. Received: {photograph.source}: {error}"
                        )
                parts.append(batch.images)
        return np.concatenate(parts)

    def _checked_top(self, top):
        classes = len(self.class_names)
        if top is None:
            return min(5, classes)
        return check_whole_number("top", top, 1, classes, "the number of classes")

    def _most_probable(self, probabilities, top):
        """Returns names and probabilities of the most probable classes of each image."""
        if not len(probabilities):
            return []
        probabilities = np.asarray(probabilities, "float32")
        if not np.isfinite(probabilities).all():
            raise ValueError(
                "The network must predict probabilities. Received: NaN or infinity for some images"
            )
        best = most_probable_labels(probabilities, top)
        values = np.take_along_axis(probabilities, best, axis=-1)
        names = self.class_names
        return [
            (tuple(names[label] for label in labels), value)
            for labels, value in zip(best.tolist(), values, strict=True)
        ]

    def _compiled(self, test_views, full):
        """Returns the function from prepared images to probabilities, compiled once."""
        return self.once(
            (test_views, full), lambda: CompiledModel(self._views_model(test_views), full)
        )

    def _views_model(self, test_views):
        """Returns the model from prepared images to probabilities averaged over views."""
        if test_views == "center":
            return self.model
        size = self.image_size
        mean = self.preparation.mean_image
        swaps = self.preparation.color_order == "BGR"
        if swaps:
            mean = mean[..., ::-1]
        if test_views == "dense":
            inner = dense_model(self.network, size, mean)
        else:
            crop = center(mean, self.preparation.crop_size)
            inner = views_model(self.network, size, crop, test_views)
        if not swaps:
            return inner
        images = keras.Input((size, size, 3))
        return keras.Model(images, inner(ops.flip(images, axis=-1)))


def classifier_file(path: str | os.PathLike) -> Path:
    """Returns the path of a classifier: the given one, or of `classifier.keras` in a folder."""
    file = expand_home(path)
    return file / FILE_NAME if file.is_dir() else file


def _parts(model):
    """Returns the preparation and the network of a classifier."""
    preparation = preparation_of(model)
    networks = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if preparation is None or len(networks) != 1:
        raise ValueError(
            "`model` must be a Preparation followed by a network, as Classifier.from_network "
            f"makes it. Received: a model with {', '.join(layer.name for layer in model.layers)}"
        )
    classes = model.output_shape[-1]
    if len(preparation.class_names) != classes:
        raise ValueError(
            f"`model` must have {classes} class names in its Preparation. "
            f"Received: {len(preparation.class_names)}. Add them by Classifier.from_network"
        )
    return preparation, networks[0]


def _sizes_of(model):
    """Returns the side of the crops and the number of classes of a network."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: model={model!r}")
    shapes = (getattr(model, "input_shape", None), getattr(model, "output_shape", None))
    check_has_no_preparation(model)
    match shapes:
        case (None, int(height), int(width), 3), (None, int(classes)) if height == width:
            return height, classes
    raise ValueError(
        "`model` must take square RGB images and give a probability for each class. "
        f"Received: a model of input {shapes[0]} and output {shapes[1]}"
    )


def _checked_names(class_names, classes):
    names = (
        () if class_names is None or isinstance(class_names, str) else tuple(map(str, class_names))
    )
    if len(names) != classes:
        raise ValueError(
            f"`class_names` must have a name for each of the {classes} classes of the model. "
            f"Received: {len(names)} names"
        )
    return names
