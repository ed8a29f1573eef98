"""Trains AlexNet on an image data set and measures its top-1 and top-5 error.

    python -m experiments.train --dataset imagenette/320px-v2 --preset source --epochs 30 --workdir runs/imagenette

Rerun the same command to resume after Ctrl-C, SIGTERM or a crash.

ImageNet as in the paper (two GPUs, 90 epochs, batches of 128), where it reports a top-1 error of
40.7% and a top-5 error of 18.2% on ten crops:

    python -m experiments.train --dataset imagenet2012 --preset source --devices 2 --workdir runs/imagenet

Two machines get the same command with another --host, and share the workdir:

    python -m experiments.train --hosts NAME0:1234 NAME1:1234 --host 0 --dataset imagenet2012 --workdir /shared/imagenet
"""

import argparse
import ast
import dataclasses
import os
import shlex
import sys
from pathlib import Path

from experiments.framework.cli import INTERRUPTED, print_interrupted

# Type and placeholder of the entries of a tuple; those of other tuples are shares.
_TUPLE_ITEMS = {
    "test_views": (str, "VIEWS"),
    "class_subset": (int, "N"),
    "initial_layers": (str, "LAYER"),
    "scale_jitter": (int, "PIXELS"),
}
_OPTIONAL_PLACEHOLDERS = {float: "NUMBER or none", int: "NUMBER or none", str: "FILE or none"}


def main(arguments=None):
    distribution = _distribution_parser()
    chosen, _ = distribution.parse_known_args(arguments)
    has_several_hosts = "hosts" in chosen or "KERAS_DISTRIBUTION_JOB_ADDRESSES" in os.environ
    _choose_backend(getattr(chosen, "backend", "jax" if has_several_hosts else None))
    parser = _parser(distribution)
    options = vars(parser.parse_args(arguments))
    addresses = options.pop("hosts", None)
    host = options.pop("host", None)
    _check_hosts(parser, options.pop("backend", "jax"), has_several_hosts, addresses, host)
    command = shlex.join(
        ["python", "-m", "experiments.train", *(sys.argv[1:] if arguments is None else arguments)]
    )
    try:
        return _train(
            options, command, has_several_hosts, None if addresses == ["auto"] else addresses, host
        )
    except (ValueError, OSError, FloatingPointError) as error:
        if has_several_hosts:
            print(f"{parser.prog}: {error}", file=sys.stderr, flush=True)
            os._exit(
                1
            )  # at exit JAX waits for the other hosts, which may be lost, or wait for this one
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        print_interrupted(parser.prog)
        if has_several_hosts:
            os._exit(INTERRUPTED)
        sys.exit(INTERRUPTED)


def _train(options, command, has_several_hosts, addresses, host):
    """Trains with the options of the command line."""
    from alexnet_keras.training.config import training_config

    workdir = options.pop("workdir")
    classes = options.pop("classes", None)
    for name in ("overrides", "layer_learning_rates"):
        if name in options:
            options[name] = dict(options[name])
    config = training_config(**options)
    if has_several_hosts:
        from alexnet_keras.distributed import join_hosts

        join_hosts(addresses, host)
    # Imported after the hosts have joined, as it may already use the devices.
    from alexnet_keras.training.train import train_and_evaluate

    verbose = 1 if sys.stdout.isatty() else 2
    results = train_and_evaluate(config, workdir, classes=classes, command=command, verbose=verbose)
    draw(results, workdir)
    return results


def draw(results, workdir):
    """Draws the learning curves, `curves.png`, and the first layer's kernels, `kernels.png`.

    Args:
        results: results of `train_and_evaluate`.
        workdir: its folder. Without `last.keras` in it, only the curves are drawn.
    """
    from alexnet_keras.analysis.kernels import first_convolution
    from alexnet_keras.distributed.hosts import process_index
    from alexnet_keras.models import load_model
    from alexnet_keras.plots import plot_curves, plot_kernels, save_figure

    if process_index() > 0:  # only the first host writes
        return
    config = results["config"]
    overrides = [f"{name}={value}" for name, value in config["overrides"].items()]
    network = ", ".join([config["preset"], *overrides])
    curves = plot_curves(results["history"], title=f"{network} on {results['data']['name']}")
    save_figure(curves, Path(workdir) / "curves.png")
    weights = Path(workdir) / "last.keras"
    if weights.exists():
        model = load_model(weights, "workdir")
        save_figure(
            plot_kernels(model, layer=first_convolution(model)), Path(workdir) / "kernels.png"
        )


def _check_hosts(parser, backend, has_several_hosts, addresses, host):
    """Ends with an error for options of hosts that do not go together."""
    if backend != "jax" and has_several_hosts:
        parser.error("several hosts (--hosts, KERAS_DISTRIBUTION_JOB_ADDRESSES) need --backend jax")
    if host is not None and addresses in (None, ["auto"]):
        parser.error("--host needs --hosts NAME:PORT NAME:PORT ..., of which it is one")


def _distribution_parser():
    """The options that are read first, as Keras takes its backend when it is imported."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("backend and hosts")
    group.add_argument(
        "--backend",
        choices=("tensorflow", "jax"),
        help="backend of Keras (default: KERAS_BACKEND, or else jax for several hosts and tensorflow for one)",
    )
    group.add_argument(
        "--hosts",
        nargs="+",
        metavar="NAME:PORT",
        help="hosts that share each batch; the first one coordinates them. auto finds them under Slurm, Open MPI, "
        "Kubernetes or on a TPU pod (default: KERAS_DISTRIBUTION_JOB_ADDRESSES, or else this host)",
    )
    group.add_argument(
        "--host", type=int, metavar="N", help="number of this host among --hosts, from 0"
    )
    return parser


def _parser(distribution):
    """The parser of the whole command, with an option for each field of `TrainingConfig`."""
    from alexnet_keras.training.config import TRAINING_PRESETS, TrainingConfig

    presets = [
        _preset_text(preset, options) for preset, options in TRAINING_PRESETS.items() if options
    ]
    parser = argparse.ArgumentParser(
        prog="python -m experiments.train",
        parents=[distribution],
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        epilog="The defaults are those of --preset paper. Other presets differ in:\n"
        + "\n".join(presets),
    )
    parser.add_argument(
        "--workdir", required=True, help="folder for everything that the training writes"
    )
    parser.add_argument(
        "--classes", type=int, help="number of classes that the data must have (default: any)"
    )
    for field in dataclasses.fields(TrainingConfig):
        _add_field(parser, field)
    return parser


def _preset_text(preset, options):
    """The options of a preset as the command line has them."""
    differences = [
        f"{name.replace('_', '-')} {_value_text(value)}" for name, value in options.items()
    ]
    return f"  {preset}: {', '.join(differences)}"


def _add_field(parser, field):
    """Adds the option of a field of `TrainingConfig`."""
    flag = "--" + field.name.replace("_", "-")
    default = {} if field.type is dict else field.default
    text = f"{field.metadata['help']} (default: {_value_text(default)})".replace("%", "%%")
    if field.type is dict:
        parser.add_argument(flag, nargs="+", type=_pair, metavar="NAME=VALUE", help=text)
    elif field.name == "devices":
        parser.add_argument(flag, nargs="+", metavar="N or NAME", help=text)
    elif field.type is tuple:
        kind, metavar = _TUPLE_ITEMS.get(field.name, (float, "SHARE"))
        parser.add_argument(flag, nargs="*", type=kind, metavar=metavar, help=text)
    elif field.type is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
    elif isinstance(field.type, type):
        parser.add_argument(flag, type=field.type, metavar=field.type.__name__.upper(), help=text)
    else:
        kind = field.type.__args__[0]
        parser.add_argument(
            flag, type=_OrNone(kind), metavar=_OPTIONAL_PLACEHOLDERS[kind], help=text
        )


def _choose_backend(backend):
    """Sets the backend for the import of Keras."""
    if backend is None:
        return
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
        return
    loaded = sys.modules["keras"].config.backend()
    if loaded != backend:
        sys.exit(f"--backend must be {loaded}, which this process has loaded. Received: {backend}")


def _value_text(value):
    """A value of an option as the help shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, (tuple, dict)):
        return " ".join(map(_value_text, value)) or "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class _OrNone:
    """Type of an option that takes a value of some type, or `none`."""

    def __init__(self, kind):
        self._kind = kind

    def __call__(self, text):
        return None if text == "none" else self._kind(text)

    def __repr__(self):  # for argparse's error messages
        return f"{self._kind.__name__} or none"


def _pair(text):
    """Splits NAME=VALUE; the value is a Python literal, or else text."""
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    main()
