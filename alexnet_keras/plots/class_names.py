"""Names of classes for people."""

from collections.abc import Iterable

from alexnet_keras.data.imagenet_names import imagenet_names


def in_words(class_names: Iterable[str]) -> list[str]:
    """Returns the names of classes as people say them.

    Args:
        class_names: names of classes of a data set. WordNet numbers, as ImageNet and Imagenette have
            them, become names; in other names spaces replace underscores.

    Returns:
        list of str, in the same order.

    Example:

    >>> in_words(["n01440764", "traffic_light"])
    ['tench', 'traffic light']
    """
    names = imagenet_names()
    return [names.get(name, name.replace("_", " ")) for name in class_names]
