"""AlexNet."""

import random

import keras

from alexnet_keras.layers import (
    CeilingMaxPooling2D,
    GroupedConv2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
)
from alexnet_keras.models.alexnet_config import CONV_LAYERS, alexnet_config
from alexnet_keras.models.head import check_classes, fully_connected
from alexnet_keras.models.initializers import layer_initializers
from alexnet_keras.models.saved import load_weights


def AlexNet(
    preset="paper",
    *,
    input_shape=None,
    classes=1000,
    classifier_activation="softmax",
    weights=None,
    name=None,
    **overrides,
):
    """The network of "ImageNet Classification with Deep Convolutional Neural Networks".

    | preset | what it is |
    |---|---|
    | `"paper"` | the paper, read to the letter |
    | `"source"` | net 145 of the 2012 source, whose errors the paper prints |
    | `"one_tower"` | one GPU of the two as the source ran it: half the kernels in conv1-conv4, wide conv5 and fc |
    | `"conv6"` | `"source"` with the sixth conv layer over the last pool, for larger data sets |
    | `"torchvision"` | torchvision's `alexnet`, of "one weird trick": one tower, other widths, no normalization |
    | `"bvlc_alexnet"`, `"caffenet"` | Caffe's: 227 pixels, k = 1, neighbors across towers; `"caffenet"` pools first |
    | `"small"` | the same eight layers and towers for images of 64x64 pixels, light enough for a laptop |
    | `"cifar"` | the same for images of 32x32 pixels |
    | `"four_layer"` | three conv layers (32, 32 and 64 kernels of 5x5) and fc8: the network of figure 1, for CIFAR-10 |

    What the paper leaves open is taken from the 2012 source in `"paper"` too: 224 pixels become 55 positions by 3 rows
    and columns of zeros at the bottom and right alone; pools round up in the same way; conv2 pads 2, conv3-conv5 pad 1;
    response normalization runs inside a tower; the towers' maps are consecutive, tower 1 first.

    `"source"` differs from `"paper"` in the network by: the first normalization acts on the linear output of conv1, and
    its ReLU follows the pool; alpha is divided by 5; a spatial normalization follows the second normalization; conv5
    is pooled before its ReLU; the initial weights of conv3-conv5 have standard deviation 0.03. How the two train
    differs as well, see `alexnet_keras.training.training_config`.

    `"torchvision"`, `"bvlc_alexnet"` and `"caffenet"` are for the weights that `alexnet_keras.convert` reads.
    torchvision's dropout precedes fc6 and fc7, here it follows them, which is another training but the same function
    afterwards; Caffe's fc6 and fc7 start from N(0, 0.005), here from N(0, 0.01).

    `"small"`, `"cifar"` and `"torchvision"` start from He's initialization and zero biases, on pixel values divided by
    64, because the paper's widths of the Gaussian belong to the fan-ins of the real network. Conv1 of `"small"` and
    `"cifar"` starts at a twentieth of He's standard deviation. The initial noise fades with a time constant of 20,000
    steps, which these short trainings never reach; from a small start the kernels show what they have learned.

    Args:
        preset: a preset's name or an `AlexNetConfig`.
        input_shape: `(height, width, channels)` of the image in pixels; `None` for the preset's own.
        classes: number of classes.
        classifier_activation: activation of fc8; `None` for logits.
        weights: path of a `.keras` or `.weights.h5` file with the weights of such a network; `None` for new ones.
        name: name of the model.
        **overrides: fields of `AlexNetConfig` that replace the preset's, e.g. `activation="tanh"`.

    Returns:
        A `keras.Model` from images, `(batch, height, width, channels)` on the scale 0-255 less the mean image, to
        `(batch, classes)`. Its layers are conv1, norm1, pool1, ..., fc6, drop6, fc7, drop7, fc8. `"paper"` and
        `"source"` have 60,965,224 parameters.

    Raises:
        ValueError: for an unknown preset or field, an input too small for the pools, a number of maps that the towers
            do not divide, or a weights file that is missing or of another model.

    Example:

    >>> AlexNet().count_params()
    60965224
    >>> AlexNet("paper", activation="tanh", normalization=False).get_layer("fc8").units
    1000

    Reference: sections 3-5 of Krizhevsky et al. (2012); 2012 source.
    """
    if input_shape is not None:
        overrides["input_shape"] = input_shape
    config = alexnet_config(preset, **overrides)
    check_classes(classes)
    seed = random.randrange(2**31)  # which `keras.utils.set_random_seed` fixes
    inputs = x = keras.Input(config.input_shape, name="image")
    if config.input_scale != 1:
        x = keras.layers.Rescaling(config.input_scale, name="scale")(x)
    for conv in CONV_LAYERS:
        x = _conv_block(x, config, conv, seed)
    x = fully_connected(
        x, config, classes, classifier_activation, lambda layer: _initializers(config, layer, seed)
    )
    model = keras.Model(inputs, x, name=name or "alexnet")
    if weights is not None:
        load_weights(model, weights)
    return model


def _conv_block(x, config, conv, seed):
    index = CONV_LAYERS.index(conv)
    number = conv[-1]
    stages = config.stages[index]
    if conv not in config.conv_layers:
        stages = [stage for stage in stages if stage == "pool"]
    else:
        x = _convolution(x, config, conv, seed)
    for stage in stages:
        if stage == "activation":
            x = keras.layers.Activation(config.activation, name=f"{config.activation}{number}")(x)
        elif stage == "pool":
            pool = CeilingMaxPooling2D if config.round_up else keras.layers.MaxPooling2D
            x = pool(
                config.pool_size,
                config.pool_stride,
                data_format="channels_last",
                name=f"pool{number}",
            )(x)
        elif config.normalization and stage == "normalization":
            x = LocalResponseNormalization(
                size=config.normalization_size,
                k=config.normalization_k,
                alpha=config.normalization_alpha,
                beta=config.normalization_beta,
                divide_alpha=config.normalization_divide_alpha,
                groups=config.towers if config.normalization_in_towers else 1,
                name=f"norm{number}",
            )(x)
        elif config.normalization and stage == "spatial_normalization":
            x = SpatialResponseNormalization(name=f"spatial_norm{number}")(x)
    return x


def _convolution(x, config, conv, seed):
    index = CONV_LAYERS.index(conv)
    kernel, stride, padding = (
        config.kernel_sizes[index],
        config.strides[index],
        config.paddings[index],
    )
    # Convolutions pad by themselves where they can, which is faster than a layer for it.
    same = stride == 1 and 2 * padding == kernel - 1
    if not same:
        missing = [config.missing(n + 2 * padding, kernel, stride) for n in x.shape[1:3]]
        if padding or any(missing):
            zeros = tuple((padding, padding + n) for n in missing)
            x = keras.layers.ZeroPadding2D(
                zeros, data_format="channels_last", name=f"pad{conv[-1]}"
            )(x)
    sees_all = conv == "conv1" or conv in config.exchange
    return GroupedConv2D(
        config.filters[index],
        kernel,
        strides=stride,
        padding="same" if same else "valid",
        groups=1 if sees_all else config.towers,
        data_format="channels_last",
        **_initializers(config, conv, seed),
        name=conv,
    )(x)


def _initializers(config, layer, seed):
    kernel = config.initializer
    if layer == "conv1" and config.conv1_kernel_stddev is not None:
        kernel = keras.initializers.RandomNormal(stddev=config.conv1_kernel_stddev)
    elif kernel == "gaussian":
        middle = layer in ("conv3", "conv4", "conv5", "conv6")
        kernel = keras.initializers.RandomNormal(
            stddev=config.middle_kernel_stddev if middle else config.kernel_stddev
        )
    return layer_initializers(
        kernel, config.bias if layer in config.bias_layers else 0.0, seed, layer
    )
