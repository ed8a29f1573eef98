"""The AlexNet network."""

import dataclasses
import os
import random

import keras

from alexnet_keras.checks import check_whole_number
from alexnet_keras.layers import (
    CeilingAveragePooling2D,
    CeilingMaxPooling2D,
    GroupedConv2D,
    LocallyConnected2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
)
from alexnet_keras.layers.replaced_weights import weights_replaced
from alexnet_keras.models.alexnet_config import CONV_LAYERS, AlexNetConfig, alexnet_config
from alexnet_keras.models.head import check_top, fully_connected, pooled
from alexnet_keras.models.initializers import layer_initializers
from alexnet_keras.models.saved import load_weights
from alexnet_keras.pretrained import REGISTRY

# From a stage, and whether its sizes round up.
_POOLS = {
    ("pool", True): CeilingMaxPooling2D,
    ("pool", False): keras.layers.MaxPooling2D,
    ("average_pool", True): CeilingAveragePooling2D,
    ("average_pool", False): keras.layers.AveragePooling2D,
}

# Fields that may differ from the network of named weights. `load_pretrained` compares the shapes.
_SHAPES = ("input_shape", "filters", "kernel_sizes", "units")
_OF_TRAINING = (
    "dropout",
    "initializer",
    "kernel_stddev",
    "middle_kernel_stddev",
    "conv1_kernel_stddev",
    "bias",
    "bias_layers",
)


def AlexNet(
    preset: str | AlexNetConfig | None = None,
    *,
    input_shape: tuple | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    weights: str | os.PathLike | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    name: str | None = None,
    **overrides,
) -> keras.Model:
    """The network of "ImageNet Classification with Deep Convolutional Neural Networks".

    | preset | network |
    |---|---|
    | `"paper"` | the paper to the letter |
    | `"source"` | net 145 of the 2012 source, whose errors the paper prints |
    | `"one_tower"` | one GPU in the source: half the kernels in conv1-conv4, wide conv5 and fc |
    | `"conv6"` | `"source"` with a sixth conv layer over the last pool, for larger data sets |
    | `"torchvision"` | torchvision's `alexnet` ("one weird trick"): one tower, no normalization |
    | `"bvlc_alexnet"` | Caffe's: 227 pixels, k = 1, neighbors across towers |
    | `"caffenet"` | the same, pooling before normalization |
    | `"small"` | the same eight layers and towers for images of 64x64 pixels and a laptop |
    | `"tiny_imagenet"` | the same with more kernels, for the 200 classes of Tiny ImageNet |
    | `"cifar"` | the same for images of 32x32 pixels |
    | `"four_layer"` | figure 1, for CIFAR-10: three conv layers (32, 32, 64 kernels of 5x5), fc8 |
    | `"cifar_11pct"`, `"cifar_13pct"` | section 3.3, for CIFAR-10, with and without normalization |
    | `"cifar_18pct"`, `"cifar_19pct"` | cuda-convnet's plain ones, with and without normalization |

    Where the paper leaves a choice open, `"paper"` follows the 2012 source:

    - 3 rows and columns of zeros, only at the bottom and right, make 55 positions of 224 pixels;
      pools round up in the same way;
    - conv2 pads 2, and conv3-conv5 pad 1;
    - response normalization stays inside a tower;
    - the maps of a tower are consecutive, tower 1 first.

    The network `"source"` differs from `"paper"` in these points:

    - the first normalization acts on the linear output of conv1, whose ReLU follows the pool;
    - alpha is divided by 5;
    - a spatial normalization follows the second normalization;
    - conv5 is pooled before its ReLU;
    - the initial weights of conv3-conv5 have the standard deviation 0.03.

    Their trainings differ as well, see `alexnet_keras.training.training_config`.

    `"torchvision"`, `"bvlc_alexnet"` and `"caffenet"` are for the weights that
    `alexnet_keras.convert` reads. Dropout follows fc6 and fc7 here, and precedes them in
    torchvision: the training differs, but not the trained function. fc6 and fc7 start from
    N(0, 0.01) here, and from N(0, 0.005) in Caffe.

    `"small"`, `"cifar"`, `"tiny_imagenet"` and `"torchvision"` start from He's initialization and
    zero biases, on pixel values divided by 64. The paper's Gaussians suit the fan-ins of the
    full-size network only. Conv1 of the first three starts at a twentieth of He's standard
    deviation. Its initial noise fades with a time constant of 20,000 steps, longer than these short
    trainings. From a small start the kernels show learned patterns. `"four_layer"` divides pixel
    values by 64, too.

    Args:
        preset: a preset's name or an `AlexNetConfig`; `None` for the preset of named weights, or
            `"paper"`.
        input_shape: `(height, width, channels)` of the image in pixels; `None` for the preset's
            own.
        classes: number of classes; `None` for the number of named weights, or 1000.
        classifier_activation: activation of fc8; `None` for logits.
        weights: a name of `alexnet_keras.pretrained.available()`, the path of a `.keras`,
            `.weights.h5` or (torchvision's layers) `.pth` file, or `"hf://user/model"`; `None` for
            new weights.
        include_top: whether the network has fc6, fc7 and fc8. Without them it ends with the last
            pool or its activation, and takes only the other layers from `weights`.
        pooling: with `include_top=False`, `"avg"` or `"max"` over all positions; `None` for the
            maps.
        name: name of the model.
        **overrides: fields of `AlexNetConfig` that replace the preset's, e.g. `activation="tanh"`.

    Returns:
        A `keras.Model` from images to `(batch, classes)`. Images are
        `(batch, height, width, channels)` with values 0-255, minus the mean image. The layers are
        conv1, norm1, pool1, ..., fc6, drop6, fc7, drop7, fc8. `"paper"` and `"source"` have
        60,965,224 parameters. With `include_top=False` the output is
        `(batch, rows, columns, maps)`, or `(batch, maps)` with `pooling`.

    Raises:
        ValueError: for an unknown preset or field; for an input too small for the pools, or a
            number of maps that the towers do not divide; for weights that are missing or of another
            model.

    Example:

    >>> AlexNet().count_params()
    60965224
    >>> AlexNet("paper", activation="tanh", normalization=False).get_layer("fc8").units
    1000
    >>> AlexNet(include_top=False, pooling="avg").output_shape
    (None, 256)

    Reference: sections 3-5 of Krizhevsky et al. (2012); 2012 source.
    """
    check_top(include_top, pooling)
    if input_shape is not None:
        overrides["input_shape"] = input_shape
    if isinstance(weights, str) and weights in REGISTRY:
        classes = _classes_of(weights, classes, include_top)
        config = _config_of(weights, preset, overrides, include_top)
    else:
        config = alexnet_config("paper" if preset is None else preset, **overrides)
    classes = 1000 if classes is None else classes
    classes = check_whole_number("classes", classes)
    seed = random.randrange(2**31)  # `keras.utils.set_random_seed` fixes it
    with weights_replaced(weights is not None):
        inputs = keras.Input(config.input_shape, name="image")
        x = inputs
        if config.input_scale != 1:
            x = keras.layers.Rescaling(config.input_scale, name="scale")(x)
        for conv in CONV_LAYERS:
            x = _conv_block(x, config, conv, seed)
        if include_top:
            x = fully_connected(
                x,
                config,
                classes,
                classifier_activation,
                lambda layer: _initializers(config, layer, seed),
            )
    model = keras.Model(inputs, pooled(x, pooling), name=name or "alexnet")
    if weights is not None:
        load_weights(model, weights)
    return model


def _classes_of(weights, classes, include_top):
    """Returns the number of classes of named weights, after a check of the requested number."""
    stored = REGISTRY[weights].classes
    if not include_top:
        return classes
    if not stored:
        raise ValueError(
            f"`include_top` must be False for weights={weights!r}, which have only conv layers. "
            "Received: include_top=True"
        )
    if classes not in (None, stored):
        raise ValueError(
            f"`classes` must be {stored} for weights={weights!r}. Received: classes={classes!r}. "
            "For other classes take include_top=False, and add layers"
        )
    return stored


def _config_of(weights, preset, overrides, include_top):
    """Returns the configuration for named weights, after a check that its function is theirs."""
    entry = REGISTRY[weights]
    if isinstance(preset, str) and preset != entry.preset:
        raise ValueError(
            f"`preset` must be {entry.preset!r} for weights={weights!r}. "
            f"Received: preset={preset!r}"
        )
    stored = alexnet_config(entry.preset, **entry.overrides)
    if preset is None or isinstance(preset, str):
        preset = stored
    requested = alexnet_config(preset, **overrides)
    free = [*_SHAPES, *_OF_TRAINING]
    if not include_top:
        free.append("hidden_layers")
    for field in dataclasses.fields(requested):
        expected = getattr(stored, field.name)
        found = getattr(requested, field.name)
        if field.name not in free and found != expected:
            raise ValueError(
                f"`{field.name}` must be {expected!r} for weights={weights!r}. "
                f"Received: {field.name}={found!r}"
            )
    return requested


def _conv_block(x, config, conv, seed):
    """Adds a convolution, its activation and normalization, and its pool."""
    index = CONV_LAYERS.index(conv)
    number = conv[-1]
    groups = config.towers if config.normalization_in_towers else 1
    stages = config.stages[index]
    if conv not in config.conv_layers:
        stages = [stage for stage in stages if "pool" in stage]
    else:
        x = _convolution(x, config, conv, seed)
    for stage in stages:
        if stage == "activation":
            x = keras.layers.Activation(config.activation, name=f"{config.activation}{number}")(x)
        elif "pool" in stage:
            pool = _POOLS[stage, config.round_up]
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
                groups=groups,
                name=f"norm{number}",
            )(x)
        elif config.normalization and stage == "spatial_normalization":
            x = SpatialResponseNormalization(
                size=config.spatial_normalization_size,
                alpha=config.spatial_normalization_alpha,
                name=f"spatial_norm{number}",
            )(x)
    return x


def _convolution(x, config, conv, seed):
    """Adds a convolution, and a padding layer if the convolution cannot pad by itself."""
    index = CONV_LAYERS.index(conv)
    kernel = config.kernel_sizes[index]
    stride = config.strides[index]
    padding = config.paddings[index]
    # Convolutions pad by themselves if they can, which is faster than a padding layer.
    pads_itself = stride == 1 and 2 * padding == kernel - 1
    mode = "same" if pads_itself else "valid"
    if not pads_itself:
        missing = [config.missing(n + 2 * padding, kernel, stride) for n in x.shape[1:3]]
        if padding or any(missing):
            zeros = tuple((padding, padding + n) for n in missing)
            x = keras.layers.ZeroPadding2D(
                zeros, data_format="channels_last", name=f"pad{conv[-1]}"
            )(x)
    options = {
        "strides": stride,
        "padding": mode,
        **_initializers(config, conv, seed),
        "name": config.layer_name(conv),
    }
    if conv in config.local_layers:
        return LocallyConnected2D(config.filters[index], kernel, **options)(x)
    sees_all = conv == "conv1" or conv in config.exchange
    groups = 1 if sees_all else config.towers
    return GroupedConv2D(
        config.filters[index],
        kernel,
        groups=groups,
        data_format="channels_last",
        **options,
    )(x)


def _initializers(config, layer, seed):
    """Returns the initializers of a layer, as arguments of a Keras layer."""
    kernel = config.initializer
    if layer == "conv1" and config.conv1_kernel_stddev is not None:
        kernel = keras.initializers.RandomNormal(stddev=config.conv1_kernel_stddev)
    elif kernel == "gaussian":
        middle = layer in ("conv3", "conv4", "conv5", "conv6")
        stddev = config.middle_kernel_stddev if middle else config.kernel_stddev
        kernel = keras.initializers.RandomNormal(stddev=stddev)
    bias = config.bias if layer in config.bias_layers else 0.0
    return layer_initializers(kernel, bias, seed, layer)
