"""Configuration of AlexNet, and its presets."""

import dataclasses

from alexnet_keras.checks import is_whole_number
from alexnet_keras.models.fields import check_fields, check_shared_values
from alexnet_keras.ops.reference import ceiling_padding

CONV_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6")
HIDDEN_LAYERS = ("fc6", "fc7")
STAGES = ("activation", "normalization", "spatial_normalization", "pool", "average_pool")


@dataclasses.dataclass(frozen=True)
class AlexNetConfig:
    """Configuration of an AlexNet. The defaults are the preset `"paper"`.

    Tuples of six entries belong to conv1, ..., conv6 in this order, also if some layers are left
    out.

    Args:
        input_shape: `(height, width, channels)` of the image, in pixels.
        input_scale: factor of the pixel values before conv1.
        conv_layers: which of conv1, ..., conv6 the network has; conv1 is required. A layer is left
            out with its activation and normalization. Its pool stays, so that the following maps
            keep their size.
        local_layers: conv layers whose kernels differ from position to position. They see the maps
            of all towers. conv3 is then called local3, and so on.
        hidden_layers: which of the hidden fully connected layers fc6 and fc7 the network has.
        filters: kernels of each conv layer, both towers together.
        kernel_sizes: side of the kernels, in pixels.
        strides: stride of the convolutions, in pixels.
        paddings: rows and columns of zeros on each side.
        round_up: whether sizes round up. Convolutions then get further zeros at the right and
            bottom, and the last windows of pools may reach over these edges.
        stages: layers after each convolution, in order: `"activation"`, `"normalization"`,
            `"spatial_normalization"`, and `"pool"` (max pooling) or `"average_pool"`. The pool
            after conv1 is pool1, and so on.
        units: neurons of fc6 and of fc7.
        towers: 2 for the two GPUs of the paper, which only exchange maps before the layers in
            `exchange`; 1 for one GPU.
        exchange: conv layers that see the maps of all towers; conv1 always sees the whole image.
        activation: name of a Keras activation, of every layer but the last.
        pool_size: side of the pooling windows, in positions.
        pool_stride: distance between the pooling windows, in positions.
        normalization: whether the network has its normalization stages.
        normalization_size: number of neighboring maps, n of the paper.
        normalization_k: constant of the denominator.
        normalization_alpha: weight of the sum of squares.
        normalization_beta: power.
        normalization_divide_alpha: whether alpha is divided by the size.
        normalization_in_towers: whether the neighbors end at the border of a tower.
        spatial_normalization_size: side of the square in the second kind of normalization.
        spatial_normalization_alpha: weight of the mean square there.
        dropout: rate of the activities that dropout sets to zero after fc6 and fc7; 0 for none.
        initializer: `"gaussian"`, with the standard deviations below, or the name of a Keras
            initializer.
        kernel_stddev: standard deviation of the initial weights of conv1, conv2 and the fully
            connected layers.
        middle_kernel_stddev: standard deviation of the initial weights of conv3, conv4, conv5 and
            conv6.
        conv1_kernel_stddev: standard deviation of the initial weights of conv1, which then start
            from a Gaussian under every initializer; `None` for the start of the other layers. The
            initial noise fades with a time constant of 20,000 steps (rate 0.01). After a short
            training, only a small start shows learned kernels.
        bias: initial bias of the layers in `bias_layers`; 0 in other layers.
        bias_layers: layers with this initial bias.

    Raises:
        ValueError: for a value that no network can have; the message names the field.

    Reference: sections 3 and 5 of Krizhevsky et al. (2012).
    """

    input_shape: tuple = (224, 224, 3)
    input_scale: float = 1.0
    conv_layers: tuple = ("conv1", "conv2", "conv3", "conv4", "conv5")
    local_layers: tuple = ()
    hidden_layers: tuple = HIDDEN_LAYERS
    filters: tuple = (96, 256, 384, 384, 256, 256)
    kernel_sizes: tuple = (11, 5, 3, 3, 3, 3)
    strides: tuple = (4, 1, 1, 1, 1, 1)
    paddings: tuple = (0, 2, 1, 1, 1, 1)
    round_up: bool = True
    stages: tuple = (
        ("activation", "normalization", "pool"),
        ("activation", "normalization", "pool"),
        ("activation",),
        ("activation",),
        ("activation", "pool"),
        ("activation",),
    )
    units: tuple = (4096, 4096)
    towers: int = 2
    exchange: tuple = ("conv3", "conv6")
    activation: str = "relu"
    pool_size: int = 3
    pool_stride: int = 2
    normalization: bool = True
    normalization_size: int = 5
    normalization_k: float = 2.0
    normalization_alpha: float = 1e-4
    normalization_beta: float = 0.75
    normalization_divide_alpha: bool = False
    normalization_in_towers: bool = True
    spatial_normalization_size: int = 5
    spatial_normalization_alpha: float = 1e-3
    dropout: float = 0.5
    initializer: str = "gaussian"
    kernel_stddev: float = 0.01
    middle_kernel_stddev: float = 0.01
    conv1_kernel_stddev: float | None = None
    bias: float = 1.0
    bias_layers: tuple = ("conv2", "conv4", "conv5", "fc6", "fc7")

    def __post_init__(self):
        check_fields(self)
        check_shared_values(self)
        self._check_names("conv_layers", CONV_LAYERS)
        self._check_names("local_layers", CONV_LAYERS[1:])
        self._check_names("hidden_layers", HIDDEN_LAYERS)
        self._check_names("exchange", CONV_LAYERS)
        self._check_names("bias_layers", (*CONV_LAYERS, *HIDDEN_LAYERS, "fc8"))
        if "conv1" not in self.conv_layers:
            raise ValueError(
                f"`conv_layers` must hold 'conv1'. Received: conv_layers={self.conv_layers}"
            )
        if self.towers > 1 and not set(self.local_layers) <= set(self.exchange):
            raise ValueError(
                "`local_layers` must see all towers: use one tower, or name them in `exchange`. "
                f"Received: local_layers={self.local_layers}, towers={self.towers}, "
                f"exchange={self.exchange}"
            )
        self._check_stages()
        self._check_whole_numbers()
        for name in ("kernel_stddev", "middle_kernel_stddev", "conv1_kernel_stddev"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(
                    f"`{name}` must be a standard deviation, at least 0. Received: {name}={value!r}"
                )
        if not self.spatial_normalization_alpha >= 0:
            raise ValueError(
                "`spatial_normalization_alpha` must not be negative. "
                f"Received: spatial_normalization_alpha={self.spatial_normalization_alpha}"
            )
        for name, count in zip(CONV_LAYERS, self.filters, strict=True):
            if name in self.conv_layers and count % self.towers:
                raise ValueError(
                    "`towers` must divide the filters of every conv layer. "
                    f"Received: towers={self.towers}, {count} filters in {name}"
                )
        self.map_sizes()

    def _check_whole_numbers(self):
        for name, least, count in (
            ("input_shape", 1, 3),
            ("filters", 1, 6),
            ("kernel_sizes", 1, 6),
            ("strides", 1, 6),
            ("paddings", 0, 6),
            ("units", 1, 2),
        ):
            value = getattr(self, name)
            if len(value) != count or not all(is_whole_number(n, least) for n in value):
                raise ValueError(
                    f"`{name}` must be {count} whole numbers, each at least {least}. "
                    f"Received: {name}={value}"
                )

    def _check_stages(self):
        if len(self.stages) != len(CONV_LAYERS):
            raise ValueError(
                f"`stages` must have {len(CONV_LAYERS)} entries, one for each of "
                f"{', '.join(CONV_LAYERS)}. Received: stages={self.stages}"
            )
        for stages in self.stages:
            is_known = isinstance(stages, tuple) and set(stages) <= set(STAGES)
            if not is_known or len(set(stages)) < len(stages):
                raise ValueError(
                    f"`stages` must be taken from {STAGES}, each once a layer. Received: {stages}"
                )
            if {"pool", "average_pool"} <= set(stages):
                raise ValueError(f"`stages` must have one pool a layer. Received: {stages}")

    def _check_names(self, field, accepted):
        value = getattr(self, field)
        if tuple(value) != tuple(name for name in accepted if name in value):
            raise ValueError(
                f"`{field}` must be names out of {', '.join(accepted)}, in this order. "
                f"Received: {field}={value!r}"
            )

    def map_sizes(self) -> dict:
        """Returns the heights and widths of the maps, in positions.

        Returns:
            dict from `"conv1"`, `"pool1"`, ... to `(height, width)`, in the order of the network.

        Raises:
            ValueError: for an input too small for the kernels and pools; the message has the
                smallest size that fits.
        """
        sizes = [self._side_lengths(side) for side in self.input_shape[:2]]
        heights, widths = sizes
        if heights is None or widths is None:
            smallest = next(side for side in range(1, 10_000) if self._side_lengths(side))
            raise ValueError(
                "`input_shape` is too small for the kernels and pools of this network: height and "
                f"width must be at least {smallest} pixels. "
                f"Received: input_shape={self.input_shape}"
            )
        return {name: (heights[name], widths[name]) for name in heights}

    def layer_name(self, conv: str) -> str:
        """Returns the name of a conv layer in the model: conv3, or local3 if it is local."""
        return conv.replace("conv", "local") if conv in self.local_layers else conv

    def missing(self, side: int, window: int, stride: int) -> int:
        """Returns the rows of zeros to add at the bottom or right; 0 if sizes round down."""
        return ceiling_padding(side, window, stride) if self.round_up else 0

    def _side_lengths(self, side):
        """Returns a dict from a layer to the side of its maps; `None` if the input is too small."""
        lengths = {}
        for index, name in enumerate(CONV_LAYERS):
            if name in self.conv_layers:
                kernel = self.kernel_sizes[index]
                stride = self.strides[index]
                side += 2 * self.paddings[index]
                if side < kernel:
                    return None
                side = (side + self.missing(side, kernel, stride) - kernel) // stride + 1
                lengths[self.layer_name(name)] = side
            if {"pool", "average_pool"} & set(self.stages[index]):
                if side < self.pool_size:
                    return None
                side = side + self.missing(side, self.pool_size, self.pool_stride) - self.pool_size
                side = side // self.pool_stride + 1
                lengths[name.replace("conv", "pool")] = side
        return lengths


_PAPER = AlexNetConfig()

_SOURCE = dataclasses.replace(
    _PAPER,
    stages=(
        ("normalization", "pool", "activation"),
        ("activation", "normalization", "spatial_normalization", "pool"),
        ("activation",),
        ("activation",),
        ("pool", "activation"),
        ("activation",),
    ),
    normalization_divide_alpha=True,
    middle_kernel_stddev=0.03,
)

# A fixed Gaussian suits only the fan-ins and the pixel values of the full-size network. He's
# initialization suits any width, for inputs with a variance of about one.
_SMALL = dataclasses.replace(
    _PAPER,
    input_shape=(64, 64, 3),
    input_scale=1 / 64,
    filters=(32, 64, 96, 96, 64, 64),
    kernel_sizes=(7, 5, 3, 3, 3, 3),
    strides=(2, 1, 1, 1, 1, 1),
    units=(512, 512),
    initializer="he_normal",
    conv1_kernel_stddev=0.006,  # a twentieth of He's, so that short trainings show learned kernels
    bias=0.0,
    normalization_alpha=1e-4 * 64**2,  # the paper's, of values that the input scale divides by 64
)

_CAFFE = dataclasses.replace(
    _PAPER,
    input_shape=(227, 227, 3),
    normalization_k=1.0,
    normalization_divide_alpha=True,
    normalization_in_towers=False,
)

# The networks of cuda-convnet's configuration files for CIFAR-10, on pixel values 0-255. Pooling
# before the activation is the same function with fewer activations.
_FOUR_LAYER = dataclasses.replace(
    _PAPER,
    input_shape=(32, 32, 3),
    conv_layers=("conv1", "conv2", "conv3"),
    hidden_layers=(),
    filters=(32, 32, 64, 64, 64, 64),
    kernel_sizes=(5, 5, 5, 3, 3, 3),
    strides=(1, 1, 1, 1, 1, 1),
    paddings=(2, 2, 2, 1, 1, 1),
    stages=(
        ("pool", "activation", "normalization"),
        ("pool", "activation", "normalization"),
        ("pool", "activation"),
        (),
        (),
        (),
    ),
    towers=1,
    normalization=False,
    dropout=0.0,
    bias=0.0,
)
_CIFAR_19PCT = dataclasses.replace(
    _FOUR_LAYER,
    conv1_kernel_stddev=0.0001,
    stages=(
        ("pool", "activation", "spatial_normalization"),
        ("activation", "average_pool", "spatial_normalization"),
        ("activation", "average_pool"),
        (),
        (),
        (),
    ),
    spatial_normalization_size=3,
    spatial_normalization_alpha=0.00005,
)
_CIFAR_13PCT = dataclasses.replace(
    _FOUR_LAYER,
    input_shape=(24, 24, 3),
    conv_layers=("conv1", "conv2", "conv3", "conv4"),
    local_layers=("conv3", "conv4"),
    filters=(64, 64, 32, 32, 64, 64),
    kernel_sizes=(5, 5, 3, 3, 3, 3),
    paddings=(2, 2, 1, 1, 1, 1),
    stages=(
        ("pool", "activation", "normalization"),
        ("activation", "normalization", "pool"),
        ("activation",),
        ("activation",),
        (),
        (),
    ),
    normalization_size=9,
    normalization_k=1.0,
    normalization_alpha=0.001,
    normalization_divide_alpha=True,
    conv1_kernel_stddev=0.0001,
    middle_kernel_stddev=0.04,
)

PRESETS = {
    "paper": _PAPER,
    "source": _SOURCE,
    "one_tower": dataclasses.replace(_SOURCE, towers=1, filters=(48, 128, 192, 192, 256, 256)),
    "conv6": dataclasses.replace(_SOURCE, conv_layers=CONV_LAYERS),
    # The networks of published weights. Their sizes fit without rounding.
    "torchvision": dataclasses.replace(
        _PAPER,
        input_scale=1 / 64,
        filters=(64, 192, 384, 256, 256, 256),
        paddings=(2, 2, 1, 1, 1, 1),
        round_up=False,
        towers=1,
        normalization=False,
        initializer="he_normal",
        bias=0.0,
    ),
    "bvlc_alexnet": dataclasses.replace(_CAFFE, bias=0.1),
    "caffenet": dataclasses.replace(
        _CAFFE,
        stages=(
            ("activation", "pool", "normalization"),
            ("activation", "pool", "normalization"),
            *_PAPER.stages[2:],
        ),
    ),
    "small": _SMALL,
    # 1.4 million weights, wide enough for 200 classes. The alpha is the one that the weights of the
    # package were trained with. It is so small that the normalization is a constant factor.
    "tiny_imagenet": dataclasses.replace(
        _SMALL,
        filters=(64, 128, 192, 192, 128, 128),
        units=(512, 320),
        dropout=0.25,
        normalization_alpha=1e-4,
    ),
    "cifar": dataclasses.replace(
        _SMALL,
        input_shape=(32, 32, 3),
        kernel_sizes=(5, 5, 3, 3, 3, 3),
        conv1_kernel_stddev=0.008,
        units=(256, 256),
        strides=(1, 1, 1, 1, 1, 1),
        paddings=(2, 2, 1, 1, 1, 1),
    ),
    "four_layer": dataclasses.replace(_FOUR_LAYER, input_scale=1 / 64),
    "cifar_19pct": _CIFAR_19PCT,
    "cifar_18pct": dataclasses.replace(_CIFAR_19PCT, normalization=True),
    "cifar_13pct": _CIFAR_13PCT,
    "cifar_11pct": dataclasses.replace(
        _CIFAR_13PCT, filters=(64, 64, 64, 32, 64, 64), normalization=True
    ),
}


def alexnet_config(preset: str | AlexNetConfig = "paper", **overrides) -> AlexNetConfig:
    """Returns the configuration of a preset with some fields replaced.

    Args:
        preset: one of `PRESETS`, or an `AlexNetConfig`.
        **overrides: fields of `AlexNetConfig` that replace the preset's.

    Raises:
        ValueError: for an unknown preset or field, or a value that no network can have.
    """
    if not isinstance(preset, AlexNetConfig):
        if not isinstance(preset, str) or preset not in PRESETS:
            raise ValueError(
                f"`preset` must be one of {', '.join(PRESETS)}, or an AlexNetConfig. "
                f"Received: preset={preset!r}"
            )
        preset = PRESETS[preset]
    fields = [field.name for field in dataclasses.fields(AlexNetConfig)]
    unknown = [name for name in overrides if name not in fields]
    if unknown:
        raise ValueError(
            f"An override must be one of {', '.join(fields)}. Received: {', '.join(unknown)}"
        )
    return dataclasses.replace(preset, **overrides)
