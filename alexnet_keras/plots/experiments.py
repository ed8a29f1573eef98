"""Figures of experiments: training curves, learning rates, comparisons and ensembles."""

import itertools
import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet_keras.plots.style import check_not_empty, literal, new_figure

_LINES = ("-", "--", ":", "-.")
# Marks of the runs without a value in a search for a learning rate, by why they ended.
_MARKS = {"stopped early": "x", "not reached": "+", "diverged": "1"}
_LABEL_WIDTH = 44  # characters of a line beside a comparison
_PANELS = 2  # in a row, so that a page need not shrink their texts


def plot_training_errors(
    groups: Mapping,
    target: float,
    paper: Mapping | None = None,
    ratios: Mapping[str, str] | None = None,
) -> Figure:
    """Plots training errors against epochs, as in figure 1 of the paper.

    Each group has a panel, two in a row. Each variant has a line style, and each run a line.

    Args:
        groups: `{group: {variant: {"curves": [errors of a run, ...], "mean": epochs or None,
            "interval": (low, high) or None}}}`. Errors are in percent, one for each epoch. The mean
            is the runs' mean epoch of reaching the target, with its 95% interval. Both are marked
            on the target's line.
        target: target error in percent, drawn as a horizontal line.
        paper: `{group: (label, epochs)}`, the paper's point on the target's line.
        ratios: `{group: text}`, the comparison of variants in the title of a panel.

    Returns:
        A matplotlib figure.

    Reference: figure 1 of Krizhevsky et al. (2012).
    """
    columns = min(len(groups), _PANELS)
    rows = math.ceil(len(groups) / columns)
    figure, axes = new_figure(
        rows, columns, (5.6 * columns, 4.4 * rows), squeeze=False, sharex=True, sharey=True
    )
    for unused in axes.flat[len(groups) :]:
        unused.set_axis_off()
    for lowest in axes.flat[len(groups) - columns : len(groups)]:
        lowest.tick_params(labelbottom=True)
    lengths = []
    for variants in groups.values():
        for measured in variants.values():
            lengths += [len(run) for run in measured["curves"]]
    longest = max(lengths)
    most = 2 * longest  # epochs that are drawn; more would leave too little space for the curves
    right = longest
    for axis, (group, variants) in zip(axes.flat, groups.items(), strict=False):
        axis.axhline(target, color="black", linewidth=0.8)
        axis.annotate(f"{target:g}%", (0, target), (3, 3), textcoords="offset points", fontsize=9)
        for number, (variant, measured) in enumerate(variants.items()):
            _draw_runs(axis, number, variant, measured, target)
            if measured["mean"] is not None and measured["interval"]:
                right = max(right, min(measured["interval"][1], most))
        if paper and group in paper:
            right = max(right, _draw_paper(axis, *paper[group], target, most))
        axis.set_xlabel("epoch")
        axis.set_ylim(0, 100)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axis.set_title("\n".join([group, *filter(None, [(ratios or {}).get(group)])]), fontsize=10)
        axis.legend(loc="best", frameon=False)
    for axis in axes[:, 0]:
        axis.set_ylabel("training top-1 error (%)")
    axes[0, 0].set_xlim(0, 1.05 * max(right, 1))
    return figure


def _draw_runs(axis, number, variant, measured, target):
    """Draws the runs of a variant, and their mean epoch of reaching the target."""
    color = f"C{number}"
    mean = measured["mean"]
    runs = measured["curves"]
    reaching = sum(any(error <= target for error in run) for run in runs)
    count = f"{reaching} of {len(runs)}" if 0 < reaching < len(runs) else f"{len(runs)}"
    reached = "not reached" if mean is None else f"{mean:.1f} epochs"
    label = f"{variant}: {reached} (n = {count})"
    style = _LINES[number % len(_LINES)]
    for run in runs:
        epochs = range(1, len(run) + 1)
        axis.plot(epochs, run, style, color=color, linewidth=1.2, label=label)
        label = None  # once for all runs
    if mean is not None:
        interval = measured["interval"]
        ends = [[mean - interval[0]], [interval[1] - mean]] if interval else None
        axis.errorbar(
            mean, target, xerr=ends, fmt="o", color=color, markersize=5, capsize=4, zorder=3
        )


def _draw_paper(axis, name, epochs, target, most):
    """Draws the paper's point on the target's line; returns its epochs, or 0 beyond `most`."""
    label = f"{name}: {epochs:.1f} epochs"
    if epochs > most:
        axis.plot([], [], " ", label=f"{label}, not drawn")
        return 0
    axis.plot(epochs, target, "D", color="black", fillstyle="none", label=label)
    return epochs


def plot_learning_rates(groups: Mapping, label: str) -> Figure:
    """Plots the results of each learning rate of a search, and its errors after three epochs.

    Args:
        groups: `{group: {variant: [{"learning_rate": rate, "value": value or None, "ended": why,
            "curve": errors}, ...]}}`. For a run without a value, `ended` is `"stopped early"`,
            `"not reached"` or `"diverged"`. Errors are training top-1 errors in percent, one for
            each epoch.
        label: label of the values, with their unit.

    Returns:
        A matplotlib figure with a column for each group.
    """
    width = 5.6 if len(groups) <= _PANELS else 4.0
    figure, axes = new_figure(
        2, len(groups), (width * len(groups), 6.4), squeeze=False, sharex="col", sharey="row"
    )
    values = []
    for variants in groups.values():
        for points in variants.values():
            values += [point["value"] for point in points if point["value"] is not None]
    top = 1.4 * max(values, default=1.0)
    if label.endswith("(%)"):
        top = min(top, 100.0)
    for (axis, early), (group, variants) in zip(axes.T, groups.items(), strict=True):
        all_rates = set()
        for n, (variant, points) in enumerate(variants.items()):
            all_rates.update(point["learning_rate"] for point in points)
            style = dict(color=f"C{n}", linestyle=_LINES[n % len(_LINES)], label=variant)
            measured = [point for point in points if point["value"] is not None]
            rates = [point["learning_rate"] for point in measured]
            axis.plot(rates, [point["value"] for point in measured], marker="o", **style)
            # Marks of different variants do not hide each other.
            _mark_without_value(axis, points, (0.97 - 0.04 * n) * top, f"C{n}", variant)
            trained = [point for point in points if point["curve"]]
            rates = [point["learning_rate"] for point in trained]
            early.plot(rates, [point["curve"][:3][-1] for point in trained], marker="o", **style)
        early.set_xscale("log")
        ticks = sorted(all_rates)
        labels = [f"{rate:g}" for rate in ticks]
        early.set_xticks(ticks, labels, rotation=_rotation(ticks, 0.4 / width))
        early.xaxis.minorticks_off()
        early.set_xlabel("learning rate")
        axis.set_ylim(0, top)
        axis.set_title(group, fontsize=10)
        axis.legend(loc="best", frameon=False)
    axes[0, 0].set_ylabel(label)
    axes[1, 0].set_ylabel("training top-1 error in epoch 3 (%)")
    return figure


def _rotation(ticks, least):
    """Degrees at which the labels of a logarithmic axis do not touch.

    Args:
        ticks: rising positions of the labels.
        least: smallest gap between inclined labels that do not touch, as a part of the axis.
    """
    gaps = [math.log(high / low) for low, high in itertools.pairwise(ticks)]
    are_close = len(ticks) >= 10 or any(gap < least * sum(gaps) for gap in gaps)
    return 90 if are_close else 45


def _mark_without_value(axis, points, height, color, variant):
    """Marks the learning rates whose runs have no value."""
    for ended, mark in _MARKS.items():
        rates = [
            point["learning_rate"]
            for point in points
            if point["value"] is None and point["ended"] == ended
        ]
        if rates:
            label = f"{variant}: {ended}"
            axis.plot(rates, [height] * len(rates), mark, color=color, label=label)


def plot_by_setting(
    panels: Mapping[str, Mapping],
    setting: str,
    levels: Mapping[str, tuple[str, float]] | None = None,
) -> Figure:
    """Plots measured values by a setting that is varied over orders of magnitude.

    Each measure has a panel, each group of runs a line through its means, and each run a point.

    Args:
        panels: `{measure: {group: {value of the setting: [value of a run, ...]}}}`. A measure's
            name labels its axis, with the unit.
        setting: label of the setting.
        levels: `{measure: (label, value)}`, a horizontal line to compare with.

    Returns:
        A matplotlib figure.
    """
    figure, axes = new_figure(1, len(panels), (4.4 * len(panels), 3.8), squeeze=False)
    for axis, (measure, groups) in zip(axes[0], panels.items(), strict=True):
        highest = 0.0
        for number, (group, points) in enumerate(groups.items()):
            style = dict(color=f"C{number}", linestyle=_LINES[number % len(_LINES)])
            means = [statistics.mean(values) for values in points.values()]
            axis.plot(list(points), means, label=group, **style)
            for value, measured in points.items():
                axis.plot([value] * len(measured), measured, "o", color=f"C{number}", markersize=4)
                highest = max(highest, *measured)
        if levels and measure in levels:
            label, level = levels[measure]
            axis.axhline(level, color="black", linewidth=0.8)
            axis.annotate(label, (0, level), (3, 3), ("axes fraction", "data"), "offset points")
            highest = max(highest, level)
        axis.set_xscale("log")
        values = sorted({value for points in groups.values() for value in points})
        axis.set_xticks(values, [f"{value:.2g}" for value in values], rotation=45)
        axis.xaxis.minorticks_off()
        axis.set_ylim(0, 1.12 * highest)
        axis.set_xlabel(setting)
        axis.set_ylabel(measure)
    axes[0, 0].legend(loc="best", frameon=False)
    return figure


def plot_comparisons(comparisons: Sequence[Mapping], title: str = "") -> Figure:
    """Plots estimates with their 95% intervals, and the paper's figures.

    Args:
        comparisons: dicts with variant, baseline, estimate, interval, paper, n, unit and no_effect.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for no comparisons.
    """
    check_not_empty("comparisons", comparisons)
    labels = [_comparison_label(comparison) for comparison in comparisons]
    lines = max(3, *(label.count("\n") + 1 for label in labels))
    figure, axis = new_figure(size=(7.0, 1.6 + 0.18 * lines * len(comparisons)))
    for row, comparison in enumerate(comparisons):
        if comparison["estimate"] is not None:
            low, high = comparison["interval"] or (comparison["estimate"],) * 2
            axis.plot([low, high], [row, row], color="C0", linewidth=2)
            axis.plot(comparison["estimate"], row, "o", color="C0", label="measured, 95% interval")
        if comparison["paper"] is not None:
            axis.plot(comparison["paper"], row, "D", color="C1", label="paper")
    axis.axvline(comparisons[0]["no_effect"], color="black", linewidth=0.8)
    if comparisons[0]["no_effect"] == 1:
        axis.set_xscale("log")
        axis.margins(x=0.1)
        low, high = axis.get_xlim()
        if high < 2 * low:
            steps = MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(low, high)
        else:
            steps = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 20)
            if high > 12 * low:
                steps = (0.1, 0.3, 0.5, 1, 2, 3, 6, 12, 20)
        ticks = [tick for tick in steps if low <= tick <= high]
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    else:
        axis.xaxis.set_major_locator(MaxNLocator(6))  # more labels would touch
    axis.set_yticks(range(len(comparisons)), labels)
    axis.set_ylim(len(comparisons) - 0.5, -0.5)
    axis.set_xlabel(comparisons[0]["unit"])
    handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(
        handles.values(), handles.keys(), frameon=False, loc="outside lower center", ncols=2
    )
    # A title of the figure has more width than a title of the axes beside long labels.
    figure.suptitle(literal(title), fontsize=10)
    return figure


def _comparison_label(comparison):
    """The names of a comparison's two sides, in lines that leave room for the intervals."""
    baseline = f"against {comparison['baseline']} (n\u00a0=\u00a0{comparison['n']})"
    sides = (textwrap.wrap(side, _LABEL_WIDTH) for side in (comparison["variant"], baseline))
    return "\n".join(line for side in sides for line in side)


def plot_ensembles(errors: Mapping, title: str = "") -> Figure:
    """Plots top-1 and top-5 error against the number of averaged networks.

    Args:
        errors: `{number of networks: [{"top1_error": percent, "top5_error": percent}, ...]}`. Each
            group of networks has a dict.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Reference: table 2 of Krizhevsky et al. (2012).
    """
    figure, axes = new_figure(1, 2, (9.5, 3.8))
    for axis, k in zip(axes, (1, 5), strict=True):
        name = f"top{k}_error"
        points = [(size, group[name]) for size, groups in errors.items() for group in groups]
        means = [sum(group[name] for group in groups) / len(groups) for groups in errors.values()]
        axis.plot(
            *zip(*points, strict=True),
            "o",
            color="C0",
            alpha=0.4,
            markersize=4,
            label="a group of networks",
        )
        axis.plot(list(errors), means, "o-", color="C0", label="mean")
        axis.set_xlabel("networks averaged")
        axis.set_ylabel(f"top-{k} error (%)")
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axis.legend(loc="best", frameon=False)
    figure.suptitle(literal(title))
    return figure
