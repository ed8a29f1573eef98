"""Figures of explanations, and of the patches that excite units."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from alexnet_keras.plots.class_names import in_words, shortened
from alexnet_keras.plots.style import literal, new_figure

if TYPE_CHECKING:
    from alexnet_keras.explain import Explanation, UnitPatches

_TITLES = {
    "grad_cam": "Grad-CAM",
    "guided_backpropagation": "guided backprop.",
}
_SPECKLED = "saliency"  # its maps hide the image, and are drawn without it
_SHOWN = 99.5  # percent of the values that are not clipped
_FOR = np.array([0.95, 0.2, 0.0])  # color of what speaks for a class
_AGAINST = np.array([0.0, 0.35, 0.95])


def plot_explanations(*explained: Sequence["Explanation"], title: str = "") -> Figure:
    """Plots images in the first column, and their explanations in the next columns.

    Maps of regions are drawn over the gray image. Red speaks for the class, blue against it, and
    the color is full at the largest value of the map. Saliency is bright where it is large.
    In guided backpropagation gray is 0.

    Args:
        *explained: lists of `alexnet_keras.explain.Explanation` of the same images, one for each
            column.
        title: title of the figure.

    Returns:
        A matplotlib figure. The title above each map has its class and the range of its values.

    Raises:
        ValueError: for no explanations, or lists of different images.
    """
    sources = [[each.source for each in column] for column in explained]
    if not sources or not sources[0] or any(column != sources[0] for column in sources):
        raise ValueError(
            "`explained` must be lists of explanations of the same images. "
            f"Received: lists of {', '.join(str(len(column)) for column in sources) or 'no'} images"
        )
    rows = len(sources[0])
    columns = 1 + len(explained)
    figure, axes = new_figure(
        rows, columns, (2.1 * columns, 2.55 * rows + 0.4 * bool(title)), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for row, first in enumerate(explained[0]):
        axes[row, 0].imshow(first.image)
        axes[row, 0].set_title(shortened(Path(first.source).name) + "\n", fontsize=8)
        for axis, column in zip(axes[row, 1:], explained, strict=True):
            _draw(axis, column[row])
    figure.suptitle(literal(title), fontsize=10)
    return figure


def plot_patches(
    found: Sequence["UnitPatches"], drawn: np.ndarray | None = None, title: str = ""
) -> Figure:
    """Plots the patches that excite units most, with a row for each unit.

    Args:
        found: list of `alexnet_keras.explain.UnitPatches`.
        drawn: images of `alexnet_keras.explain.activation_maximization` for the same units, to show
            before the patches; `None` for none.
        title: title of the figure.

    Returns:
        A matplotlib figure. The label of a row has the unit's number, and the largest and smallest
        of its values.

    Raises:
        ValueError: for no units, or another number of images than units.

    Reference: figure 2 of Zeiler and Fergus (2013).
    """
    if not found or (drawn is not None and len(drawn) != len(found)):
        images = "" if drawn is None else f", {len(drawn)} images"
        raise ValueError(
            "`found` must have at least one unit, and `drawn` an image for each. "
            f"Received: {len(found)} units{images}"
        )
    before = int(drawn is not None)
    columns = before + max(len(unit.patches) for unit in found)
    figure, axes = new_figure(
        len(found), columns, (0.85 * columns + 1.0, 0.9 * len(found) + 0.5), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for row, unit in enumerate(found):
        images = list(unit.patches)
        if drawn is not None:
            images.insert(0, np.clip(drawn[row], 0, 255).astype("uint8"))
        for axis, image in zip(axes[row], images, strict=False):
            axis.imshow(image)
            axis.set_axis_on()
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(visible=True, color="0.8")  # also around white patches
        label = f"unit {unit.unit}\n{_number(unit.values[0])} to {_number(unit.values[-1])}"
        axes[row, 0].text(
            -0.08, 0.5, label, fontsize=8, ha="right", va="center", transform=axes[row, 0].transAxes
        )
    figure.suptitle(literal(title), fontsize=10)
    return figure


def _draw(axis, explanation):
    """Draws a map."""
    values = explanation.map
    limit = float(np.percentile(np.abs(values), _SHOWN)) or 1.0
    if values.ndim == 3:
        axis.imshow(np.clip(0.5 + 0.5 * values / limit, 0, 1))
    elif explanation.method == _SPECKLED:
        axis.imshow(values, cmap="inferno", vmin=0, vmax=limit)
    else:
        axis.imshow(_over(explanation.image, values))
    (name,) = in_words([explanation.class_name])
    method = _TITLES.get(explanation.method, explanation.method)
    if explanation.layer is not None:
        method = f"{method}, {explanation.layer}"
    limits = f"{values.min():.2g} to {values.max():.2g}"
    if values.ndim == 3:  # shorter, as the panel is narrow and gray is 0
        limits = f"±{np.abs(values).max():.2g}"
    probability = f"{100 * explanation.probability:.0f}%"
    axis.set_title(f"{shortened(name)} {probability}\n{method}: {limits}", fontsize=8)


def _over(image, values):
    """Returns the gray image with the colors of a map, float `(size, size, 3)`, 0-1."""
    gray = (image @ [0.299, 0.587, 0.114] / 255)[..., None]
    limit = float(np.abs(values).max()) or 1.0
    share = 0.75 * np.abs(values)[..., None] / limit
    color = np.where(values[..., None] > 0, _FOR, _AGAINST)
    return np.clip((1 - share) * gray + share * color, 0, 1)


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
