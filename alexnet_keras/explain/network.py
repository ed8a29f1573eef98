"""Parts of a classifier's network that explanations need."""

import functools

import keras
import numpy as np
from keras import ops

from alexnet_keras.classifier import Classifier
from alexnet_keras.evaluation.probabilities import ends_in_logits, last_operation
from alexnet_keras.explain.gradients import gradient
from alexnet_keras.features import linear_output
from alexnet_keras.layers import Preparation
from alexnet_keras.ops import implementation


def score_model(classifier: Classifier) -> keras.Model:
    """Returns a classifier's network with the classes' scores as outputs.

    They are its logits, before the softmax.

    Raises:
        ValueError: for a network that ends in another model, or in other outputs.
    """
    network = classifier.network
    return classifier.once(("scores",), lambda: keras.Model(network.inputs[0], logits_of(network)))


def logits_of(network: keras.Model):
    """Returns the symbolic tensor of a network's logits."""
    last = last_operation(network)
    if isinstance(last, keras.Model):
        raise ValueError(
            "The classifier's network must end in a layer. "
            f"Received: a network that ends in the model '{last.name}'"
        )
    if ends_in_logits(network):
        return network.outputs[0]
    if isinstance(last, keras.layers.Activation) or not hasattr(last, "activation"):
        return last.input
    logits, _ = linear_output(network, last)
    return logits


def is_relu(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer ends in a plain ReLU, its own or as an activation layer."""
    if isinstance(layer, keras.layers.ReLU):
        return (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0, 0)
    return getattr(layer, "activation", None) is keras.activations.relu


def run_eagerly(model: keras.Model, inputs):
    """Returns the outputs of a model, computed by the definitions of the operations.

    Some faster implementations are compiled anew for each batch size, which takes seconds.
    """
    with implementation("reference"):
        return model(inputs, training=False)


def chosen_outputs(model: keras.Model, numbers: np.ndarray, inputs):
    """Returns for each input one output of a model.

    Args:
        model: `keras.Model` whose output is `(batch, outputs)`.
        numbers: the number of the output for each input, `(batch,)`.
        inputs: tensor or array `(batch, ...)`.

    Returns:
        float32 tensor `(batch,)`.
    """
    outputs = ops.cast(run_eagerly(model, inputs), "float32")
    return ops.sum(outputs * ops.one_hot(numbers, outputs.shape[-1]), axis=-1)


def pixel_gradients(
    preparation: Preparation, scores: keras.Model, images: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Returns the gradients of classes' scores with respect to the pixels of the crops.

    Args:
        preparation: the `Preparation` layer of a classifier.
        scores: `score_model` of the classifier, or a twin of it.
        images: prepared images, uint8 `(batch, image_size, image_size, 3)`.
        labels: the class for each image, `(batch,)`.

    Returns:
        float32 `(batch, crop_size, crop_size, 3)` in the order RGB, in scores a gray level.
    """
    inputs = ops.convert_to_numpy(preparation(images))
    gradients = gradient(functools.partial(chosen_outputs, scores, labels), inputs)
    return gradients[..., ::-1] if preparation.color_order == "BGR" else gradients
