"""Converts published weights of AlexNet to a .keras file, or such a file back to PyTorch.

    alexnet convert alexnet-owt-7be5be79.pth torchvision.keras --preset torchvision
    alexnet convert bvlc_alexnet.caffemodel caffe.keras --preset bvlc_alexnet
    alexnet convert bvlc_alexnet.npy caffe.keras --preset bvlc_alexnet
    alexnet convert torchvision.keras for_pytorch.pth

Nothing is downloaded. The network takes RGB images with pixel values 0-255, less a mean color that
the command prints. Only a .pth file as output needs PyTorch: pip install 'alexnet_keras[torch]'.
"""

import argparse

from alexnet_keras.cli.command import import_package, run_command
from alexnet_keras.convert import MEANS, convert


def main(arguments: list[str] | None = None, prog: str = "alexnet convert") -> None:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", help=".pth, .caffemodel or .npy file; .keras to convert back")
    parser.add_argument("output", help="new .keras file; .pth to convert back")
    parser.add_argument(
        "--preset",
        help=f"network of the weights: {', '.join(MEANS)} (default: none, to convert back)",
    )
    run_command(parser, _convert, arguments, resumes=False)


def _convert(options, command):
    import_package()
    convert(options.weights, options.output, options.preset)
