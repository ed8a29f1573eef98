"""Trainings that start from a classifier, whose network gets a new output layer."""

import dataclasses
import random
from collections.abc import Mapping

import keras
import numpy as np

from alexnet_keras.classifier import Classifier, classifier_file
from alexnet_keras.evaluation.probabilities import last_operation
from alexnet_keras.files import sha256
from alexnet_keras.layers import FullyConnected
from alexnet_keras.layers.replaced_weights import weights_replaced
from alexnet_keras.models import alexnet_config
from alexnet_keras.models.initializers import layer_initializers
from alexnet_keras.models.saved import read_model_config
from alexnet_keras.pretrained import available, classifier_names, preparation
from alexnet_keras.training.presets import (
    FINE_TUNED_CONV1_MILESTONES,
    FIRST_CONVOLUTION_RATE,
    FULLY_CONNECTED_RATE,
)

_OUTPUT_STDDEV = 0.01  # of the initial weights, as in the paper


@dataclasses.dataclass(frozen=True)
class PretrainedFields:
    """Properties of a classifier that decide fields of a training which starts from it.

    Args:
        pretrained_sha256, image_size, crop_size, mean_subtraction: fields of a `TrainingConfig`.
        convolutions: names of the convolutions, in order.
        fully_connected: names of the fully connected layers, in order.
    """

    pretrained_sha256: str
    image_size: int
    crop_size: int
    mean_subtraction: str
    convolutions: tuple
    fully_connected: tuple

    @property
    def fixed(self) -> dict:
        """Fields of the `TrainingConfig` that follow from the classifier."""
        names = ("pretrained_sha256", "image_size", "crop_size", "mean_subtraction")
        return {name: getattr(self, name) for name in names}

    @property
    def defaults(self) -> dict:
        """Default fields of the `TrainingConfig` that name layers.

        The first convolution learns slowly and, if it is conv1, is frozen for the last third of the
        epochs. Fully connected layers learn fast.

        Reference: 2012 source, for the network "1 CNN*" of table 2 of Krizhevsky et al. (2012).
        """
        rates = dict.fromkeys(self.convolutions[:1], FIRST_CONVOLUTION_RATE)
        rates |= dict.fromkeys(self.fully_connected, FULLY_CONNECTED_RATE)
        fields: dict = {"layer_learning_rates": rates}
        if "conv1" in rates:
            fields["conv1_milestones"] = FINE_TUNED_CONV1_MILESTONES
        return fields

    def check(self, options: Mapping) -> None:
        """Raises a `ValueError` for options of a training that contradict the classifier."""
        for name, value in self.fixed.items():
            if name in options and options[name] != value:
                raise ValueError(
                    f"`{name}` must be {value!r}, as in the classifier of `pretrained`, or be left "
                    f"out. Received: {name}={options[name]!r}"
                )


def pretrained_fields(pretrained: str) -> PretrainedFields:
    """Reads the properties of a classifier that a training needs, without using the devices.

    Args:
        pretrained: a name of `alexnet_keras.pretrained.classifier_names()`, or the path of a
            `classifier.keras` file or of the folder of a training.

    Raises:
        ValueError: for another name or path, or a file that is not a classifier.
    """
    if pretrained in classifier_names():
        return _fields_of_name(pretrained)
    path = classifier_file(pretrained)
    if not path.exists():
        raise ValueError(
            f"`pretrained` must be {', '.join(classifier_names())}, a classifier.keras file, or "
            "the folder of a training that has ended. Received: "
            f"pretrained={pretrained!r}: {path} not found"
        )
    layers = read_model_config(path, "pretrained")["config"].get("layers", [])
    preparations = [layer["config"] for layer in layers if layer["class_name"] == "Preparation"]
    networks = [layer["config"] for layer in layers if "layers" in layer["config"]]
    if len(preparations) != 1 or len(networks) != 1:
        raise ValueError(
            "`pretrained` must be a classifier, such as classifier.keras in the folder of a "
            f"training. Received: pretrained={pretrained!r}, a network without preparation and "
            "class names; add both by Classifier.from_network"
        )
    return PretrainedFields(
        sha256(path),
        *(preparations[0][name] for name in ("image_size", "crop_size", "mean_subtraction")),
        convolutions=_layers_of_kind(networks[0], keras.layers.Conv2D),
        fully_connected=_layers_of_kind(networks[0], keras.layers.Dense),
    )


def _fields_of_name(name):
    """Returns the `PretrainedFields` of weights with a name."""
    entry = available()[name]
    mean, _ = preparation(name, "pretrained")
    config = alexnet_config(entry.preset, **entry.overrides)
    return PretrainedFields(
        entry.sha256,
        entry.image_size,
        config.input_shape[0],
        "color" if np.ndim(mean) == 1 else "image",
        convolutions=config.conv_layers,
        fully_connected=(*config.hidden_layers, "fc8"),
    )


def _layers_of_kind(network, kind):
    """Returns the names of the layers of a class in the configuration of a network."""
    found = []
    for layer in network["layers"]:
        registered = keras.saving.get_registered_object(layer["registered_name"])
        cls = registered or getattr(keras.layers, layer["class_name"], None)
        if isinstance(cls, type) and issubclass(cls, kind):
            found.append(layer["config"]["name"])
    return tuple(found)


class PretrainedClassifier:
    """The classifier that a training starts from.

    Args:
        pretrained: as for `pretrained_fields`.

    Raises:
        ValueError: as for `pretrained_fields`, or for a network that can't be trained with another
            output layer.
    """

    def __init__(self, pretrained: str):
        if pretrained in classifier_names():
            self._classifier = Classifier.pretrained(pretrained, "pretrained")
        else:
            self._classifier = Classifier.load(pretrained, "pretrained")
        self._network = self._classifier.network
        self._output_layer = _output_layer(self._network)
        self._check_layers()

    def _check_layers(self):
        layers = self._network.layers
        reason = ""
        if not isinstance(self._output_layer, keras.layers.Dense):
            reason = f"ends in {last_operation(self._network).name}"
        elif not any(isinstance(layer, keras.layers.Conv2D) for layer in layers):
            reason = "has no convolution"
        elif any(getattr(layer, "quantization_mode", None) for layer in layers):
            reason = "is quantized"
        if reason:
            raise ValueError(
                "`pretrained` must have a network of convolutions and dense layers that ends in a "
                f"Dense layer and is not quantized. Received: a network that {reason}"
            )

    @property
    def layer_names(self) -> list[str]:
        """Names of the network's layers with weights."""
        return [layer.name for layer in self._network.layers if layer.weights]

    @property
    def weights(self) -> dict[str, list[np.ndarray]]:
        """Weights by layer, except the output layer."""
        layers = [layer for layer in self._network.layers if layer is not self._output_layer]
        return {layer.name: layer.get_weights() for layer in layers if layer.weights}

    @property
    def preparation(self) -> dict:
        """Mean and color order, as options of a data set."""
        layer = self._classifier.preparation
        return {
            "mean": keras.ops.convert_to_numpy(layer.mean),
            "color_order": layer.color_order,
        }

    def new_network(self, classes: int) -> keras.Model:
        """Returns the network with a new output layer, in the current precision.

        The other layers are for `set_initial_weights`: they do not have their weights yet.

        Args:
            classes: number of classes.
        """
        last = self._output_layer
        body = keras.Model(self._network.inputs, last.input)
        with weights_replaced():
            body = keras.models.clone_model(body, clone_function=_copy)
        initializers = layer_initializers(
            keras.initializers.RandomNormal(stddev=_OUTPUT_STDDEV),
            bias=0.0,
            seed=random.randrange(2**31),  # `keras.utils.set_random_seed` fixes it
            layer=last.name,
        )
        # Probabilities are float32 under mixed precision, too.
        dtype = keras.config.dtype_policy().variable_dtype
        head = FullyConnected(
            classes, activation="softmax", **initializers, dtype=dtype, name=last.name
        )
        return keras.Model(body.inputs, head(body.output), name=self._network.name)


def _output_layer(network):
    """Returns the last operation of a network, or the one before its softmax."""
    last = last_operation(network)
    activation = getattr(last, "activation", None)
    is_softmax = isinstance(last, keras.layers.Activation) and (
        activation is keras.activations.softmax
    )
    # The layer, and the operation of `keras.ops`.
    if is_softmax or type(last).__name__ == "Softmax":
        return last_operation(keras.Model(network.inputs, last.input))
    return last


def _copy(layer):
    """Returns a layer of the same configuration in the current precision, which can learn."""
    if isinstance(layer, keras.Model):
        return keras.models.clone_model(layer, clone_function=_copy)
    # Layers that were frozen in the classifier learn here by the rates of the training.
    own = {"dtype": keras.config.dtype_policy().name, "trainable": True}
    config = {**layer.get_config(), **own}
    return type(layer).from_config(config)
