"""The fully connected layers of AlexNet and VGG."""

from collections.abc import Callable

import keras

from alexnet_keras.layers import FullyConnected

TOP = ("fc6", "fc7", "fc8")


def check_top(include_top: bool, pooling: str | None) -> None:
    """Raises a `ValueError` for `include_top` or `pooling` of another type, or both together."""
    if not isinstance(include_top, bool):
        raise ValueError(
            f"`include_top` must be True or False. Received: include_top={include_top!r}"
        )
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: pooling={pooling!r}")
    if include_top and pooling is not None:
        raise ValueError(f"`pooling` needs include_top=False. Received: pooling={pooling!r}")


def pooled(x, pooling: str | None):
    """Returns the feature maps, or their mean (`"avg"`) or maximum (`"max"`) over positions."""
    options = {"data_format": "channels_last", "name": f"{pooling}_pool"}
    if pooling == "avg":
        return keras.layers.GlobalAveragePooling2D(**options)(x)
    if pooling == "max":
        return keras.layers.GlobalMaxPooling2D(**options)(x)
    return x


def fully_connected(
    x, config, classes: int, classifier_activation: str | None, initializers: Callable
):
    """Adds fc6 and fc7, as far as `config` has them, each with its dropout, and fc8.

    Args:
        x: feature maps `(batch, height, width, maps)`.
        config: an `AlexNetConfig` or a `VGGConfig`.
        classes: number of classes.
        classifier_activation: activation of fc8; `None` for logits.
        initializers: function from a layer's name to arguments of a Keras layer.

    Returns:
        `(batch, classes)`.
    """
    x = keras.layers.Flatten(data_format="channels_last", name="flatten")(x)
    for fc in config.hidden_layers:
        number = fc[-1]
        units = config.units[int(number) - 6]
        x = FullyConnected(units, activation=config.activation, **initializers(fc), name=fc)(x)
        if config.dropout:
            x = keras.layers.Dropout(config.dropout, name=f"drop{number}")(x)
    # Probabilities are float32 under mixed precision, too.
    dtype = keras.config.dtype_policy().variable_dtype
    return FullyConnected(
        classes, activation=classifier_activation, **initializers("fc8"), dtype=dtype, name="fc8"
    )(x)
