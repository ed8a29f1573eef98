"""Choice of the network of `predict`, `features` and `explain`: file, name or default."""

import argparse
import sys
from typing import TYPE_CHECKING

from alexnet_keras.checks import check_whole_number

if TYPE_CHECKING:
    from alexnet_keras.classifier import Classifier

USAGE = "[options] [CLASSIFIER | --network NAME] IMAGE [IMAGE ...]"


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Adds the paths of a classifier and of images, and `--network`."""
    parser.add_argument(
        "images",
        metavar="PATH",
        nargs="+",
        help='image files, folders of images, or patterns such as "photos/*.jpg"; before them a '
        "classifier.keras file, or the folder of the training that wrote it",
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="named weights, such as imagenet, which are downloaded once (default: CLASSIFIER, or "
        "else tiny_imagenet, which comes with the package)",
    )


def find_chosen_images(options: argparse.Namespace) -> list[str]:
    """Returns the paths of the image files, before a network is loaded or downloaded.

    Raises:
        ValueError: for a classifier without images, or a path without images; for a batch size
            below 1.
    """
    from alexnet_keras.data.image_files import find_images

    check_whole_number("batch_size", options.batch_size)
    has_classifier = _has_classifier(options)
    if has_classifier and len(options.images) < 2:
        raise ValueError(
            "`images` must have at least one path after the classifier. "
            f"Received: {options.images[0]!r} only"
        )
    files = []
    for path in options.images[has_classifier:]:
        if _is_classifier(path):
            before = "has --network" if options.network else "names another path first"
            raise ValueError(
                "`images` must have a classifier as the first path, and none with --network. "
                f"Received: {path!r}, where the command {before}"
            )
        files += find_images(path)
    return files


def open_chosen(options: argparse.Namespace) -> "Classifier":
    """Returns the chosen classifier.

    Args:
        options: parsed command line.

    Raises:
        ValueError: for an unknown name, or a file that is not a classifier.
    """
    from alexnet_keras.classifier import Classifier
    from alexnet_keras.pretrained import classifier_names, default_name

    if _has_classifier(options):
        return Classifier.load(options.images[0])
    names = classifier_names()
    name = options.network
    if name is None:
        name = default_name()
        print(f"Network: {name}, which comes with the package", file=sys.stderr)
    if name not in names:
        raise ValueError(f"`network` must be one of {', '.join(names)}. Received: network={name!r}")
    return Classifier.pretrained(name, "network")


def _has_classifier(options):
    """Whether the first path is a classifier: a `.keras` file, or the folder of a training."""
    return options.network is None and _is_classifier(options.images[0])


def _is_classifier(path):
    from alexnet_keras.files import expand_home

    folder = expand_home(path)
    if folder.suffix == ".keras" or (folder / "classifier.keras").exists():
        return True
    # A training that has begun has its settings; a folder of photographs may have such a file, too.
    config = folder / "config.json"
    return config.is_file() and '"preset"' in config.read_text(errors="replace")
