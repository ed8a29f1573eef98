"""Occlusion maps."""

import itertools
from typing import Any

import numpy as np

from alexnet_keras.checks import check_whole_number
from alexnet_keras.classifier import Classifier
from alexnet_keras.explain.explanation import (
    Explanation,
    Method,
    check_classifier,
    explained_images,
)


def occlusion(
    classifier: Classifier,
    images: Any,
    class_name: str | None = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    batch_size: int = 32,
) -> list[Explanation]:
    """Measures how the probability of a class falls when a square of the image is hidden.

    The square has the colors of the mean image, which are zeros for the network. It moves over the
    crop in steps of `stride`, and its last position ends at the border. A pixel gets the mean fall
    over the squares that hide it.

    Args:
        classifier: a `Classifier`.
        images: as for `Classifier.predict`.
        class_name: the class to explain; `None` for the most probable class of each image.
        size: side of the square, in pixels; `None` for a seventh of the crop's side.
        stride: distance between squares, in pixels, at most `size`; `None` for half of `size`.
        batch_size: images that pass through the network at a time.

    Returns:
        A list of `Explanation`. Their maps are from -1 to 1: the fall of the probability, which is
        positive where the pixels speak for the class.

    Raises:
        ValueError: for a size or stride out of range, a class that is not the classifier's, a path
            without images, or if no image can be read.

    Reference: section 4.2 of Zeiler and Fergus, "Visualizing and Understanding Convolutional
    Networks" (2013).
    """
    method = occlusion_method(classifier, size, stride)
    return list(explained_images(classifier, images, class_name, batch_size, method))


def occlusion_method(
    classifier: Classifier, size: int | None = None, stride: int | None = None
) -> Method:
    """Returns the method of `occlusion`."""
    check_classifier(classifier)
    crop = classifier.preparation.crop_size
    size = max(1, crop // 7) if size is None else size
    check_whole_number("size", size, 1, crop, "the side of the crop in pixels")
    stride = max(1, size // 2) if stride is None else stride
    check_whole_number("stride", stride, 1, size, "so that each pixel is hidden")
    firsts = [*range(0, crop - size, stride), crop - size]
    squares = _Squares(classifier, size, list(itertools.product(firsts, firsts)))
    return Method("occlusion", squares.maps, steps=len(squares.corners))


class _Squares:
    """The squares that hide parts of an image.

    Args:
        classifier: a `Classifier`.
        size: side of the squares, in pixels.
        corners: list of `(top, left)` of each square, in pixels of the crop.
    """

    def __init__(self, classifier, size, corners):
        preparation = classifier.preparation
        self.corners = corners
        self._size = size
        self._crop = preparation.crop_size
        self._edge = (preparation.image_size - preparation.crop_size) // 2
        self._mean = np.round(preparation.mean_image).astype("uint8")

    def maps(self, batch):
        """Returns the maps of a batch, float32 `(batch, crop, crop)`."""
        return np.stack([self._map(batch, index) for index in range(len(batch.images))])

    def _map(self, batch, index):
        total = np.zeros((self._crop, self._crop))
        count = np.zeros((self._crop, self._crop))
        for first in range(0, len(self.corners), batch.run.full):
            corners = self.corners[first : first + batch.run.full]
            probabilities = batch.run(self._hidden(batch.images[index], corners))
            falls = batch.probabilities[index] - probabilities[:, batch.labels[index]]
            for corner, fall in zip(corners, falls, strict=True):
                window = self._window(corner)
                total[window] += fall
                count[window] += 1
            batch.bar.update(len(corners))
        return (total / count).astype("float32")

    def _hidden(self, image, corners):
        """Returns the image once for each corner, with the square there hidden."""
        images = np.repeat(image[None], len(corners), axis=0)
        for each, corner in zip(images, corners, strict=True):
            window = self._window(corner, self._edge)
            each[window] = self._mean[window]
        return images

    def _window(self, corner, edge=0):
        top = edge + corner[0]
        left = edge + corner[1]
        return np.s_[top : top + self._size, left : left + self._size]
