"""VGG."""

import random

import keras

from alexnet_keras.layers import GroupedConv2D, LocalResponseNormalization
from alexnet_keras.models.head import check_classes, check_top, fully_connected, pooled
from alexnet_keras.models.initializers import layer_initializers
from alexnet_keras.models.saved import load_weights
from alexnet_keras.models.vgg_config import vgg_config


def VGG(
    preset="D",
    *,
    input_shape=None,
    classes=1000,
    classifier_activation="softmax",
    weights=None,
    include_top=True,
    pooling=None,
    name=None,
    **overrides,
):
    """The networks of "Very Deep Convolutional Networks for Large-Scale Image Recognition".

    | configuration | layers with weights | convolutions of the five stages | parameters |
    |---|---|---|---|
    | `"A"` | 11 | 1 1 2 2 2 | 132,863,336 |
    | `"A-LRN"` | 11 | the same, response normalization after the first | 132,863,336 |
    | `"B"` | 13 | 2 2 2 2 2 | 133,047,848 |
    | `"C"` | 16 | 2 2 3 3 3, the third of each 1x1 | 133,638,952 |
    | `"D"` | 16 | 2 2 3 3 3 | 138,357,544 |
    | `"E"` | 19 | 2 2 4 4 4 | 143,667,240 |

    Convolutions are 3x3 with stride 1 and padding 1; a 2x2 pool with stride 2 ends every stage of 64, 128, 256, 512 and
    512 maps.

    Args:
        preset: a configuration's letter or a `VGGConfig`.
        input_shape: `(height, width, channels)` of the image in pixels; `None` for the configuration's own.
        classes: number of classes.
        classifier_activation: activation of fc8; `None` for logits.
        weights: path of a `.keras` or `.weights.h5` file, or `"hf://user/model"`, with the weights of
            such a network; `None` for new ones.
        include_top: whether fc6, fc7 and fc8 are there. Without them the network ends with the last
            pool, and takes only the other layers from `weights`.
        pooling: with `include_top=False`, `"avg"` or `"max"` over all positions; `None` for the maps.
        name: name of the model.
        **overrides: fields of `VGGConfig` that replace the configuration's, e.g. `dropout=0.0`.

    Returns:
        A `keras.Model` from images, `(batch, height, width, channels)` on the scale 0-255 less the mean color, to
        `(batch, classes)`. Its layers are conv1_1, conv1_2, pool1, ..., fc6, drop6, fc7, drop7, fc8.

    Raises:
        ValueError: for an unknown configuration or field, an input too small for the pools, or a weights file that is
            missing or of another model.

    Example:

    >>> VGG("A").count_params()
    132863336

    Reference: section 2 and table 1 of Simonyan and Zisserman (2014).
    """
    if input_shape is not None:
        overrides["input_shape"] = input_shape
    config = vgg_config(preset, **overrides)
    check_classes(classes)
    check_top(include_top, pooling)
    seed = random.randrange(2**31)  # which `keras.utils.set_random_seed` fixes

    def initializers(layer):
        gaussian = config.initializer == "gaussian"
        kernel = keras.initializers.RandomNormal(stddev=0.1) if gaussian else config.initializer
        return layer_initializers(kernel, 0.0, seed, layer)

    inputs = x = keras.Input(config.input_shape, name="image")
    if config.input_scale != 1:
        x = keras.layers.Rescaling(config.input_scale, name="scale")(x)
    for stage, (kernel_sizes, filters) in enumerate(
        zip(config.kernel_sizes, config.filters, strict=True), 1
    ):
        for number, kernel_size in enumerate(kernel_sizes, 1):
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
        x = keras.layers.MaxPooling2D(2, 2, data_format="channels_last", name=f"pool{stage}")(x)
    if include_top:
        x = fully_connected(x, config, classes, classifier_activation, initializers)
    model = keras.Model(inputs, pooled(x, pooling), name=name or "vgg")
    if weights is not None:
        load_weights(model, weights)
    return model
