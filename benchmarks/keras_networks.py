"""The networks of `AlexNetConfig` in Keras' own layers and TensorFlow's normalization."""

import keras

from alexnet_keras.models.alexnet_config import CONV_LAYERS, AlexNetConfig

_POOLS = {"pool": keras.layers.MaxPooling2D, "average_pool": keras.layers.AveragePooling2D}


def keras_network(config: AlexNetConfig, classes: int, decay: float = 0.0) -> keras.Model:
    """Returns the network of a configuration as a model of Keras' own layers, on TensorFlow.

    The initial weights are Keras' defaults. The weights have the order and shapes of
    `AlexNet(config)`.

    Args:
        config: the configuration.
        classes: number of classes.
        decay: factor of the L2 regularizers of all weights and biases.

    Returns:
        A `keras.Model` from images `(batch, height, width, channels)`, 0-255 less their mean, to
        logits `(batch, classes)`, float32.

    Raises:
        ValueError: for a configuration with a layer that Keras lacks.
    """
    check_keras_network(config)
    regularizer = keras.regularizers.L2(decay) if decay else None
    weights = {"kernel_regularizer": regularizer, "bias_regularizer": regularizer}
    inputs = keras.Input(config.input_shape)
    x = inputs
    if config.input_scale != 1:
        x = keras.layers.Rescaling(config.input_scale)(x)
    for conv in CONV_LAYERS:
        if conv in config.conv_layers:
            x = _convolution(x, config, conv, weights)
        x = _stages(x, config, conv)
    x = keras.layers.Flatten(data_format="channels_last")(x)
    for fc in config.hidden_layers:
        units = config.units[int(fc[-1]) - 6]
        x = keras.layers.Dense(units, activation=config.activation, **weights)(x)
        if config.dropout:
            x = keras.layers.Dropout(config.dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(classes, dtype="float32", **weights)(x))


def check_keras_network(config: AlexNetConfig) -> None:
    """Raises a `ValueError` for a configuration with a layer that Keras lacks."""
    if config.local_layers:
        raise ValueError(
            "Keras has no locally connected layers. "
            f"Received: local_layers={', '.join(config.local_layers)}"
        )
    stages = {
        stage
        for conv, stages in zip(CONV_LAYERS, config.stages, strict=True)
        for stage in stages
        if conv in config.conv_layers
    }
    if config.normalization and "spatial_normalization" in stages:
        raise ValueError(
            f"Keras has no normalization inside a feature map. Received: stages={config.stages}"
        )
    if config.normalization and "normalization" in stages and config.normalization_size % 2 == 0:
        raise ValueError(
            "TensorFlow's normalization needs an odd size. "
            f"Received: normalization_size={config.normalization_size}"
        )
    _check_pools(config)


def _check_pools(config):
    sizes = config.map_sizes()
    size = config.input_shape[:2]
    for name, next_size in sizes.items():
        if name.startswith("pool"):
            _pool_padding(config, size)
        size = next_size


def _pool_padding(config, size):
    """Returns Keras' padding of a pool, for the height and width of its input.

    `"same"` rounds sizes up, too, but divides the missing rows between both sides.
    """
    window = config.pool_size
    stride = config.pool_stride
    missing = [config.missing(n, window, stride) for n in size]
    if not any(missing):
        return "valid"
    as_same = [max((-(-n // stride) - 1) * stride + window - n, 0) for n in size]
    if missing != as_same or max(missing) > 1:
        raise ValueError(
            f"Keras has no pool of {window}x{window} with stride {stride} that rounds sizes up "
            f"for these maps. Received: maps of {size[0]}x{size[1]}"
        )
    return "same"


def _convolution(x, config, conv, weights):
    index = CONV_LAYERS.index(conv)
    kernel = config.kernel_sizes[index]
    stride = config.strides[index]
    padding = config.paddings[index]
    is_same = stride == 1 and 2 * padding == kernel - 1
    missing = [config.missing(n + 2 * padding, kernel, stride) for n in x.shape[1:3]]
    if not is_same and (padding or any(missing)):
        zeros = tuple((padding, padding + n) for n in missing)
        x = keras.layers.ZeroPadding2D(zeros, data_format="channels_last")(x)
    sees_all = conv == "conv1" or conv in config.exchange
    return keras.layers.Conv2D(
        config.filters[index],
        kernel,
        stride,
        "same" if is_same else "valid",
        data_format="channels_last",
        groups=1 if sees_all else config.towers,
        **weights,
    )(x)


def _stages(x, config, conv):
    """Adds the layers after a convolution; without the convolution only its pool stays."""
    for stage in config.stages[CONV_LAYERS.index(conv)]:
        if stage in _POOLS:
            padding = _pool_padding(config, x.shape[1:3])
            pool = _POOLS[stage](
                config.pool_size, config.pool_stride, padding, data_format="channels_last"
            )
            x = pool(x)
        elif conv not in config.conv_layers:
            continue
        elif stage == "activation":
            x = keras.layers.Activation(config.activation)(x)
        elif config.normalization:
            x = keras.layers.Lambda(_normalize, arguments=_constants(config))(x)
    return x


def _constants(config):
    divisor = config.normalization_size if config.normalization_divide_alpha else 1
    return {
        "groups": config.towers if config.normalization_in_towers else 1,
        "depth_radius": config.normalization_size // 2,
        "bias": config.normalization_k,
        "alpha": config.normalization_alpha / divisor,
        "beta": config.normalization_beta,
    }


def _normalize(x, groups, **constants):
    """TensorFlow's response normalization, which has no kernel for bfloat16, in each tower."""
    import tensorflow as tf

    _, height, width, maps = x.shape
    towers = tf.reshape(tf.cast(x, "float32"), (-1, height, width * groups, maps // groups))
    y = tf.nn.local_response_normalization(towers, **constants)
    return tf.cast(tf.reshape(y, (-1, height, width, maps)), x.dtype)
