"""Saliency maps."""

import functools
from typing import Any

import numpy as np

from alexnet_keras.classifier import Classifier
from alexnet_keras.explain.explanation import (
    Explanation,
    Method,
    check_classifier,
    explained_images,
)
from alexnet_keras.explain.network import pixel_gradients, score_model


def saliency(
    classifier: Classifier, images: Any, class_name: str | None = None, *, batch_size: int = 32
) -> list[Explanation]:
    """Computes the gradient of a class's score with respect to the pixels.

    `map[y, x] = max_c |dS / dI[y, x, c]|`, with the score `S` of the class before the softmax, and
    the color `c` of the pixel. It says how much the score changes if the pixel does.

    Args:
        classifier: a `Classifier`.
        images: as for `Classifier.predict`.
        class_name: the class to explain; `None` for the most probable class of each image.
        batch_size: images that pass through the network at a time.

    Returns:
        A list of `Explanation`. Their maps are at least 0, in scores a gray level.

    Raises:
        ValueError: for a class that is not the classifier's, a path without images, or if no image
            can be read.

    Example:

    >>> (explanation,) = saliency(classifier, "photo.jpg")  # doctest: +SKIP
    >>> explanation.class_name, explanation.map.shape  # doctest: +SKIP
    ('yellow ring', (56, 56))

    Reference: section 3 of Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks"
    (2013).
    """
    method = saliency_method(classifier)
    return list(explained_images(classifier, images, class_name, batch_size, method))


def saliency_method(classifier: Classifier) -> Method:
    """Returns the method of `saliency`."""
    check_classifier(classifier)
    scores = score_model(classifier)
    return Method("saliency", functools.partial(_maps, classifier.preparation, scores))


def _maps(preparation, scores, batch):
    gradients = pixel_gradients(preparation, scores, batch.images, batch.labels)
    return np.abs(gradients).max(-1)
