"""Probabilities of a classifier, whether it ends in a softmax or in logits."""

from typing import Any

import keras
import numpy as np
from keras import ops


def ends_in_logits(model: keras.Model, name: str | None = None) -> bool:
    """Returns whether a classifier's outputs are logits rather than probabilities.

    Args:
        model: a `keras.Model` that ends in a softmax, or in a layer without activation.
        name: name of the model in the message; `None` for its own.

    Raises:
        ValueError: for a model with other outputs.
    """
    last = last_operation(model)
    if isinstance(last, keras.Model):
        return ends_in_logits(last, name or model.name)
    if type(last).__name__ == "Softmax":  # the layer, and the operation of `keras.ops`
        return False
    activation = getattr(last, "activation", None)
    if activation not in (keras.activations.softmax, keras.activations.linear):
        found = getattr(activation, "__name__", type(last).__name__)
        raise ValueError(
            "`model` must end in a softmax, or in logits (activation None). "
            f"Received: {name or model.name}, whose last layer '{last.name}' has {found}"
        )
    return activation is keras.activations.linear


def last_operation(model: keras.Model) -> Any:
    """Returns the last operation of a model that changes something, a layer in most models.

    A linear activation changes nothing, such as one that only sets the dtype.
    """
    operations = getattr(model, "operations", model.layers)
    return next(layer for layer in reversed(operations) if not _is_linear_activation(layer))


def _is_linear_activation(layer):
    return (
        isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear
    )


def as_probabilities(model: keras.Model, outputs: Any) -> Any:
    """Returns a classifier's outputs as probabilities, after a softmax of logits in float32.

    Args:
        model: the classifier, as for `ends_in_logits`.
        outputs: outputs of the classifier, `(..., classes)`.

    Returns:
        Tensor `(..., classes)`.
    """
    return ops.softmax(ops.cast(outputs, "float32")) if ends_in_logits(model) else outputs


def most_probable_labels(probabilities: np.ndarray, top: int) -> np.ndarray:
    """Returns the labels of the most probable classes, the most probable first.

    The result is `np.argsort(-probabilities, axis=-1, kind="stable")[:, :top]`, but the stable sort
    is slow: for 1,000 classes it takes a good part of the time of a small network.

    Args:
        probabilities: float32 `(images, classes)`, without negative numbers, -0.0 and NaN.
        top: number of labels for each image, from 1 to `classes`.

    Returns:
        int64 `(images, top)`. Of equally probable classes, the lowest label is the first.
    """
    classes = probabilities.shape[-1]
    # Floats that are not negative have the order of their bits, read as whole numbers. With the
    # label in its last digits, no two numbers are equal, and any kind of sort gives the same.
    numbers = -probabilities.view("int32").astype("int64") * classes + np.arange(classes)
    return np.sort(np.partition(numbers, top - 1, axis=-1)[:, :top], axis=-1) % classes
