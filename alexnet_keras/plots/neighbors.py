"""Figures of images with their nearest neighbors, and of the precision of codes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from alexnet_keras.plots.style import literal, new_figure


def plot_neighbors(
    images: np.ndarray,
    neighbors: Mapping[str, tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    title: str = "",
) -> Figure:
    """Plots images in the first column, and their neighbors in the next columns.

    Neighbors of another class are crossed out.

    Args:
        images: `(queries, height, width, 3)`, 0-255.
        neighbors: dict from the name of a space to `(neighbors, same)`. `neighbors` are images
            `(queries, count, height, width, 3)`, the nearest first. `same` is whether they have the
            class of the query, bool `(queries, count)`.
        names: class of each query.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if the numbers of images, names and neighbors differ.

    Reference: figure 4, right, of Krizhevsky et al. (2012).
    """
    for group, (found, same) in neighbors.items():
        if not len(images) == len(names) == len(found) == len(same):
            raise ValueError(
                f"`neighbors` and `names` must be one for each of the {len(images)} images. "
                f"Received: {len(names)} names, and neighbors of {len(found)} images in {group!r}"
            )
    widths = [1.0]
    for found, _ in neighbors.values():
        widths += [0.25] + [1.0] * found.shape[1]
    figure, axes = new_figure(
        len(images),
        len(widths),
        (0.85 * sum(widths), 1.05 * len(images) + 0.8),
        squeeze=False,
        gridspec_kw={"width_ratios": widths, "wspace": 0.02},
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for row, (image, name) in enumerate(zip(images, names, strict=True)):
        _show(axes[row, 0], image)
        axes[row, 0].set_title(literal(name).replace(" ", "\n", 1), fontsize=8)
        column = 1
        for found, same in neighbors.values():
            for number, neighbor in enumerate(found[row]):
                axis = axes[row, column + 1 + number]
                _show(axis, neighbor)
                if not same[row][number]:
                    side = neighbor.shape[0] - 1
                    axis.plot([0, side], [0, side], color="white", linewidth=3)
                    axis.plot([0, side], [0, side], color="black", linewidth=1.2)
            column += 1 + len(found[row])
    column = 1
    for group, (found, same) in neighbors.items():
        text = f"nearest in {group}: {100 * np.mean(same):.0f}% of these of the same class"
        header = axes[0, column + 1].annotate(
            text, (0, 1), (0, 22), xycoords="axes fraction", textcoords="offset points", fontsize=9
        )
        # It is wider than its column, and would move the columns apart.
        header.set_in_layout(False)
        column += 1 + found.shape[1]
    figure.suptitle(f"{literal(title)}\n", fontsize=10)
    return figure


def _show(axis, image):
    axis.imshow(np.clip(image, 0, 255).astype("uint8"))


def plot_codes(spaces: Mapping[str, Mapping], chance: float, count: int = 6) -> Figure:
    """Plots the precision of the neighbors against the length of the codes.

    Args:
        spaces: dict from the name of a space to `{"exact": precision, "codes": {bits: precision}}`,
            0-1.
        chance: precision of random neighbors.
        count: number of neighbors of the precision.

    Returns:
        A matplotlib figure.
    """
    figure, axis = new_figure(size=(6.4, 4.2))
    for number, (space, measured) in enumerate(spaces.items()):
        look = dict(color=f"C{number}", marker="os"[number % 2])
        bits = sorted(measured["codes"])
        axis.plot(
            bits,
            [100 * measured["codes"][n] for n in bits],
            label=f"codes of {space}, Hamming",
            **look,
        )
        line = "--" if number == 0 else ":"
        axis.axhline(
            100 * measured["exact"], color=f"C{number}", linestyle=line, label=f"{space}, Euclidean"
        )
    axis.axhline(100 * chance, color="0.5", linewidth=0.8, label="chance")
    axis.set_xticks(bits)
    axis.set_xlabel("bits of a code")
    axis.set_ylabel(f"precision at {count} (%)")
    axis.set_ylim(0, 100)
    figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=9)
    return figure
