"""The kernels of the first layer."""

import keras
import numpy as np

from alexnet_keras.plots.style import new_figure


def plot_kernels(model, columns=16):
    """The conv1 kernels as colour tiles, tower 1 in the upper rows and tower 2 in the lower, on one common scale.

    Args:
        model: an AlexNet whose input has three channels.
        columns: tiles in a row.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: when the model has no conv1, or its input not three channels.

    Reference: figure 3 of Krizhevsky et al. (2012).
    """
    layers = {layer.name: layer for layer in model.layers}
    if "conv1" not in layers:
        raise ValueError(f"`model` must have a layer conv1. Received: a model with {', '.join(layers)}")
    kernels = keras.ops.convert_to_numpy(layers["conv1"].kernel)
    if kernels.shape[2] != 3:
        raise ValueError(f"`model` must take RGB images. Received: conv1 kernels of shape {kernels.shape}")
    towers = max(getattr(layer, "groups", 1) for layer in model.layers)
    side, count = kernels.shape[0], kernels.shape[3]
    per_tower = count // towers
    columns = min(columns, per_tower)
    rows = -(-per_tower // columns)
    largest = float(np.abs(kernels).max()) or 1.0
    figure, axes = new_figure(towers, 1, (8, (0.5 * rows + 0.3) * towers + 0.3), squeeze=False)
    for tower, axis in enumerate(axes[:, 0]):
        sheet = np.ones((rows * (side + 1) - 1, columns * (side + 1) - 1, 3))
        for i in range(per_tower):
            top, left = (i // columns) * (side + 1), (i % columns) * (side + 1)
            tile = kernels[..., tower * per_tower + i]
            sheet[top : top + side, left : left + side] = 0.5 + 0.5 * tile / largest
        axis.imshow(sheet, interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(f"tower {tower + 1}" if towers > 1 else "one tower", loc="left", fontsize=9)
    figure.suptitle(
        f"The {count} conv1 kernels of {side}x{side}x3; grey is 0, the full range is ±{largest:.2g} for all",
        fontsize=10,
    )
    return figure
