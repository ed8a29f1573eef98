"""Figures of images with their most probable labels."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from alexnet_keras.plots.class_names import shortened
from alexnet_keras.plots.style import literal, new_figure

if TYPE_CHECKING:
    from alexnet_keras.classifier import Prediction


@dataclasses.dataclass(frozen=True)
class _Panel:
    """An image over bars: a title, the names and probabilities of the bars, and the correct bar."""

    image: np.ndarray
    title: str
    names: Sequence[str]
    probabilities: np.ndarray
    correct: int | None = None


def plot_predictions(
    images: np.ndarray,
    probabilities: np.ndarray,
    labels: np.ndarray | Sequence[int],
    class_names: Sequence[str],
    top: int = 5,
    columns: int = 4,
    title: str = "",
) -> Figure:
    """Plots images over bars of their most probable labels.

    The bar of the correct label is hatched and in another color.

    Args:
        images: `(count, height, width, 3)`, 0-255.
        probabilities: `(count, classes)`, from 0 to 1, not logits.
        labels: correct labels, the titles of the images, `(count,)`.
        class_names: a name for each label.
        top: largest number of bars for each image.
        columns: images in a row.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if the numbers of images, probabilities and labels differ, or for values that
            are not probabilities.

    Reference: figure 4, left, of Krizhevsky et al. (2012).
    """
    images = np.asarray(images)
    probabilities = np.asarray(probabilities)
    labels = np.asarray(labels)
    same_count = len(images) == len(probabilities) == len(labels) > 0
    if not same_count or probabilities.shape[1] != len(class_names):
        raise ValueError(
            "`images`, `probabilities` and `labels` must be equally many, and a probability each "
            f"of `class_names`. Received: {len(images)} images, probabilities "
            f"{probabilities.shape}, {len(labels)} labels, {len(class_names)} class names"
        )
    if not np.all((probabilities >= 0) & (probabilities <= 1 + 1e-3)):
        raise ValueError(
            "`probabilities` must be from 0 to 1, such as the softmax of logits. "
            f"Received: values from {probabilities.min():.3g} to {probabilities.max():.3g}"
        )
    panels = []
    for image, probability, label in zip(images, probabilities, labels, strict=True):
        best = np.argsort(-probability, kind="stable")[:top]
        correct = int(np.flatnonzero(best == label)[0]) if label in best else None
        names = [class_names[int(guess)] for guess in best]
        panels.append(_Panel(image, class_names[int(label)], names, probability[best], correct))
    return _draw(panels, columns, title)


def plot_classified(
    images: np.ndarray,
    predictions: Sequence["Prediction"],
    columns: int = 4,
    title: str = "",
) -> Figure:
    """Plots images that a `Classifier` has classified, over bars of their classes.

    Args:
        images: `(count, height, width, 3)`, 0-255.
        predictions: a `Prediction` of `Classifier.predict` for each image.
        columns: images in a row.
        title: title of the figure.

    Returns:
        A matplotlib figure. The titles of the images are the names of their files.

    Raises:
        ValueError: if there are not as many images as predictions, or an image was not classified.

    Reference: figure 4, left, of Krizhevsky et al. (2012).
    """
    if not len(images) == len(predictions) > 0 or any(p.error for p in predictions):
        raise ValueError(
            "`images` and `predictions` must be equally many, of images that are classified. "
            f"Received: {len(images)} images, {len(predictions)} predictions, "
            f"{sum(p.error is not None for p in predictions)} of which have an error"
        )
    panels = [
        _Panel(image, Path(p.source).name, p.names, p.probabilities)
        for image, p in zip(images, predictions, strict=True)
    ]
    return _draw(panels, columns, title)


def _draw(panels, columns, title):
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    bars = max(len(panel.names) for panel in panels)
    figure, axes = new_figure(
        2 * rows,
        columns,
        (2.4 * columns, (2.3 + 0.24 * bars) * rows + 0.4),
        squeeze=False,
        gridspec_kw={"height_ratios": [2.0, 0.24 * bars] * rows},
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for i, panel in enumerate(panels):
        picture, below = axes[2 * (i // columns) : 2 * (i // columns) + 2, i % columns]
        picture.imshow(np.clip(panel.image, 0, 255).astype("uint8"))
        picture.set_title(shortened(panel.title), fontsize=9)
        _draw_bars(below, panel, bars)
    figure.suptitle(literal(title), fontsize=10)
    return figure


def _draw_bars(axis, panel, bars):
    for row, (name, value) in enumerate(zip(panel.names, panel.probabilities, strict=True)):
        look = {"color": "0.8"}
        if row == panel.correct:
            look = {"color": "C1", "hatch": "//", "edgecolor": "white"}
        axis.barh(row, value, height=0.85, **look)
        box = {"color": "white", "alpha": 0.6, "pad": 0.5}
        axis.text(0.01, row, shortened(name), fontsize=8, va="center", bbox=box)
        axis.text(1.2, row, f"{100 * value:.0f}%", fontsize=8, va="center", ha="right")
    axis.set_xlim(0, 1.2)
    axis.set_ylim(bars - 0.5, -0.5)
