"""Learning curves."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from alexnet_keras.plots.style import check_not_empty, literal, new_figure


def plot_curves(history: Sequence[Mapping], title: str = "") -> Figure:
    """Plots loss and top-1 error of training and validation against epochs.

    Args:
        history: rows of a `history.csv`, dicts with `loss`, `top1_error` and `learning_rate`.
            Epochs with validation also have `val_loss` and `val_top1_error`.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for no epochs.
    """
    check_not_empty("history", history)
    figure, axes = new_figure(1, 2, (9.5, 3.8))
    marker = "o" if len(history) < 30 else ""
    for axis, name, label in (
        (axes[0], "loss", "loss (nats)"),
        (axes[1], "top1_error", "top-1 error (%)"),
    ):
        for key, words, line in (
            (name, "training, with augmentation", "-"),
            (f"val_{name}", "validation", "--"),
        ):
            points = [
                (epoch, float(row[key])) for epoch, row in enumerate(history, start=1) if key in row
            ]
            if points:
                axis.plot(
                    *zip(*points, strict=True), line, label=words, marker=marker, markersize=3
                )
        axis.set_xlabel("epoch")
        axis.set_ylabel(label)
        axis.set_ylim(0, 1.1 * axis.dataLim.ymax)
        axis.set_xlim(0.5, len(history) + 0.5)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    rates = [float(row["learning_rate"]) for row in history]
    drops = [i for i in range(1, len(rates)) if rates[i] < 0.5 * rates[i - 1]]
    for axis in axes:
        for n, drop in enumerate(drops):
            axis.axvline(
                drop + 0.5, color="gray", linewidth=0.8, label=None if n else "learning rate / 10"
            )
    # Below the panels, where it hides neither a curve nor a drop of the rate.
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(literal(title))
    return figure
