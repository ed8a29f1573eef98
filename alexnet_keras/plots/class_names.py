"""Readable names of classes."""

from collections.abc import Iterable

from alexnet_keras.data.imagenet_names import imagenet_names
from alexnet_keras.plots.style import literal

_LETTERS = 26  # longest name that fits into a panel


def in_words(class_names: Iterable[str]) -> list[str]:
    """Returns readable names of classes.

    Args:
        class_names: names of classes of a data set. WordNet numbers, as in ImageNet and Imagenette,
            become names. In other names, spaces replace underscores.

    Returns:
        List of names, in the same order.

    Example:

    >>> in_words(["n01440764", "traffic_light"])
    ['tench', 'traffic light']
    """
    names = imagenet_names()
    return [names.get(name, name.replace("_", " ")) for name in class_names]


def shortened(name: str) -> str:
    """Returns a name to draw, or its start and an ellipsis if it does not fit into a panel."""
    return literal(name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…")
