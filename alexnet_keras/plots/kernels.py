"""Figures of kernels and feature maps, tower by tower."""

import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from alexnet_keras.analysis.kernels import high_frequency_energy, layer_kernels, towers_of
from alexnet_keras.analysis.snapshots import Snapshot
from alexnet_keras.files import expand_home, replacing
from alexnet_keras.models.inspection import layer_of
from alexnet_keras.plots.style import new_figure

# Kernels of each tower, and input maps of each kernel, in figures of layers after the first.
_SHOWN = 8
_SHOWN_MAPS = 16


def plot_kernels(model: keras.Model, columns: int = 16, layer: str = "conv1") -> Figure:
    """Plots the kernels of a layer as tiles, tower by tower, on one common scale.

    For the first layer, each kernel is a tile. The title has the share of their energy above a
    quarter period per pixel, which distinguishes them from noise. For other layers, rows are the
    first 8 kernels of each tower, and columns their first 16 input maps.

    Args:
        model: an AlexNet.
        columns: tiles in a row.
        layer: name of a convolution.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for an unknown layer, or one that is not a convolution.

    Reference: figure 3 of Krizhevsky et al. (2012).
    """
    kernels = layer_kernels(model, layer)
    towers, count, height, width, maps = kernels.shape
    title = f"The {towers * count} {layer} kernels of {height}x{width}x{maps}"
    if maps in (1, 3):
        title += f": {_energy_label(kernels)}"
    if maps not in (1, 3):
        kernels = np.moveaxis(kernels[:, :_SHOWN, ..., :_SHOWN_MAPS], -1, 2)
        shown, columns = kernels.shape[1:3]
        title = (
            f"{shown} of {count} {layer} kernels of each tower (rows), "
            f"{columns} of their {maps} input maps (columns)"
        )
        kernels = kernels.reshape(towers, -1, height, width, 1)
    largest = float(np.abs(kernels).max()) or 1.0
    sheets = [sheet_of_tiles(0.5 + 0.5 * tiles / largest, columns) for tiles in kernels]
    return _plot_sheets(sheets, f"{title};\ngray is 0, the full range is ±{largest:.2g} for all")


def plot_feature_maps(
    model: keras.Model,
    image: np.ndarray,
    layer: str = "conv1",
    columns: int = 16,
    original: np.ndarray | None = None,
) -> Figure:
    """Plots a layer's feature maps of an image, tower by tower, on one common scale.

    Args:
        model: an AlexNet.
        image: input of the model, 0-255 less the mean, `(height, width, 3)`.
        layer: name of a layer with output maps.
        columns: maps in a row.
        original: image to show above the maps, 0-255; `None` for none.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for an unknown layer, a layer without maps, or an image of another size than the
            model's.
    """
    output = layer_of(model, layer).output
    if len(output.shape) != 4:
        raise ValueError(
            f"`layer` must have output maps. Received: layer={layer!r} of output {output.shape}"
        )
    image = np.asarray(image, "float32")
    if image.shape != model.input_shape[1:]:
        raise ValueError(
            f"`image` must be of shape {model.input_shape[1:]}. Received: shape {image.shape}"
        )
    maps = keras.ops.convert_to_numpy(keras.Model(model.input, output)(image[None]))[0].astype(
        "float32"
    )
    # The layers before conv1 have the three colors, and no towers.
    towers = towers_of(model) if maps.shape[-1] > model.input_shape[-1] else 1
    maps = np.moveaxis(maps, -1, 0).reshape(towers, -1, *maps.shape[:2], 1)
    low = min(0.0, float(maps.min()))
    high = float(maps.max())
    sheets = [sheet_of_tiles((tiles - low) / ((high - low) or 1.0), columns) for tiles in maps]
    count = maps.shape[0] * maps.shape[1]
    side = "x".join(map(str, maps.shape[2:4]))
    title = f"The {count} maps of {side} of {layer};\nblack is {low:.2g}, white {high:.2g} for all"
    return _plot_sheets(sheets, title, original)


def plot_kernel_measures(models: Mapping[str, Mapping], p_values: Mapping | None = None) -> Figure:
    """Plots the distribution of the kernels' measures in each tower, with a row for each network.

    Args:
        models: dict from a network's name to its `alexnet_keras.analysis.kernel_measures`,
            `(towers, kernels)` each.
        p_values: dict from a measure to a p-value for each network, the titles of its panels.

    Returns:
        A matplotlib figure.
    """
    panels = (
        ("colorfulness", "colorfulness (share of energy)", (0, 1)),
        ("spatial_frequency", "spatial frequency (periods / pixel)", (0, 0.71)),
        ("orientation", "orientation of the stripes (degrees)", (0, 180)),
    )
    figure, axes = new_figure(
        len(models), 3, (10.5, 2.5 * len(models) + 0.5), squeeze=False, sharex="col"
    )
    for row, (name, measures) in enumerate(models.items()):
        for axis, (measure, label, ends) in zip(axes[row], panels, strict=True):
            for tower, values in enumerate(measures[measure]):
                # Stripes without a clear direction have little weight.
                weights = measures["selectivity"][tower] if measure == "orientation" else None
                look = (
                    dict(color="0.75")
                    if tower == 0
                    else dict(histtype="step", color="black", linewidth=1.5)
                )
                name_of_tower = f"tower {tower + 1}" if len(measures[measure]) > 1 else "one tower"
                axis.hist(
                    values, np.linspace(*ends, 13), weights=weights, label=name_of_tower, **look
                )
                if measure != "orientation":
                    axis.axvline(
                        np.mean(values),
                        color="0.5" if tower == 0 else "black",
                        linestyle="--",
                        linewidth=1,
                    )
            p = p_values[measure][row] if p_values and measure in p_values else None
            axis.set_title("" if p is None else f"p = {p:.2g}", fontsize=9)
            axis.set_xlim(ends)
            if row == len(models) - 1:
                axis.set_xlabel(label)
        axes[row, 0].set_ylabel(f"{name}\nkernels")
        axes[row, 2].set_ylabel("kernels x selectivity")
    axes[0, 0].legend(loc="best", frameon=False, fontsize=8)
    figure.suptitle("Kernels in each tower; dashed lines are their means", fontsize=10)
    return figure


def plot_kernel_strip(snapshots: Sequence[Snapshot], kernels: int = 8, columns: int = 10) -> Figure:
    """Plots kernels (rows) over the epochs (columns), on one common scale.

    Args:
        snapshots: list of `alexnet_keras.analysis.Snapshot` of a layer with three input colors.
        kernels: number of kernels of each tower. They have the most energy in the last epoch.
        columns: number of epochs, evenly spaced from the first to the last.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for kernels of other than three colors.
    """
    _check_colors(snapshots)
    chosen = np.unique(
        np.linspace(0, len(snapshots) - 1, min(columns, len(snapshots))).round().astype(int)
    )
    shown = [snapshots[i] for i in chosen]
    last = shown[-1].kernels
    largest = max(float(np.abs(snapshot.kernels).max()) for snapshot in shown) or 1.0
    sheets = []
    for tower in range(len(last)):
        strongest = np.argsort(-np.square(last[tower]).sum((1, 2, 3)), kind="stable")[:kernels]
        tiles = np.stack([snapshot.kernels[tower, strongest] for snapshot in shown], axis=1)
        sheets.append(
            sheet_of_tiles(0.5 + 0.5 * tiles.reshape(-1, *tiles.shape[2:]) / largest, len(shown))
        )
    title = f"{shown[-1].layer} kernels by epoch; "
    title += f"gray is 0, the full range is ±{largest:.2g} for all;\n"
    title += f"in the last epoch {_energy_label(last)}"
    side = last.shape[3] + 1
    figure = _plot_sheets(sheets, title, width=0.55 * len(shown))
    for axis in figure.axes:
        axis.set_axis_on()
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.set_yticks([])
        axis.set_xticks(
            [i * side + side / 2 - 1 for i in range(len(shown))],
            [s.epoch for s in shown],
            fontsize=8,
        )
        axis.tick_params(length=0)
    figure.axes[-1].set_xlabel("epochs of training")
    return figure


def animate_kernels(snapshots: Sequence[Snapshot], columns: int = 16) -> FuncAnimation:
    """Animates all kernels of a layer over the epochs, on one common scale.

    Args:
        snapshots: list of `alexnet_keras.analysis.Snapshot` of a layer with three input colors.
        columns: tiles in a row.

    Returns:
        A matplotlib animation, for `save_animation`.

    Raises:
        ValueError: for kernels of other than three colors.
    """
    _check_colors(snapshots)
    largest = max(float(np.abs(snapshot.kernels).max()) for snapshot in snapshots) or 1.0

    def sheets(snapshot):
        return [sheet_of_tiles(0.5 + 0.5 * tiles / largest, columns) for tiles in snapshot.kernels]

    def title(snapshot):
        epoch = f"{snapshot.layer} after {snapshot.epoch} epochs"
        scale = f"the full range is ±{largest:.2g} throughout"
        return f"{epoch}; {scale};\n{_energy_label(snapshot.kernels)}"

    figure = _plot_sheets(sheets(snapshots[0]), title(snapshots[0]))
    FigureCanvasAgg(figure)

    def draw(snapshot):
        for axis, sheet in zip(figure.axes, sheets(snapshot), strict=True):
            axis.images[0].set_data(sheet)
        figure.suptitle(title(snapshot), fontsize=10)

    return FuncAnimation(figure, draw, snapshots, init_func=lambda: None, cache_frame_data=False)


def save_animation(
    animation: FuncAnimation, path: str | os.PathLike, pictures_per_second: int = 4
) -> None:
    """Saves an animation as a GIF.

    Args:
        animation: a matplotlib animation.
        path: path of the file.
        pictures_per_second: frames per second, a whole number.
    """
    with replacing(expand_home(path)) as partial:
        animation.save(partial, PillowWriter(pictures_per_second))


def _energy_label(kernels):
    """Returns a label with the kernels' share of high-frequency energy, and the share of noise."""
    share = float(high_frequency_energy(kernels).mean())
    return f"{share:.0%} high-frequency energy (white noise: 80%)"


def _check_colors(snapshots):
    shape = snapshots[0].kernels.shape
    if shape[-1] != 3:
        raise ValueError(f"`snapshots` must be of kernels of three colors. Received: shape {shape}")


def sheet_of_tiles(tiles, columns):
    """Arranges tiles `(count, height, width, 1 or 3)` in rows, with white lines between."""
    count, height, width, _ = tiles.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, 3))
    for i, tile in enumerate(tiles):
        top = (i // columns) * (height + 1)
        left = (i % columns) * (width + 1)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _plot_sheets(sheets, title, original=None, width: float = 8):
    """Plots a sheet of tiles for each tower, below the original image."""
    each = width * sheets[0].shape[0] / sheets[0].shape[1] + 0.3
    rows = [1.8] * (original is not None) + [each] * len(sheets)
    figure, axes = new_figure(
        len(rows),
        1,
        (max(width, 6), sum(rows) + 0.5),
        squeeze=False,
        gridspec_kw={"height_ratios": rows},
    )
    axes = axes[:, 0]
    for axis in axes:
        axis.set_axis_off()
    if original is not None:
        axes[0].imshow(np.clip(original, 0, 255).astype("uint8"))
    for tower, (axis, sheet) in enumerate(
        zip(axes[len(axes) - len(sheets) :], sheets, strict=True)
    ):
        axis.imshow(sheet, interpolation="nearest")
        axis.set_title(
            f"tower {tower + 1}" if len(sheets) > 1 else "one tower", loc="left", fontsize=9
        )
    figure.suptitle(title, fontsize=10)
    return figure
