"""One look for all figures."""

import matplotlib
from matplotlib.figure import Figure

STYLE = {
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 110,
}


def new_figure(rows=1, columns=1, size=(6.4, 4.0), **kwargs):
    """A figure in the common style, and its axes. It belongs to no window; a notebook shows it as its last value."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(rows, columns, **kwargs)


def save_figure(figure, path):
    """Saves a figure as a PNG."""
    figure.savefig(path, dpi=STYLE["savefig.dpi"])
