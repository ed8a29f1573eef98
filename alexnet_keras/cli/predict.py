"""Classifies photographs.

    alexnet predict photo.jpg
    alexnet predict --network imagenet photo.jpg
    alexnet predict runs/x/classifier.keras photo.jpg folder/ "more/*.png" --top 5

A training writes classifier.keras. Without a classifier and a name, the network tiny_imagenet is
taken, which comes with the package and knows 200 classes of ImageNet. A folder is searched for
images at any depth. Images that can't be read are listed on stderr, and the exit status is then 1.
Other files of a folder are counted there.
"""

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from alexnet_keras.checks import check_whole_number
from alexnet_keras.cli.chosen_network import (
    USAGE,
    add_network_options,
    find_chosen_images,
    open_chosen,
)
from alexnet_keras.cli.command import import_package, run_command
from alexnet_keras.evaluation.view_names import check_test_views

_IN_FIGURE = 40  # images at most


def main(arguments: list[str] | None = None, prog: str = "alexnet predict") -> None:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    if run_command(
        _parser(prog), lambda options, command: predict(options), arguments, resumes=False
    ):
        sys.exit(1)


def predict(options: argparse.Namespace) -> int:
    """Classifies images and prints their classes, as a text batch by batch.

    Args:
        options: parsed command line.

    Returns:
        Number of images that can't be read.
    """
    images = _checked_images(options)
    import_package()
    classifier = open_chosen(options)
    predictions = classifier.predict_each(
        images, options.top, options.test_views, batch_size=options.batch_size
    )
    unreadable = 0
    drawn = []
    described = []
    try:
        for prediction in predictions:
            is_readable = prediction.error is None  # the others stand on stderr
            unreadable += not is_readable
            if options.json:
                described.append(_described(prediction))
            elif is_readable:
                tqdm.write(_text(prediction))  # above the progress bar
            if options.figure and is_readable and len(drawn) < _IN_FIGURE:
                drawn.append(prediction)
    except ValueError:
        if options.json and len(described) == len(images):  # none can be read
            print(json.dumps(described, indent=1))
        raise
    if options.json:
        print(json.dumps(described, indent=1))
    if options.figure:
        _draw(classifier, drawn, Path(options.figure))
    return unreadable


def _parser(prog):
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} {USAGE}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_network_options(parser)
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
        help=f"new file: draw the first {_IN_FIGURE} images with their classes as bars, as in "
        "figure 4 of the paper (default: no figure)",
    )
    return parser


def _checked_images(options):
    """Returns the images; raises an error for none, or a figure that can't be drawn or written."""
    images = find_chosen_images(options)
    check_test_views(options.test_views)
    if options.top is not None:
        check_whole_number("top", options.top)
    if not options.figure:
        return images
    from alexnet_keras.files import check_writable

    path = Path(options.figure)
    if path.suffix != ".png" or path.exists():
        reason = "which exists" if path.exists() else "with another ending"
        raise ValueError(
            f"`figure` must be a new file that ends in .png. Received: figure={options.figure!r}, "
            f"{reason}"
        )
    check_writable(path.parent, "figure", "a file in a folder")
    import_package()
    import alexnet_keras.plots  # noqa: F401  raises without Matplotlib

    return images


def _draw(classifier, predictions, path):
    from alexnet_keras.files import replacing
    from alexnet_keras.plots import plot_classified, save_figure

    images = classifier.prepare([prediction.source for prediction in predictions])
    with replacing(path) as partial:
        save_figure(plot_classified(images, predictions), partial)
    print(f"Figure of {len(predictions)} images: {path}", file=sys.stderr)


def _described(prediction):
    """Returns the entry of one image in the JSON list."""
    if prediction.error is not None:
        return {"image": prediction.source, "error": prediction.error}
    pairs = zip(prediction.names, prediction.probabilities, strict=True)
    classes = [{"name": name, "probability": float(value)} for name, value in pairs]
    return {"image": prediction.source, "classes": classes}


def _text(prediction):
    """Returns the line of an image, and one for each of its classes."""
    lines = [prediction.source]
    for name, value in zip(prediction.names, prediction.probabilities, strict=True):
        lines.append(f"  {100 * value:6.2f}%  {name}")
    return "\n".join(lines)
