"""Probabilities of a classifier, whether it ends in a softmax or in logits."""

import keras
from keras import ops


def ends_in_logits(model, name=None):
    """Whether a classifier's output is logits, which a softmax makes probabilities.

    Args:
        model: a `keras.Model` that ends in a softmax, or in a layer without activation.
        name: what the message calls it; by default its name.

    Raises:
        ValueError: for a model that ends in anything else.
    """
    operations = getattr(model, "operations", model.layers)
    # A linear activation changes nothing, such as one that only sets the dtype.
    last = next(layer for layer in reversed(operations) if not _is_linear_activation(layer))
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


def _is_linear_activation(layer):
    return (
        isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear
    )


def as_probabilities(model, outputs):
    """The outputs of a classifier as probabilities: logits go through the softmax, in float32.

    Args:
        model: the classifier, as for `ends_in_logits`.
        outputs: tensor `(..., classes)` that it has given.

    Returns:
        Tensor `(..., classes)`.
    """
    return ops.softmax(ops.cast(outputs, "float32")) if ends_in_logits(model) else outputs
