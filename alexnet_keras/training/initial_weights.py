"""Initial weights of a training from a trained network, for fine-tuning."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from alexnet_keras.layers.replaced_weights import weights_replaced
from alexnet_keras.models import build_network, load_model
from alexnet_keras.pretrained import REGISTRY, read_layers
from alexnet_keras.training.fine_tuning import PretrainedClassifier, pretrained_fields

if TYPE_CHECKING:
    from alexnet_keras.training.config import TrainingConfig

# Fields of a `TrainingConfig` whose keys are names of layers.
_BY_LAYER = ("layer_learning_rates", "layer_weight_decay")


def open_pretrained(config: "TrainingConfig") -> PretrainedClassifier | None:
    """Opens the classifier of the field `pretrained` of a `TrainingConfig`; `None` without one.

    Raises:
        ValueError: for a missing file, a file without a classifier, or one of another hash, image
            size or mean than the configuration has.
    """
    if config.pretrained is None:
        return None
    pretrained_fields(config.pretrained).check(vars(config))
    return PretrainedClassifier(config.pretrained)


def read_initial_weights(
    config: "TrainingConfig", pretrained: PretrainedClassifier | None = None
) -> dict[str, list[np.ndarray]]:
    """Reads the weights that a training starts from.

    Args:
        config: a `TrainingConfig`, whose `initial_weights` may be a file.
        pretrained: its classifier, of `open_pretrained`.

    Returns:
        dict from a layer's name to a list of arrays; empty for random weights.

    Raises:
        ValueError: for a missing file or layer, a file without a model, or a layer of another
            shape; or if `layer_learning_rates` or `layer_weight_decay` names an unknown layer.

    Reference: section 6.1 of Krizhevsky et al. (2012), which pre-trains on another data set.
    """
    if pretrained is not None:
        _check_layer_names(config, pretrained.layer_names)
        return pretrained.weights
    by_layer = any(getattr(config, field) for field in _BY_LAYER)
    if config.initial_weights is None and not by_layer:
        return {}
    with weights_replaced():  # only names and shapes matter
        network = build_network(config.network, classes=2)
    requested = {layer.name: [tuple(w.shape) for w in layer.weights] for layer in network.layers}
    trained = [name for name, shapes in requested.items() if shapes]
    _check_layer_names(config, trained)
    if config.initial_weights is None:
        return {}
    path = config.initial_weights
    stored = _stored_layers(path)
    chosen = config.initial_layers or tuple(
        name for name in stored if name.startswith("conv") and name in trained
    )
    for name in chosen:
        if name not in stored or name not in trained:
            where = "this network" if name in stored else path
            raise ValueError(
                f"`initial_layers` must be layers that both networks have. Received: {name!r}, "
                f"which is not in {where}"
            )
        if name != "fc8":  # the data decide its number of classes
            _check_shapes(name, [array.shape for array in stored[name]], requested[name])
    if not chosen:
        raise ValueError(
            f"`initial_weights` must hold convolutions of this network. Received: {path!r} with "
            f"{', '.join(stored) or 'no weights'}"
        )
    return {name: stored[name] for name in chosen}


def _check_layer_names(config, trained):
    """Raises a `ValueError` for a field that names a layer without weights."""
    for field in _BY_LAYER:
        unknown = [str(name) for name in getattr(config, field) if name not in trained]
        if unknown:
            raise ValueError(
                f"`{field}` must be for layers of {', '.join(trained)}. "
                f"Received: {', '.join(unknown)}"
            )
    if config.conv1_milestones and "conv1" not in trained:
        raise ValueError(
            f"`conv1_milestones` needs a layer conv1. Received: a network of {', '.join(trained)}"
        )


def _stored_layers(weights):
    """Returns arrays by layer, of weights with a name or of the model in a file."""
    if weights in REGISTRY:
        return read_layers(weights, "initial_weights")
    layers = load_model(weights, "initial_weights").layers
    return {layer.name: layer.get_weights() for layer in layers if layer.weights}


def new_network(
    config: "TrainingConfig", classes: int, pretrained: PretrainedClassifier | None = None
) -> keras.Model:
    """Returns the network of a training with new weights.

    Args:
        config: a `TrainingConfig`.
        classes: number of classes.
        pretrained: its classifier, of `open_pretrained`.
    """
    if pretrained is None:
        return build_network(config.network, classes=classes)
    return pretrained.new_network(classes)


def set_initial_weights(model: keras.Model, weights: Mapping[str, list[np.ndarray]]) -> None:
    """Sets the weights of `read_initial_weights` in a new model.

    Raises:
        ValueError: for another number of classes in fc8.
    """
    for name, arrays in weights.items():
        layer = model.get_layer(name)
        _check_shapes(
            name,
            [array.shape for array in arrays],
            [tuple(weight.shape) for weight in layer.weights],
        )
        layer.set_weights(arrays)


def _check_shapes(name, stored, requested):
    if stored != requested:
        raise ValueError(
            "`initial_weights` must hold layers of this network's shapes. "
            f"Received: {name}: stored {stored}, requested {requested}"
        )
