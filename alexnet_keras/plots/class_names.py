"""Names of classes in words."""

from alexnet_keras.extras import extra

_IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def in_words(class_names):
    """Names of classes as people say them: what Imagenette and ImageNet call by WordNet numbers, in words.

    Args:
        class_names: the names of all classes of a data set, in the order of the labels.

    Returns:
        list of str. Other names stay, with spaces for underscores.

    Example:

    >>> in_words(["n01440764", "traffic_light"])
    ['tench', 'traffic light']
    """
    numbers = all(name[:1] == "n" and name[1:].isdecimal() for name in class_names)
    if len(class_names) == 1000 and numbers and list(class_names) == sorted(class_names):
        with extra("naming ImageNet's classes"):
            from tensorflow_datasets.datasets.siscore.labels import IMAGENET_LABELS_LIST

        return [name.split(",")[0] for name in IMAGENET_LABELS_LIST]
    return [_IMAGENETTE.get(name, name.replace("_", " ")) for name in class_names]
