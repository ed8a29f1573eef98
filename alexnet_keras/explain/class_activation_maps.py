"""Gradient-weighted class activation maps."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from alexnet_keras.classifier import Classifier
from alexnet_keras.explain.explanation import (
    Explanation,
    Method,
    check_classifier,
    explained_images,
)
from alexnet_keras.explain.gradients import gradient
from alexnet_keras.explain.network import (
    chosen_outputs,
    is_relu,
    logits_of,
    run_eagerly,
)
from alexnet_keras.explain.receptive_fields import ReceptiveField, receptive_field
from alexnet_keras.models.inspection import CONVOLUTIONS, activation_after, layer_of


def grad_cam(
    classifier: Classifier,
    images: Any,
    class_name: str | None = None,
    *,
    layer: str | None = None,
    batch_size: int = 32,
) -> list[Explanation]:
    """Shows where the maps of a layer speak for a class.

    `map = max(0, sum_k a[k] * A[k])`, with the maps `A[k]` of the layer. The weight `a[k]` is the
    mean over positions of the gradient of the class's score by `A[k]`. The score is taken before
    the softmax. Between the centers of the units' receptive fields, values are interpolated.

    Args:
        classifier: a `Classifier`.
        images: as for `Classifier.predict`.
        class_name: the class to explain; `None` for the most probable class of each image.
        layer: name of a layer with maps; `None` for the last convolution. All paths from the image
            to the output must pass through it, without a skip connection. A convolution gives its
            values after the activation that follows it, such as relu5 for conv5. If a normalization
            stands between them, or a pool before another activation than ReLU, it gives its values
            before the activation.
        batch_size: images that pass through the network at a time.

    Returns:
        A list of `Explanation`. Their maps are at least 0, in units of the class's score.

    Raises:
        ValueError: for an unknown layer or one without maps, layers before it that are not a chain,
            a path from the image to the output around it, a class that is not the classifier's, a
            path without images, or if no image can be read.

    Reference: section 3 of Selvaraju et al., "Grad-CAM" (2016).
    """
    method = grad_cam_method(classifier, layer)
    return list(explained_images(classifier, images, class_name, batch_size, method))


def grad_cam_method(classifier: Classifier, layer: str | None = None) -> Method:
    """Returns the method of `grad_cam`."""
    check_classifier(classifier)
    network = classifier.network
    chosen = _last_convolution(network) if layer is None else layer_of(network, layer)
    if len(chosen.output.shape) != 4:
        raise ValueError(
            f"`layer` must have output maps. Received: layer={layer!r} of output "
            f"{chosen.output.shape}"
        )
    first, rest = classifier.once(
        ("split", chosen.name), functools.partial(_split, network, chosen)
    )
    field = receptive_field(network, chosen.name)
    maps = functools.partial(_maps, classifier.preparation, first, rest, field)
    return Method("grad_cam", maps, chosen.name)


def _maps(preparation, first, rest, field, batch):
    inputs = preparation(batch.images)
    values = ops.convert_to_numpy(run_eagerly(first, inputs)).astype("float32")
    gradients = gradient(functools.partial(chosen_outputs, rest, batch.labels), values)
    weighted = np.einsum("nrck,nk->nrc", values, gradients.mean((1, 2)))
    return _spread(np.maximum(weighted, 0), field, preparation.crop_size)


def _last_convolution(network):
    convolutions = [layer for layer in network.layers if isinstance(layer, CONVOLUTIONS)]
    if not convolutions:
        raise ValueError(
            "`layer` must be given for a network without convolutions. Received: layer=None"
        )
    return convolutions[-1]


def _split(network, layer):
    """Returns the models from crops to a layer's maps, and from these to the classes' scores."""
    inputs = network.inputs[0]
    maps = layer.output
    logits = logits_of(network)
    pools, activation = activation_after(network, layer)
    if activation is not None and not pools:
        maps = activation.output
    elif activation is not None and is_relu(activation) and all(map(_is_max_pool, pools)):
        # The 2012 source pools before the ReLU, which is the same function as the other order.
        values = pooled = keras.Input(maps.shape[1:])
        for pool in pools:
            pooled = pool(pooled)
        rest = _rest(activation.output, logits, layer)
        return keras.Model(inputs, keras.layers.ReLU()(maps)), keras.Model(values, rest(pooled))
    return keras.Model(inputs, maps), _rest(maps, logits, layer)


def _rest(maps, logits, layer):
    """Returns the model from a layer's maps to the scores."""
    try:
        return keras.Model(maps, logits)
    except ValueError as error:  # Keras finds another path to the image
        raise ValueError(
            "`layer` must be a layer that all paths from the image to the output pass through. "
            f"Received: the layer {layer.name!r}, which a path bypasses"
        ) from error


def _is_max_pool(layer):
    return isinstance(layer, keras.layers.MaxPooling2D)


def _spread(values: np.ndarray, field: ReceptiveField, size: int) -> np.ndarray:
    """Interpolates values between the centers of their receptive fields.

    Args:
        values: `(batch, rows, columns)`.
        field: the units' `ReceptiveField`.
        size: side of the crop, in pixels.

    Returns:
        `(batch, size, size)`. Beyond the outermost centers, the nearest value continues.
    """
    pixels = np.arange(size) + 0.5
    weights = []
    for axis in (0, 1):
        count = values.shape[1 + axis]
        centers = field.start[axis] + field.size[axis] / 2 + field.stride[axis] * np.arange(count)
        weights.append([np.interp(pixels, centers, unit) for unit in np.eye(count)])
    return np.einsum("nrc,rp,cq->npq", values, *weights, optimize=True)
