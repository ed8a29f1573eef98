"""Figures of the towers of many runs: their kernels, and the gap between them in color."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from alexnet_keras.analysis.kernels import colorfulness
from alexnet_keras.analysis.snapshots import Snapshot
from alexnet_keras.evaluation.statistics import SIGNIFICANT
from alexnet_keras.plots.kernels import sheet_of_tiles
from alexnet_keras.plots.style import check_not_empty, new_figure

_COLUMNS = 16  # kernels in a row
_SPACE = 4  # pixels between the towers, and between runs


def plot_towers(runs: Mapping[str, Snapshot], title: str = "") -> Figure:
    """Plots the first kernels of several runs, the towers side by side.

    Each run has a scale of its own. Below its name are the mean color shares of its towers. The
    kernels of a single tower are drawn in two halves.

    Args:
        runs: dict from a run's name to its `alexnet_keras.analysis.Snapshot`, of kernels of three
            colors.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Reference: figure 3 of Krizhevsky et al. (2012).
    """
    scales = {name: _largest([snapshot]) for name, snapshot in runs.items()}
    return _draw_towers(runs, scales, title)


def animate_towers(runs: Mapping[str, Sequence[Snapshot]], title: str = "") -> FuncAnimation:
    """Animates the first kernels of several runs over the epochs, as `plot_towers` draws them.

    Args:
        runs: dict from a run's name to its snapshots, after the same epochs for all runs.
        title: title of the figure.

    Returns:
        A matplotlib animation, for `save_animation`.
    """
    scales = {name: _largest(snapshots) for name, snapshots in runs.items()}
    moments = list(zip(*runs.values(), strict=True))

    def moment(snapshots):
        return dict(zip(runs, snapshots, strict=True))

    def words(snapshots):
        return f"{title}, after {snapshots[0].epoch} epochs"

    figure = _draw_towers(moment(moments[0]), scales, words(moments[0]))
    FigureCanvasAgg(figure)

    def draw(snapshots):
        _show(figure.axes[0], moment(snapshots), scales)
        figure.suptitle(words(snapshots), fontsize=10)

    return FuncAnimation(figure, draw, moments, init_func=lambda: None, cache_frame_data=False)


def plot_tower_gaps(variants: Mapping[str, Sequence[Mapping]]) -> Figure:
    """Plots the gap between the towers in color over the training, a line for each run.

    The gap is the color share of tower 1 less the one of tower 2. Its sign says which tower is the
    colorful one. The gray area has the mean gap of random towers of the same kernels.

    Args:
        variants: dict from a variant's name to its runs. A run is a dict of `towers`, the two color
            shares in percent; `chance`, the mean gap of random towers; and `p` of a permutation
            test. Each has an entry for the initial weights and for each epoch.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for no variants.
    """
    check_not_empty("variants", variants)
    columns = min(3, len(variants))
    rows = -(-len(variants) // columns)
    figure, axes = new_figure(
        rows, columns, (max(3.3 * columns + 0.6, 7.0), 2.7 * rows + 0.9), squeeze=False, sharey=True
    )
    for axis in axes.flat[len(variants) :]:
        axis.set_visible(False)
    for axis, (name, runs) in zip(axes.flat, variants.items(), strict=False):
        _draw_gaps(axis, name, runs)
    for axis in axes[:, 0]:
        axis.set_ylabel("tower 1 less tower 2 (points)")
    handles = {
        label: handle
        for axis in axes.flat
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), frameon=False, loc="outside lower center", ncols=3
    )
    figure.suptitle("Color of the kernels of conv1 by epoch, a line for each run", fontsize=10)
    return figure


def _draw_gaps(axis, name, runs):
    differing = 0
    for run in runs:
        first, second = np.transpose(run["towers"])
        differs = run["p"][-1] < SIGNIFICANT
        differing += differs
        label = f"p < {SIGNIFICANT} at the end" if differs else f"p ≥ {SIGNIFICANT} at the end"
        axis.plot(
            first - second, color="C1" if differs else "0.55", linewidth=1.3, label=label, zorder=3
        )
    chance = np.mean([run["chance"] for run in runs], axis=0)
    axis.fill_between(
        range(len(chance)), -chance, chance, color="0.9", linewidth=0, label="mean gap by chance"
    )
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_title(f"{name}:\n{differing} of {len(runs)} differ", fontsize=9)
    axis.set_xlabel("epochs of training")


def _draw_towers(runs, scales, title):
    sheet = _all_runs(runs, scales)
    width = 8.5
    figure, axis = new_figure(
        size=(width, (width - 1.3) * sheet.shape[0] / sheet.shape[1] + 0.7), rows=1
    )
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    axis.imshow(sheet, interpolation="nearest")
    half = (sheet.shape[1] - _SPACE) / 2
    single = all(len(snapshot.kernels) == 1 for snapshot in runs.values())
    sides = ("first half", "second half") if single else ("tower 1", "tower 2")
    axis.set_xticks([half / 2, sheet.shape[1] - half / 2], sides)
    axis.xaxis.tick_top()
    height = (sheet.shape[0] + _SPACE) / len(runs)
    axis.set_yticks(
        [(row + 0.5) * height - _SPACE / 2 for row in range(len(runs))], runs, fontsize=8
    )
    _show(axis, runs, scales)
    figure.suptitle(title, fontsize=10)
    return figure


def _show(axis: Axes, runs, scales):
    """Replaces the kernels and color shares in the axes of `_draw_towers`."""
    axis.images[0].set_data(_all_runs(runs, scales))
    names = []
    for name, snapshot in runs.items():
        shares = colorfulness(_halves(snapshot.kernels)).mean(-1)
        names.append(f"{name}\n{' / '.join(f'{share:.0%}' for share in shares)}")
    axis.set_yticklabels(names)


def _all_runs(runs, scales):
    """The kernels of all runs, `(rows, columns, 3)`; the towers side by side."""
    rows = []
    for name, snapshot in runs.items():
        tiles = 0.5 + 0.5 * _halves(snapshot.kernels) / scales[name]
        sheets = [sheet_of_tiles(each, _COLUMNS) for each in tiles]
        white = np.ones((len(sheets[0]), _SPACE, 3))
        row = np.concatenate([sheets[0], white, sheets[1]], axis=1)
        rows += [row, np.ones((_SPACE, row.shape[1], 3))]
    return np.concatenate(rows[:-1])


def _halves(kernels):
    """The kernels of two towers, or of the two halves of a single tower."""
    towers, count = kernels.shape[:2]
    if towers > 2 or towers * count % 2:
        raise ValueError(
            "The kernels must be of two towers, or an even number of one. "
            f"Received: {towers} towers of {count} kernels"
        )
    return kernels.reshape(2, -1, *kernels.shape[2:])


def _largest(snapshots):
    return max(float(np.abs(snapshot.kernels).max()) for snapshot in snapshots) or 1.0
