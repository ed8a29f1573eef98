"""Trains AlexNet on an image data set and measures its top-1 and top-5 error.

    python -m experiments.train --dataset imagenette/320px-v2 --config source --epochs 30 --workdir runs/imagenette

The same command goes on where it was stopped. ImageNet, as the paper's authors ran it (two GPUs, 90 epochs, batch 128):

    python -m experiments.train --dataset imagenet2012 --config source --devices 2 --workdir runs/imagenet

The paper reports a top-1 error of 40.7% and a top-5 error of 18.2% there, over ten crops.
"""

import argparse
import ast
import dataclasses
import os
import shlex
import sys


def main(arguments=None):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from alexnet_keras.training.config import TRAINING_PRESETS, TrainingConfig, training_config

    parser = argparse.ArgumentParser(
        prog="python -m experiments.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        epilog="The defaults are those of --config paper. The other presets differ in:\n"
        + "\n".join(
            f"  {preset}: " + ", ".join(f"{name.replace('_', '-')} {_words(value)}" for name, value in options.items())
            for preset, options in TRAINING_PRESETS.items()
            if options
        ),
    )
    parser.add_argument("--workdir", required=True, help="folder for everything that the training writes")
    parser.add_argument("--classes", type=int, help="number of classes that the data must have (default: its own)")
    for field in dataclasses.fields(TrainingConfig):
        flag = "--" + field.name.replace("_", "-")
        default = {} if field.name == "overrides" else field.default
        text = f"{field.metadata['help']} (default: {_words(default)})".replace("%", "%%")
        if field.name == "overrides":
            parser.add_argument(flag, nargs="+", type=_pair, metavar="NAME=VALUE", help=text)
        elif field.name == "devices":
            parser.add_argument(flag, nargs="+", metavar="N or NAME", help=text)
        elif field.type is tuple:
            kind = int if field.name == "views" else float
            parser.add_argument(flag, nargs="*", type=kind, metavar="N" if kind is int else "SHARE", help=text)
        elif field.type is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        else:
            kind = field.type if isinstance(field.type, type) else _number_or_none
            parser.add_argument(flag, type=kind, metavar=kind.__name__.strip("_").upper(), help=text)
    options = vars(parser.parse_args(arguments))
    workdir, classes = options.pop("workdir"), options.pop("classes", None)
    if "overrides" in options:
        options["overrides"] = dict(options["overrides"])
    try:
        config = training_config(**options)
        from alexnet_keras.training.train import train_and_evaluate

        command = shlex.join(["python", "-m", "experiments.train", *(sys.argv[1:] if arguments is None else arguments)])
        verbose = 1 if sys.stdout.isatty() else 2
        return train_and_evaluate(config, workdir, classes=classes, command=command, verbose=verbose)
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"{parser.prog}: {error}")


def _words(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, dict)) or value is None:
        return " ".join(f"{share:.3g}" for share in value or ()) or "none"
    return str(value)


def _number_or_none(text):
    return None if text == "none" else float(text)


def _pair(text):
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    main()
