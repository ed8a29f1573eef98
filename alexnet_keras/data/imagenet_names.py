"""Names of ImageNet's 1,000 classes, offline.

`imagenet_names.txt` has a line for each class: its WordNet number and its name. The numbers come
from `tensorflow_datasets` (`imagenet2012/labels.txt`), in the order of the labels 0-999. The names
are the first ones of WordNet's synsets. Words in parentheses distinguish classes of the same name.
"""

import functools
from pathlib import Path


@functools.cache
def imagenet_names() -> dict[str, str]:
    """Returns the classes of ImageNet (ILSVRC 2012): names by WordNet numbers.

    Returns:
        dict with 1,000 entries, in the order of the labels. The names are unique.

    Example:

    >>> list(imagenet_names().items())[:2]
    [('n01440764', 'tench'), ('n01443537', 'goldfish')]

    Reference: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge" (2015); the
    names are WordNet's (Princeton University).
    """
    lines = Path(__file__).with_suffix(".txt").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)
