"""Configuration of VGG networks, and the presets of the paper."""

import dataclasses

from alexnet_keras.checks import is_whole_number
from alexnet_keras.models.fields import check_fields, check_shared_values

HIDDEN_LAYERS = ("fc6", "fc7")


@dataclasses.dataclass(frozen=True)
class VGGConfig:
    """Configuration of a VGG network. The defaults are the preset `"D"`.

    Args:
        input_shape: `(height, width, channels)` of the image, in pixels.
        input_scale: factor of the pixel values before conv1_1.
        kernel_sizes: for each stage the sides of the kernels of its convolutions, 3 or 1 in the
            paper. A 2x2 pool with stride 2 ends every stage.
        filters: kernels of every convolution of a stage.
        units: neurons of fc6 and fc7.
        activation: name of a Keras activation, of every layer but the last.
        normalization: whether response normalization follows the first convolution, as in A-LRN.
        normalization_size, normalization_k, normalization_alpha, normalization_beta: its constants;
            the paper refers to Krizhevsky et al. (2012).
        dropout: rate after fc6 and fc7; 0 for none.
        initializer: name of a Keras initializer, or `"gaussian"` for the paper's N(0, 0.1) with the
            variance 0.01. With Glorot's initialization no other network must be trained first.
            Biases start at 0.

    Raises:
        ValueError: for a value that no network can have; the message names the field.

    Reference: section 2 and table 1 of Simonyan and Zisserman (2014); section 3.1 for the
    initialization.
    """

    input_shape: tuple = (224, 224, 3)
    input_scale: float = 1.0
    kernel_sizes: tuple = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
    filters: tuple = (64, 128, 256, 512, 512)
    units: tuple = (4096, 4096)
    activation: str = "relu"
    normalization: bool = False
    normalization_size: int = 5
    normalization_k: float = 2.0
    normalization_alpha: float = 1e-4
    normalization_beta: float = 0.75
    dropout: float = 0.5
    initializer: str = "glorot_uniform"

    hidden_layers = HIDDEN_LAYERS

    def __post_init__(self):
        check_fields(self)
        check_shared_values(self)
        stages = len(self.kernel_sizes)
        for name, count in (("input_shape", 3), ("filters", stages), ("units", 2)):
            value = getattr(self, name)
            if len(value) != count or not all(map(is_whole_number, value)):
                raise ValueError(
                    f"`{name}` must be {count} positive whole numbers. Received: {name}={value}"
                )
        if not all(map(_is_stage, self.kernel_sizes)):
            raise ValueError(
                "`kernel_sizes` must be a sequence of stages, each of odd whole numbers. "
                f"Received: kernel_sizes={self.kernel_sizes}"
            )
        if min(self.input_shape[:2]) < 2**stages:
            raise ValueError(
                f"`input_shape` is too small for {stages} pools: height and width must be at least "
                f"{2**stages} pixels. Received: input_shape={self.input_shape}"
            )


def _is_stage(sizes):
    """Returns whether the kernel sizes of a stage are a tuple of odd whole numbers."""
    if not isinstance(sizes, tuple) or not sizes:
        return False
    return all(is_whole_number(size) and size % 2 for size in sizes)


def _stages(*counts, last=3):
    """Returns kernel sizes of stages of `counts` convolutions: 3x3, and `last` for the third."""
    return tuple((3, 3, last, 3)[:count] for count in counts)


_A = VGGConfig(kernel_sizes=_stages(1, 1, 2, 2, 2))

VGG_PRESETS = {
    "A": _A,
    "A-LRN": dataclasses.replace(_A, normalization=True),
    "B": VGGConfig(kernel_sizes=_stages(2, 2, 2, 2, 2)),
    "C": VGGConfig(kernel_sizes=_stages(2, 2, 3, 3, 3, last=1)),
    "D": VGGConfig(),
    "E": VGGConfig(kernel_sizes=_stages(2, 2, 4, 4, 4)),
}


def vgg_config(preset: str | VGGConfig = "D", **overrides) -> VGGConfig:
    """Returns the configuration of a preset with some fields replaced.

    Args:
        preset: one of `VGG_PRESETS`, or a `VGGConfig`.
        **overrides: fields of `VGGConfig` that replace the preset's.

    Raises:
        ValueError: for an unknown configuration or field, or a value that no network can have.
    """
    if not isinstance(preset, VGGConfig):
        if not isinstance(preset, str) or preset not in VGG_PRESETS:
            raise ValueError(
                f"`preset` must be one of {', '.join(VGG_PRESETS)}, or a VGGConfig. "
                f"Received: preset={preset!r}"
            )
        preset = VGG_PRESETS[preset]
    fields = [field.name for field in dataclasses.fields(VGGConfig)]
    unknown = [name for name in overrides if name not in fields]
    if unknown:
        raise ValueError(
            f"An override must be one of {', '.join(fields)}. Received: {', '.join(unknown)}"
        )
    return dataclasses.replace(preset, **overrides)
