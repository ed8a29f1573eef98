"""Images with the labels that a network finds most probable."""

import numpy as np

from alexnet_keras.plots.style import new_figure

_LETTERS = 26  # of a name; more would leave its panel


def plot_predictions(images, probabilities, labels, class_names, top=5, columns=4, title=""):
    """Images over their most probable labels as bars, the correct one hatched and in another color.

    Args:
        images: `(count, height, width, 3)`, 0-255.
        probabilities: `(count, classes)`, from 0 to 1, not logits.
        labels: `(count,)`, the correct ones, which stand over the images.
        class_names: a name for each label.
        top: bars for each image, at most.
        columns: images in a row.
        title: words above the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: when there are not as many of one as of the other, or for values that are no probabilities.

    Reference: figure 4, left, of Krizhevsky et al. (2012).
    """
    images, probabilities, labels = (
        np.asarray(images),
        np.asarray(probabilities),
        np.asarray(labels),
    )
    if not len(images) == len(probabilities) == len(labels) > 0 or probabilities.shape[1] != len(
        class_names
    ):
        raise ValueError(
            "`images`, `probabilities` and `labels` must be equally many, and a probability each of `class_names`. "
            f"Received: {len(images)} images, probabilities {probabilities.shape}, {len(labels)} labels, "
            f"{len(class_names)} class names"
        )
    if not np.all((probabilities >= 0) & (probabilities <= 1 + 1e-3)):
        raise ValueError(
            "`probabilities` must be from 0 to 1, such as the softmax of logits. "
            f"Received: values from {probabilities.min():.3g} to {probabilities.max():.3g}"
        )
    names = [name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…" for name in class_names]
    top, columns = min(top, len(names)), min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = new_figure(
        2 * rows,
        columns,
        (2.4 * columns, (2.3 + 0.24 * top) * rows + 0.4),
        squeeze=False,
        gridspec_kw={"height_ratios": [2.0, 0.24 * top] * rows},
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for i, (image, probability, label) in enumerate(
        zip(images, probabilities, labels, strict=True)
    ):
        picture, bars = axes[2 * (i // columns) : 2 * (i // columns) + 2, i % columns]
        picture.imshow(np.clip(image, 0, 255).astype("uint8"))
        picture.set_title(names[label], fontsize=9)
        best = np.argsort(-probability, kind="stable")[:top]
        for row, guess in enumerate(best):
            look = (
                dict(color="C1", hatch="//", edgecolor="white")
                if guess == label
                else dict(color="0.8")
            )
            bars.barh(row, probability[guess], height=0.85, **look)
            bars.text(
                0.01,
                row,
                names[guess],
                fontsize=8,
                va="center",
                bbox=dict(color="white", alpha=0.6, pad=0.5),
            )
            bars.text(
                1.2, row, f"{100 * probability[guess]:.0f}%", fontsize=8, va="center", ha="right"
            )
        bars.set_xlim(0, 1.2)
        bars.set_ylim(top - 0.5, -0.5)
    figure.suptitle(title, fontsize=10)
    return figure
