"""Guided backpropagation."""

import functools
from typing import Any

import keras
from keras import ops

from alexnet_keras.classifier import Classifier
from alexnet_keras.explain.explanation import (
    Explanation,
    Method,
    check_classifier,
    explained_images,
)
from alexnet_keras.explain.network import is_relu, pixel_gradients, score_model
from alexnet_keras.models.inspection import with_activation
from alexnet_keras.ops.dispatch import all_layers


def guided_backpropagation(
    classifier: Classifier, images: Any, class_name: str | None = None, *, batch_size: int = 32
) -> list[Explanation]:
    """Computes the gradient of a class's score with only its positive paths through ReLUs.

    A ReLU passes the gradient back where its input is positive, as usual, and where the gradient is
    positive, too. So the pixels remain that raise the score, and the image is sharper than the
    gradient's. It depends little on the class; `grad_cam` tells classes apart.

    Args:
        classifier: a `Classifier` whose network has ReLUs.
        images: as for `Classifier.predict`.
        class_name: the class to explain; `None` for the most probable class of each image.
        batch_size: images that pass through the network at a time.

    Returns:
        A list of `Explanation`. Their maps are `(size, size, 3)`, RGB, in scores a gray level.

    Raises:
        ValueError: for a network without ReLUs, a class that is not the classifier's, a path
            without images, or if no image can be read.

    Reference: section 3.4 of Springenberg et al., "Striving for Simplicity" (2014).
    """
    method = guided_backpropagation_method(classifier)
    return list(explained_images(classifier, images, class_name, batch_size, method))


def guided_backpropagation_method(classifier: Classifier) -> Method:
    """Returns the method of `guided_backpropagation`."""
    check_classifier(classifier)
    scores = score_model(classifier)
    guided = classifier.once(("guided",), functools.partial(_guided, scores))
    maps = functools.partial(_maps, classifier.preparation, guided)
    return Method("guided_backpropagation", maps)


def _maps(preparation, scores, batch):
    return pixel_gradients(preparation, scores, batch.images, batch.labels)


@ops.custom_gradient
def guided_relu(x):
    """A ReLU whose gradient passes back only where its input and the gradient are positive."""

    def gradient(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        passes = ops.logical_and(x > 0, upstream > 0)
        return ops.where(passes, upstream, ops.zeros_like(upstream))

    return ops.relu(x), gradient


def _guided(scores):
    """Returns the model of the classes' scores with guided ReLUs."""
    layers = list(all_layers(scores))
    if not any(is_relu(layer) for layer in layers):
        found = {layer.activation.__name__ for layer in layers if _has_activation(layer)}
        raise ValueError(
            "`classifier` must have a network with ReLUs. "
            f"Received: a network with {', '.join(sorted(found)) or 'no activation'}. Use saliency"
        )
    # Recursive, as the network may have an inner model, such as one without its top.
    return keras.models.clone_model(scores, clone_function=_with_guided_relu, recursive=True)


def _has_activation(layer):
    return getattr(layer, "activation", keras.activations.linear) is not keras.activations.linear


def _with_guided_relu(layer):
    """Returns a layer itself, or one that computes it with a guided ReLU."""
    if not is_relu(layer):
        return layer
    if isinstance(layer, (keras.layers.ReLU, keras.layers.Activation)):
        return keras.layers.Activation(guided_relu, name=layer.name, dtype=layer.dtype_policy)
    return with_activation(layer, guided_relu, layer.name)
