"""Writes the activations of layers for photographs to a file.

    alexnet features runs/x/classifier.keras photos/ --layers conv5 pool5 fc6 --output features.h5
    alexnet features --network imagenet photos/ --layers fc7

Without a classifier and a name, tiny_imagenet is taken, which comes with the package.

The file has an array for each layer, float32 (images, ...), and the paths of the rows in "files".
Images that can't be read are in "skipped", with their "reasons". Rerun a stopped command to resume;
until it ends, its work is in FILE.partial.
"""

import argparse

from alexnet_keras.cli.chosen_network import (
    USAGE,
    add_network_options,
    find_chosen_images,
    open_chosen,
)
from alexnet_keras.cli.command import import_package, run_command


def main(arguments: list[str] | None = None, prog: str = "alexnet features") -> None:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    run_command(_parser(prog), lambda options, command: features(options), arguments)


def features(options: argparse.Namespace) -> None:
    """Writes the features of images.

    Args:
        options: parsed command line.
    """
    images = find_chosen_images(options)
    import_package()
    from alexnet_keras.features import check_new_file, write_features

    check_new_file(options.output)
    path = write_features(
        open_chosen(options),
        images,
        options.layers,
        options.output,
        before_activation=options.before_activation,
        batch_size=options.batch_size,
    )
    print(f"Features: {path}")


def _parser(prog):
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} {USAGE}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_network_options(parser)
    parser.add_argument(
        "--layers",
        nargs="+",
        required=True,
        metavar="LAYER",
        help="names of layers, such as conv5 pool5 fc6",
    )
    parser.add_argument(
        "--before-activation",
        action="store_true",
        help="give convolutions and dense layers before their activation (default: after it)",
    )
    parser.add_argument(
        "--output",
        default="features.npz",
        metavar="FILE",
        help="new file, .npz for NumPy, .h5 or .hdf5 for HDF5 (default: features.npz)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=32,
        metavar="N",
        help="images that pass through the network at a time (default: 32)",
    )
    return parser
