"""The networks of `AlexNetConfig` in PyTorch's own layers."""

import torch
from torch import nn
from torch.nn import functional

from alexnet_keras.models.alexnet_config import CONV_LAYERS, AlexNetConfig

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def torch_network(config: AlexNetConfig, classes: int) -> nn.Sequential:
    """Returns the network of a configuration as a PyTorch module.

    The initial weights are PyTorch's defaults. The parameters have the order of the weights of
    `AlexNet(config)`.

    Args:
        config: the configuration, of any preset.
        classes: number of classes.

    Returns:
        A module from images `(batch, channels, height, width)` to logits `(batch, classes)`. The
        pixels are 0-255 less their mean, as for `AlexNet`.

    Raises:
        ValueError: for an activation other than relu, tanh and sigmoid.
    """
    if config.activation not in _ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {', '.join(_ACTIVATIONS)} in PyTorch. "
            f"Received: activation={config.activation!r}"
        )
    layers = [_Scale(config.input_scale)] if config.input_scale != 1 else []
    size = config.input_shape[:2]
    maps = config.input_shape[2]
    sizes = config.map_sizes()
    for index, conv in enumerate(CONV_LAYERS):
        if conv in config.conv_layers:
            layers += _convolution(config, conv, size, maps)
            size = sizes[config.layer_name(conv)]
            maps = config.filters[index]
        layers += _stages(config, conv)
        size = sizes.get(f"pool{conv[-1]}", size)
    return nn.Sequential(*layers, *_fully_connected(config, maps * size[0] * size[1], classes))


def _convolution(config, conv, size, maps):
    """Returns a convolution, and a padding layer if more zeros follow than precede the maps."""
    index = CONV_LAYERS.index(conv)
    kernel = config.kernel_sizes[index]
    stride = config.strides[index]
    padding = config.paddings[index]
    layers = []
    bottom, right = (config.missing(n + 2 * padding, kernel, stride) for n in size)
    if bottom or right:
        layers.append(nn.ZeroPad2d((padding, padding + right, padding, padding + bottom)))
        padding = 0
    filters = config.filters[index]
    if conv in config.local_layers:
        positions = config.map_sizes()[config.layer_name(conv)]
        return [*layers, LocallyConnected2d(maps, filters, kernel, positions, stride, padding)]
    sees_all = conv == "conv1" or conv in config.exchange
    groups = 1 if sees_all else config.towers
    return [*layers, nn.Conv2d(maps, filters, kernel, stride, padding, groups=groups)]


def _stages(config, conv):
    """Returns the layers after a convolution; without the convolution only its pool stays."""
    pool = {"ceil_mode": config.round_up}
    layers = []
    for stage in config.stages[CONV_LAYERS.index(conv)]:
        if stage == "pool":
            layers.append(nn.MaxPool2d(config.pool_size, config.pool_stride, **pool))
        elif stage == "average_pool":
            layers.append(nn.AvgPool2d(config.pool_size, config.pool_stride, **pool))
        elif conv not in config.conv_layers:
            continue
        elif stage == "activation":
            layers.append(_activation(config))
        elif config.normalization and stage == "normalization":
            layers.append(_normalization(config))
        elif config.normalization:
            size = config.spatial_normalization_size
            layers.append(_SpatialNormalization(size, config.spatial_normalization_alpha))
    return layers


def _activation(config):
    # In place, as no layer before it needs its output for a gradient.
    options = {"inplace": True} if config.activation == "relu" else {}
    return _ACTIVATIONS[config.activation](**options)


def _normalization(config):
    size = config.normalization_size
    alpha = config.normalization_alpha
    if not config.normalization_divide_alpha:
        alpha *= size  # PyTorch divides alpha by the size
    constants = (size, alpha, config.normalization_beta, config.normalization_k)
    if config.towers > 1 and config.normalization_in_towers:
        return _NormalizationInTowers(*constants, config.towers)
    return nn.LocalResponseNorm(*constants)


def _fully_connected(config, inputs, classes):
    layers = [nn.Flatten()]
    for fc in config.hidden_layers:
        units = config.units[int(fc[-1]) - 6]
        layers += [nn.Linear(inputs, units), _activation(config)]
        if config.dropout:
            layers.append(nn.Dropout(config.dropout))
        inputs = units
    return [*layers, nn.Linear(inputs, classes)]


class LocallyConnected2d(nn.Module):
    """Convolution whose kernels differ from position to position, which PyTorch lacks.

    `weight` is `(positions, maps * kernel height * kernel width, filters)`, with positions row by
    row. `bias` is `(filters, rows, columns)`.

    Args:
        maps: number of input maps.
        filters: number of kernels at each position.
        kernel_size: side of the kernels, in positions.
        positions: rows and columns of the output.
        stride: distance between the kernels, in positions.
        padding: rows and columns of zeros on each side.
    """

    def __init__(
        self,
        maps: int,
        filters: int,
        kernel_size: int,
        positions: tuple[int, int],
        stride: int = 1,
        padding: int = 0,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        rows, columns = positions
        inputs = maps * kernel_size**2
        self.weight = nn.Parameter(torch.empty(rows * columns, inputs, filters))
        self.bias = nn.Parameter(torch.empty(filters, rows, columns))
        for parameter in (self.weight, self.bias):  # as in nn.Conv2d
            nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        options = {"padding": self.padding, "stride": self.stride}
        windows = functional.unfold(x, self.kernel_size, **options)
        y = torch.einsum("bip,pif->bfp", windows, self.weight)
        return y.unflatten(2, self.bias.shape[1:]) + self.bias


class _NormalizationInTowers(nn.Module):
    """PyTorch's response normalization in which no sum crosses the border of a tower."""

    def __init__(self, size, alpha, beta, k, towers):
        super().__init__()
        self.constants = (size, alpha, beta, k)
        self.towers = towers

    def forward(self, x):
        # A further axis behind the maps is as good as rows to PyTorch's function, without a copy.
        maps_first = x.unflatten(1, (self.towers, -1)).transpose(1, 2)
        y = functional.local_response_norm(maps_first, *self.constants)
        return y.transpose(1, 2).flatten(1, 2)


class _SpatialNormalization(nn.Module):
    """Divides each activity by a norm of its neighbors in the same map: 2012 source."""

    def __init__(self, size, alpha):
        super().__init__()
        self.size = size
        self.alpha = alpha

    def forward(self, x):
        reach = (self.size // 2, (self.size - 1) // 2)
        squares = functional.pad(x * x, (*reach, *reach))
        means = functional.avg_pool2d(squares, self.size, 1)
        return x / (1 + self.alpha * means) ** 0.75


class _Scale(nn.Module):
    """Multiplies the pixels by a constant."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor
