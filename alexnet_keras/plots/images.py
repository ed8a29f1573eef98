"""Images side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from alexnet_keras.plots.style import check_not_empty, literal, new_figure


def plot_images(
    images: np.ndarray, titles: Sequence[str] | None = None, columns: int = 8, title: str = ""
) -> Figure:
    """Plots images in rows.

    Args:
        images: `(count, height, width, 3)`, 0-255; values outside are clipped.
        titles: title of each image; `None` for none.
        columns: images in a row.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for no images.
    """
    check_not_empty("images", images)
    images = np.clip(np.asarray(images), 0, 255).astype("uint8")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = new_figure(rows, columns, (1.35 * columns, 1.55 * rows + 0.4), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for i, image in enumerate(images):
        axes.flat[i].imshow(image)
        if titles is not None:
            axes.flat[i].set_title(literal(titles[i]).replace(" ", "\n", 1), fontsize=8)
    figure.suptitle(literal(title))
    return figure
