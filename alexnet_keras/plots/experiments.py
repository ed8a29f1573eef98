"""Figures of experiments: curves of several variants, sensitivity to the learning rate, differences with intervals."""

from alexnet_keras.plots.style import new_figure

_LINES = ("-", "--", ":", "-.")


def plot_training_errors(groups, target, notes=None):
    """Training error against epochs, a panel a group, a line a run, a line style a variant; figure 1 of the paper.

    Args:
        groups: `{group: {variant: [errors of a run, ...]}}`, errors in percent, one an epoch.
        target: percent, drawn as a level line.
        notes: `{group: words}` above the panels.

    Returns:
        A matplotlib figure.

    Reference: figure 1 of Krizhevsky et al. (2012).
    """
    figure, axes = new_figure(1, len(groups), (5.2 * len(groups), 4.2), squeeze=False, sharey=True)
    last = max(len(run) for variants in groups.values() for runs in variants.values() for run in runs)
    for axis, (group, variants) in zip(axes[0], groups.items(), strict=True):
        for n, (variant, runs) in enumerate(variants.items()):
            for i, run in enumerate(runs):
                axis.plot(
                    range(1, len(run) + 1),
                    run,
                    _LINES[n % len(_LINES)],
                    color=f"C{n}",
                    linewidth=1.4,
                    marker="o",
                    markersize=2.5,
                    label=f"{variant} (n = {len(runs)})" if i == 0 else None,
                )
        axis.axhline(target, color="black", linewidth=0.8)
        axis.text(last, target, f"{target:g}%", ha="right", va="bottom", fontsize=9)
        axis.set_xlabel("epoch")
        axis.set_xlim(0, last + 0.5)
        axis.set_ylim(0, 100)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axis.set_title("\n".join(filter(None, (group, (notes or {}).get(group)))), fontsize=10)
        axis.legend(frameon=False)
    axes[0, 0].set_ylabel("training top-1 error (%)")
    return figure


def plot_learning_rates(groups, label):
    """What was measured for each learning rate of a search.

    Args:
        groups: `{group: {variant: [(learning rate, value or None), ...]}}`; `None` for what was stopped early.
        label: what the values are, with their unit.

    Returns:
        A matplotlib figure.
    """
    figure, axes = new_figure(1, len(groups), (5.2 * len(groups), 3.8), squeeze=False, sharey=True)
    values = [v for variants in groups.values() for points in variants.values() for _, v in points if v is not None]
    top = 1.25 * max(values, default=1.0)
    for axis, (group, variants) in zip(axes[0], groups.items(), strict=True):
        for n, (variant, points) in enumerate(variants.items()):
            measured = [point for point in points if point[1] is not None]
            stopped = [rate for rate, value in points if value is None]
            style = dict(color=f"C{n}", linestyle=_LINES[n % len(_LINES)], label=variant)
            axis.plot([p[0] for p in measured], [p[1] for p in measured], marker="o", **style)
            if stopped:
                axis.plot(stopped, [0.96 * top] * len(stopped), "x", color=f"C{n}", label=f"{variant}: stopped early")
        axis.set_xscale("log")
        axis.set_ylim(0, top)
        axis.set_xlabel("learning rate")
        axis.set_title(group, fontsize=10)
        axis.legend(frameon=False)
    axes[0, 0].set_ylabel(label)
    return figure


def plot_comparisons(comparisons, title=""):
    """Estimates with their 95% intervals, the paper's figures beside them.

    Args:
        comparisons: dicts with variant, baseline, estimate, interval, paper, n, unit and no_effect.
        title: words above the figure.

    Returns:
        A matplotlib figure.
    """
    figure, axis = new_figure(size=(7.0, 1.3 + 0.55 * len(comparisons)))
    for row, comparison in enumerate(comparisons):
        if comparison["estimate"] is not None:
            low, high = comparison["interval"] or (comparison["estimate"],) * 2
            axis.plot([low, high], [row, row], color="C0", linewidth=2)
            axis.plot(comparison["estimate"], row, "o", color="C0", label="measured, 95% interval")
        if comparison["paper"] is not None:
            axis.plot(comparison["paper"], row, "D", color="C1", label="paper")
    if comparisons[0]["no_effect"] == 1:
        axis.set_xscale("log")
    axis.axvline(comparisons[0]["no_effect"], color="black", linewidth=0.8)
    axis.set_yticks(
        range(len(comparisons)), [f"{c['variant']}\nagainst {c['baseline']} (n = {c['n']})" for c in comparisons]
    )
    axis.set_ylim(len(comparisons) - 0.5, -0.5)
    axis.set_xlabel(comparisons[0]["unit"])
    handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    axis.legend(handles.values(), handles.keys(), frameon=False)
    axis.set_title(title, fontsize=10)
    return figure
