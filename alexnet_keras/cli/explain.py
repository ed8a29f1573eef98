"""Draws why a classifier answers as it does, for each of its images.

    alexnet explain runs/x/classifier.keras photo.jpg folder/ --method grad_cam --layer conv5
    alexnet explain runs/x/classifier.keras photo.jpg --method occlusion --class "yellow ring"
    alexnet explain --network imagenet photo.jpg

Without a classifier and a name, tiny_imagenet is taken, which comes with the package.
Each picture has the image as the network sees it, and beside it the explanation. Images that
can't be read are listed on stderr, and the exit status is then 1.
"""

import argparse
import os
import sys
from pathlib import Path

from tqdm import tqdm

from alexnet_keras.cli.chosen_network import (
    USAGE,
    add_network_options,
    find_chosen_images,
    open_chosen,
)
from alexnet_keras.cli.command import import_package, run_command

_LONGEST_STEM = 180  # bytes; file systems allow 255 for a name
METHODS = ("grad_cam", "occlusion", "saliency", "guided_backpropagation")


def main(arguments: list[str] | None = None, prog: str = "alexnet explain") -> None:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    if run_command(
        _parser(prog), lambda options, command: explain(options), arguments, resumes=False
    ):
        sys.exit(1)


def explain(options: argparse.Namespace) -> int:
    """Writes a picture for each image, batch by batch.

    Args:
        options: parsed command line.

    Returns:
        Number of images that can't be read.
    """
    _check(options)
    from alexnet_keras.explain import explain_each

    images = _without_pictures(find_chosen_images(options), Path(options.out))
    classifier = open_chosen(options)
    own = {"layer": options.layer} if options.method == "grad_cam" else {}
    explanations = explain_each(
        classifier,
        images,
        options.class_name,
        method=options.method,
        batch_size=options.batch_size,
        **own,
    )
    return len(images) - _write(explanations, Path(options.out))


def _without_pictures(images, folder):
    """Returns the images without earlier pictures in the folder, unless all of them are such."""
    endings = tuple(f"_{method}.png" for method in METHODS)
    # Unlike Path.resolve, realpath accepts a link that leads to itself.
    folder = Path(os.path.realpath(folder))
    others = []
    for image in images:
        is_in_folder = Path(os.path.realpath(image)).parent == folder
        if not (is_in_folder and image.endswith(endings)):
            others.append(image)
    return others or images


def _parser(prog):
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} {USAGE}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_network_options(parser)
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="grad_cam",
        help="how the image is explained (default: grad_cam)",
    )
    parser.add_argument(
        "--layer",
        metavar="LAYER",
        help="layer whose maps grad_cam weights, such as conv5 (default: the last convolution)",
    )
    parser.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="name of the class to explain (default: the most probable class of each image)",
    )
    parser.add_argument(
        "--out",
        default="explanations",
        metavar="FOLDER",
        help="folder of the pictures, NAME_METHOD.png each, with a number if there is such a file; "
        "earlier pictures there are not explained (default: explanations)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=32,
        metavar="N",
        help="images that pass through the network at a time (default: 32)",
    )
    return parser


def _check(options):
    """Raises an error for a layer that has no use, or pictures that can't be drawn or written."""
    if options.layer is not None and options.method != "grad_cam":
        raise ValueError(
            f"`layer` needs --method grad_cam. Received: layer={options.layer!r}, "
            f"method={options.method!r}"
        )
    from alexnet_keras.files import check_writable

    check_writable(Path(options.out), "out")
    import_package()
    import alexnet_keras.plots  # noqa: F401  raises without Matplotlib


def _write(explanations, folder):
    """Writes the pictures as they come, and prints their paths; returns their number."""
    from alexnet_keras.files import replacing
    from alexnet_keras.plots import plot_explanations, save_figure

    count = 0
    for explanation in explanations:
        path = _new_path(explanation, folder)
        with replacing(path) as partial:
            save_figure(plot_explanations([explanation]), partial)
        share = f"{100 * explanation.probability:.2f}%"
        line = f"{explanation.source}: {explanation.class_name}, {share}: {path}"
        tqdm.write(line)  # above the progress bar
        count += 1
    return count


def _new_path(explanation, folder):
    """Returns the path of a new picture, with a number if the folder has one of this name."""
    stem = Path(explanation.source).stem
    while len(os.fsencode(stem)) > _LONGEST_STEM:
        stem = stem[:-1]
    path = folder / f"{stem}_{explanation.method}.png"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{stem}_{number}_{explanation.method}.png"
    return path
