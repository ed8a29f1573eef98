"""Common style of all figures."""

import os
from collections.abc import Sized
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from alexnet_keras.files import printable

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 110,
}


def literal(text: str) -> str:
    """Returns a name as Matplotlib draws it: not as a formula, and with escapes for other bytes."""
    return printable(text).replace("$", r"\$")


def new_figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.4, 4.0), **kwargs: Any
) -> tuple[Figure, Any]:
    """Returns a figure in the common style, without a window, and its axes.

    A notebook shows it as the last value of a cell.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(rows, columns, **kwargs)


def check_not_empty(name: str, values: Sized) -> None:
    """Raises a `ValueError` if there is nothing to draw.

    Args:
        name: name of the argument.
        values: its value.
    """
    if len(values) == 0:
        raise ValueError(f"`{name}` must have at least one entry. Received: none")


def save_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Saves a figure as a PNG."""
    figure.savefig(path, dpi=STYLE["savefig.dpi"])
