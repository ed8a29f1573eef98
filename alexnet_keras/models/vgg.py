"""VGG."""

import functools
import os
import random

import keras

from alexnet_keras.checks import check_whole_number
from alexnet_keras.layers import GroupedConv2D, LocalResponseNormalization
from alexnet_keras.layers.replaced_weights import weights_replaced
from alexnet_keras.models.head import check_top, fully_connected, pooled
from alexnet_keras.models.initializers import layer_initializers
from alexnet_keras.models.saved import load_weights
from alexnet_keras.models.vgg_config import VGGConfig, vgg_config


def VGG(
    preset: str | VGGConfig = "D",
    *,
    input_shape: tuple | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    weights: str | os.PathLike | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    name: str | None = None,
    **overrides,
) -> keras.Model:
    """The networks of "Very Deep Convolutional Networks for Large-Scale Image Recognition".

    | configuration | layers with weights | convolutions of the five stages | parameters |
    |---|---|---|---|
    | `"A"` | 11 | 1 1 2 2 2 | 132,863,336 |
    | `"A-LRN"` | 11 | the same, response normalization after the first | 132,863,336 |
    | `"B"` | 13 | 2 2 2 2 2 | 133,047,848 |
    | `"C"` | 16 | 2 2 3 3 3, the third of each 1x1 | 133,638,952 |
    | `"D"` | 16 | 2 2 3 3 3 | 138,357,544 |
    | `"E"` | 19 | 2 2 4 4 4 | 143,667,240 |

    Convolutions are 3x3 with stride 1 and padding 1. A 2x2 pool with stride 2 ends every stage. The
    five stages have 64, 128, 256, 512 and 512 maps.

    Args:
        preset: a configuration's letter or a `VGGConfig`.
        input_shape: `(height, width, channels)` of the image in pixels; `None` for the
            configuration's own.
        classes: number of classes.
        classifier_activation: activation of fc8; `None` for logits.
        weights: path of a `.keras` or `.weights.h5` file, or `"hf://user/model"`, with the weights
            of such a network; `None` for new weights.
        include_top: whether the network has fc6, fc7 and fc8. Without them it ends with the last
            pool, and takes only the other layers from `weights`.
        pooling: with `include_top=False`, `"avg"` or `"max"` over all positions; `None` for the
            maps.
        name: name of the model.
        **overrides: fields of `VGGConfig` that replace the configuration's, e.g. `dropout=0.0`.

    Returns:
        A `keras.Model` from images to `(batch, classes)`. Images are
        `(batch, height, width, channels)` with values 0-255, minus the mean color. The layers are
        conv1_1, conv1_2, pool1, ..., fc6, drop6, fc7, drop7, fc8.

    Raises:
        ValueError: for an unknown configuration or field, or an input too small for the pools; for
            a weights file that is missing or of another model.

    Example:

    >>> VGG("A").count_params()
    132863336

    Reference: section 2 and table 1 of Simonyan and Zisserman (2014).
    """
    if input_shape is not None:
        overrides["input_shape"] = input_shape
    config = vgg_config(preset, **overrides)
    classes = check_whole_number("classes", classes)
    check_top(include_top, pooling)
    seed = random.randrange(2**31)  # `keras.utils.set_random_seed` fixes it
    kernel = config.initializer
    if kernel == "gaussian":
        kernel = keras.initializers.RandomNormal(stddev=0.1)
    initializers = functools.partial(layer_initializers, kernel, 0.0, seed)
    with weights_replaced(weights is not None):
        inputs = keras.Input(config.input_shape, name="image")
        x = inputs
        if config.input_scale != 1:
            x = keras.layers.Rescaling(config.input_scale, name="scale")(x)
        for stage in range(1, len(config.filters) + 1):
            x = _stage(x, config, stage, initializers)
        if include_top:
            x = fully_connected(x, config, classes, classifier_activation, initializers)
    model = keras.Model(inputs, pooled(x, pooling), name=name or "vgg")
    if weights is not None:
        load_weights(model, weights)
    return model


def _stage(x, config, stage, initializers):
    """Adds the convolutions of a stage, the normalization of A-LRN, and the pool."""
    filters = config.filters[stage - 1]
    for number, kernel_size in enumerate(config.kernel_sizes[stage - 1], 1):
        layer = f"conv{stage}_{number}"
        x = GroupedConv2D(
            filters,
            kernel_size,
            padding="same",
            activation=config.activation,
            data_format="channels_last",
            **initializers(layer),
            name=layer,
        )(x)
        if config.normalization and layer == "conv1_1":
            x = LocalResponseNormalization(
                size=config.normalization_size,
                k=config.normalization_k,
                alpha=config.normalization_alpha,
                beta=config.normalization_beta,
                name="norm1",
            )(x)
    return keras.layers.MaxPooling2D(2, 2, data_format="channels_last", name=f"pool{stage}")(x)
