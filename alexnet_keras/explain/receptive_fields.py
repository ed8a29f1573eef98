"""Receptive fields: the pixels that a unit sees."""

import dataclasses

import keras

from alexnet_keras.layers import (
    LocallyConnected2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
)
from alexnet_keras.models.inspection import layer_of
from alexnet_keras.ops.reference import same_padding

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, LocallyConnected2D)
_POOLS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_SEE_ALL = (
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
)
_POINTWISE = (
    LocalResponseNormalization,
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    keras.layers.SpatialDropout2D,
)


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """The pixels that the units of a layer see. All lengths are `(vertical, horizontal)` pixels.

    Args:
        size: height and width of the field of one unit.
        stride: distances between the fields of neighboring units; 0 if all see the whole image.
        start: top and left of the field of the first unit, negative in the padding.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    start: tuple[int, int]

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Returns `(top, left, bottom, right)` of a unit's field, in pixels.

        Bottom and right are the first pixels outside. A field may reach beyond the image.

        Args:
            row, column: position of the unit in its map.
        """
        top = self.start[0] + row * self.stride[0]
        left = self.start[1] + column * self.stride[1]
        return top, left, top + self.size[0], left + self.size[1]


def receptive_field(network: keras.Model, layer: str) -> ReceptiveField:
    """Computes the receptive field of a layer from the layers before it.

    A window of `k` positions with stride `s` and padding `p` changes size, stride and start of the
    field to `size + (k - 1) * stride`, `stride * s` and `start - p * stride`.

    Args:
        network: an AlexNet, a VGG, or another chain of layers from an image
            `(batch, height, width, maps)`.
        layer: name of a layer.

    Raises:
        ValueError: for an unknown layer, or a layer before it whose field is not known.

    Example:

    >>> receptive_field(AlexNet(), "conv5")
    ReceptiveField(size=(163, 163), stride=(16, 16), start=(-64, -64))
    """
    size = [1, 1]
    stride = [1, 1]
    start = [0, 0]
    for each in _path(network, layer_of(network, layer)):
        if isinstance(each, _SEE_ALL):
            height, width = network.inputs[0].shape[1:3]
            return ReceptiveField((height, width), (0, 0), (0, 0))
        for axis, (window, step, padding) in enumerate(_windows(each)):
            size[axis] += (window - 1) * stride[axis]
            start[axis] -= padding * stride[axis]
            stride[axis] *= step
    return ReceptiveField((size[0], size[1]), (stride[0], stride[1]), (start[0], start[1]))


def _path(network, layer):
    """Returns the layers from the input to a layer."""
    layers = {id(each.output): each for each in network.layers}
    path = []
    while not isinstance(layer, keras.layers.InputLayer):
        path.insert(0, layer)
        if layer.input is network.inputs[0]:
            break
        if id(layer.input) not in layers:
            raise ValueError(
                "`network` must be a chain of layers. "
                f"Received: layer '{layer.name}' with other inputs"
            )
        layer = layers[id(layer.input)]
    return path


def _windows(layer):
    """Returns `(window, stride, padding before)` of height and width."""
    if isinstance(layer, _CONVOLUTIONS):
        dilation = getattr(layer, "dilation_rate", (1, 1))
        windows = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, dilation, strict=True)]
        return list(zip(windows, layer.strides, _padding(layer, windows), strict=True))
    if isinstance(layer, _POOLS):
        padding = _padding(layer, layer.pool_size)
        return list(zip(layer.pool_size, layer.strides, padding, strict=True))
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return [(1, 1, before) for before, _ in layer.padding]
    if isinstance(layer, SpatialResponseNormalization):
        return 2 * [(layer.size, 1, layer.size // 2)]
    if isinstance(layer, _POINTWISE):
        return 2 * [(1, 1, 0)]
    raise ValueError(
        "`network` must consist of convolutions, pools, normalizations and activations. "
        f"Received: layer '{layer.name}', a {type(layer).__name__}"
    )


def _padding(layer, windows):
    """Returns the rows and columns of padding before the maps."""
    if layer.padding != "same":
        return 0, 0
    zeros = same_padding(layer.input.shape[1:3], windows, layer.strides)
    return tuple(before for before, _ in zeros)
