"""Classifies photographs.

    alexnet predict runs/x/classifier.keras photo.jpg folder/ "more/*.png" --top 5
    alexnet predict --network imagenet photo.jpg

A training writes classifier.keras. A folder is searched for images at any depth. Files that are not
images are listed on stderr, and the exit status is then 1.
"""

import argparse
import json
import sys
from pathlib import Path

from alexnet_keras.cli.command import import_package, run_command
from alexnet_keras.evaluation.view_names import check_test_views

_IN_FIGURE = 40  # images at most


def main(arguments: list[str] | None = None, prog: str = "alexnet predict") -> None:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    if run_command(_parser(prog), lambda options, command: predict(options), arguments):
        sys.exit(1)


def predict(options: argparse.Namespace) -> int:
    """Classifies images and prints their classes.

    Args:
        options: parsed command line.

    Returns:
        Number of images that can't be read.
    """
    _check(options)
    import_package()
    from alexnet_keras.classifier import Classifier

    images = options.images
    if options.network is None:
        classifier = Classifier.load(images[0])
        images = images[1:]
    else:
        classifier = _pretrained(options.network)
    predictions = classifier.predict(
        images, options.top, options.test_views, batch_size=options.batch_size
    )
    if options.json:
        print(json.dumps([_described(prediction) for prediction in predictions], indent=1))
    else:
        text = "\n".join(_lines(predictions))
        print(text.encode(errors="backslashreplace").decode())  # not every file name is text
    if options.figure:
        _draw(classifier, predictions, Path(options.figure))
    return sum(prediction.error is not None for prediction in predictions)


def _parser(prog):
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} [options] (CLASSIFIER | --network NAME) IMAGE [IMAGE ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "images",
        metavar="PATH",
        nargs="+",
        help="without --network first a classifier.keras file, or the folder of the training that "
        'wrote it; then image files, folders of images, or patterns such as "photos/*.jpg"',
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="named weights, such as imagenet, which are downloaded once (default: CLASSIFIER)",
    )
    parser.add_argument(
        "--top",
        type=int,
        metavar="N",
        help="classes of each image (default: 5, or all of fewer)",
    )
    parser.add_argument(
        "--test-views",
        default="center",
        help="center, ten_crop, nine_crop or dense (default: center)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=32,
        metavar="N",
        help="crops that pass through the network at a time (default: 32)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON list with an object for each image (default: a text)",
    )
    parser.add_argument(
        "--figure",
        metavar="FILE.png",
        help=f"draw the first {_IN_FIGURE} images with their classes as bars, as in figure 4 of "
        "the paper (default: no figure)",
    )
    return parser


def _check(options):
    """Raises an error for no image, or a figure that can't be drawn or written."""
    if options.network is None and len(options.images) < 2:
        raise ValueError(
            "`images` must have at least one path after the classifier, or a network of --network. "
            f"Received: {options.images[0]!r} only"
        )
    check_test_views(options.test_views)
    if not options.figure:
        return
    from alexnet_keras.files import check_writable

    path = Path(options.figure)
    if path.suffix != ".png" or path.is_dir():
        raise ValueError(f"`figure` must end in .png. Received: figure={options.figure!r}")
    check_writable(path.parent, "figure", "a file in a folder")
    import_package()
    import alexnet_keras.plots  # noqa: F401  raises without Matplotlib


def _pretrained(network):
    from alexnet_keras.classifier import Classifier
    from alexnet_keras.pretrained import available

    if network not in available():
        raise ValueError(
            f"`network` must be one of {', '.join(available())}. Received: network={network!r}"
        )
    return Classifier.pretrained(network)


def _draw(classifier, predictions, path):
    from alexnet_keras.files import replacing
    from alexnet_keras.plots import plot_classified, save_figure

    drawn = [prediction for prediction in predictions if prediction.error is None][:_IN_FIGURE]
    images = classifier.prepare([prediction.source for prediction in drawn])
    with replacing(path) as partial:
        save_figure(plot_classified(images, drawn), partial)
    print(f"Figure of {len(drawn)} images: {path}", file=sys.stderr)


def _described(prediction):
    """Returns the entry of one image in the JSON list."""
    if prediction.error is not None:
        return {"image": prediction.source, "error": prediction.error}
    pairs = zip(prediction.names, prediction.probabilities, strict=True)
    classes = [{"name": name, "probability": float(value)} for name, value in pairs]
    return {"image": prediction.source, "classes": classes}


def _lines(predictions):
    """Yields a line for each image, and one for each of its classes."""
    for prediction in predictions:
        if prediction.error is not None:
            continue  # listed on stderr
        yield prediction.source
        for name, value in zip(prediction.names, prediction.probabilities, strict=True):
            yield f"  {100 * value:6.2f}%  {name}"
