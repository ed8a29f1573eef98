"""Weights that a training starts from, of a network that was trained before: fine-tuning."""

from alexnet_keras.models import build_network, load_model
from alexnet_keras.pretrained import REGISTRY, read_layers


def read_initial_weights(config):
    """The weights that the network of a `TrainingConfig` starts from, of the file that `initial_weights` names.

    Returns:
        dict from a layer's name to a list of arrays; empty where all layers start anew.

    Raises:
        ValueError: when there is no such file or layer, when the file holds no model, or a layer of another shape; or
            when `layer_learning_rates` or `layer_weight_decay` names no layer of the network.

    Reference: section 6.1 of Krizhevsky et al. (2012): pre-trained on one data set, fine-tuned on another.
    """
    by_layer = ("layer_learning_rates", "layer_weight_decay")
    if config.initial_weights is None and not any(getattr(config, name) for name in by_layer):
        return {}
    ours = {
        layer.name: [tuple(w.shape) for w in layer.weights]
        for layer in build_network(config.network, classes=2).layers
    }
    trained = [name for name, shapes in ours.items() if shapes]
    for field in by_layer:
        unknown = [str(name) for name in getattr(config, field) if name not in trained]
        if unknown:
            raise ValueError(
                f"`{field}` must be of {', '.join(trained)}. Received: {', '.join(unknown)}"
            )
    if config.initial_weights is None:
        return {}
    path = config.initial_weights
    theirs = _stored_layers(path)
    chosen = config.initial_layers or tuple(
        name for name in theirs if name.startswith("conv") and name in trained
    )
    for name in chosen:
        if name not in theirs or name not in trained:
            where = "this network" if name in theirs else path
            raise ValueError(
                f"`initial_layers` must be layers that both networks have. Received: {name!r}, which is not in {where}"
            )
        if name != "fc8":  # whose classes the data decide
            _check_shapes(name, [array.shape for array in theirs[name]], ours[name])
    if not chosen:
        raise ValueError(
            f"`initial_weights` must hold convolutions of this network. Received: {path!r} with "
            f"{', '.join(theirs) or 'no weights'}"
        )
    return {name: theirs[name] for name in chosen}


def _stored_layers(weights):
    """Arrays by layer, of weights with a name or of the model in a file."""
    if weights in REGISTRY:
        return read_layers(weights, "initial_weights")
    layers = load_model(weights, "initial_weights").layers
    return {layer.name: layer.get_weights() for layer in layers if layer.weights}


def set_initial_weights(model, weights):
    """Puts what `read_initial_weights` has read into a new model.

    Raises:
        ValueError: for fc8 of other classes.
    """
    for name, arrays in weights.items():
        layer = model.get_layer(name)
        _check_shapes(
            name,
            [array.shape for array in arrays],
            [tuple(weight.shape) for weight in layer.weights],
        )
        layer.set_weights(arrays)


def _check_shapes(name, theirs, ours):
    if theirs != ours:
        raise ValueError(
            "`initial_weights` must hold layers of this network's shapes. "
            f"Received: {name}: stored {theirs}, requested {ours}"
        )
