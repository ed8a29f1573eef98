"""The fully connected layers that AlexNet and VGG end with."""

import keras

from alexnet_keras.layers import FullyConnected


def check_classes(classes):
    """Raises a `ValueError` for a number of classes that no network can have."""
    if not isinstance(classes, int) or classes < 1:
        raise ValueError(
            f"`classes` must be a positive whole number. Received: classes={classes!r}"
        )


def fully_connected(x, config, classes, classifier_activation, initializers):
    """fc6 and fc7, as far as they are there, each with its dropout, and fc8.

    Args:
        x: feature maps `(batch, height, width, maps)`.
        config: what has hidden_layers, units, activation and dropout.
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
    # Probabilities in float32 also under mixed precision.
    dtype = keras.config.dtype_policy().variable_dtype
    return FullyConnected(
        classes, activation=classifier_activation, **initializers("fc8"), dtype=dtype, name="fc8"
    )(x)
