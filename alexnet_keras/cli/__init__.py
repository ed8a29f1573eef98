"""The commands of `alexnet`. They import Keras only after their options are parsed."""

import argparse
import importlib
import sys
from typing import Any

from alexnet_keras.version import __version__

COMMANDS = {
    "train": "train a network on an image data set and measure its errors",
    "evaluate": "measure the errors of trained networks, single and averaged",
    "convert": "convert published weights to a .keras file, or back to PyTorch",
    "export": "export a trained network to SavedModel, ONNX or TFLite",
    "predict": "classify photographs with a trained network",
    "features": "write the activations of layers for photographs to a file",
    "explain": "draw why a trained network answers as it does for photographs",
    "info": "print versions, devices and folders, or the layers of a network",
}


def main(arguments: list[str] | None = None) -> Any:
    """Runs the command line of `alexnet`.

    Args:
        arguments: list of command-line arguments; `None` for `sys.argv[1:]`.

    Returns:
        Result of the command.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words[:1])
    return run(options.command, words[1:], prog=f"alexnet {options.command}")


def run(name: str, arguments: list[str] | None, prog: str) -> Any:
    """Runs one command.

    Args:
        name: one of `COMMANDS`.
        arguments: list of command-line arguments; `None` for `sys.argv[1:]`.
        prog: name of the command in messages and in the record of its results.

    Returns:
        Result of the command.
    """
    return importlib.import_module(f"alexnet_keras.cli.{name}").main(arguments, prog)


def _parser():
    parser = argparse.ArgumentParser(
        prog="alexnet",
        description="AlexNet in Keras 3: training, evaluation and conversion.",
        epilog="'alexnet COMMAND --help' explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"alexnet_keras {__version__}")
    parsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    parsers.required = True
    for name, text in COMMANDS.items():
        parsers.add_parser(name, help=text, add_help=False)
    return parser
