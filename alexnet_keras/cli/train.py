"""Trains a network on an image data set and measures its top-1 and top-5 error.

    alexnet train --dataset imagenette/320px-v2 --preset source --epochs 30 \\
      --workdir runs/imagenette

Rerun the same command to resume after Ctrl-C, SIGTERM or a crash.

Fine-tuning of a classifier on your own images:

    alexnet train --dataset my_photos --pretrained runs/imagenette --workdir runs/my_photos

ImageNet with the settings of the authors' source (2012), on two GPUs, with 90 epochs and batches of
128. The paper has a top-1 error of 40.7% and a top-5 error of 18.2% on ten crops:

    alexnet train --dataset imagenet2012 --preset source --devices 2 --workdir runs/imagenet

On two machines, give each its own --host and a shared workdir:

    alexnet train --hosts NAME0:1234 NAME1:1234 --host 0 --dataset imagenet2012 \\
      --workdir /shared/imagenet
"""

import argparse
import ast
import dataclasses
import os
import sys
from typing import Any

from alexnet_keras.cli.command import (
    ERRORS,
    INTERRUPTED,
    command_line,
    import_package,
    parse,
    print_interrupted,
)
from alexnet_keras.extras import MissingExtraError, require
from alexnet_keras.training.config import GROUPS, TRAINING_PRESETS, TrainingConfig, training_config
from alexnet_keras.training.presets import FINE_TUNING

# Type and placeholder of the entries of a tuple. Entries of other tuples are shares.
_TUPLE_ITEMS = {
    "test_views": (str, "VIEWS"),
    "class_subset": (int, "N"),
    "initial_layers": (str, "LAYER"),
    "scale_jitter": (int, "PIXELS"),
}
_OPTIONAL_PLACEHOLDERS = {float: "NUMBER or none", int: "NUMBER or none", str: "FILE or none"}
# Placeholders of single options.
_PLACEHOLDERS = {"pretrained": "NAME, FILE or none", "pretrained_sha256": "HASH or none"}


def main(arguments: list[str] | None = None, prog: str = "alexnet train") -> Any:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    parser = _parser(prog)
    options = vars(parse(parser, arguments))
    hosts = _hosts(parser, options)
    command = command_line(parser, arguments)
    try:
        return _train(options, command, hosts)
    except ERRORS as error:
        if hosts.are_several:
            print(f"{parser.prog}: {error}", file=sys.stderr, flush=True)
            os._exit(1)  # at exit JAX waits for the other hosts, which may be lost or waiting too
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        print_interrupted(parser.prog)
        if hosts.are_several:
            os._exit(INTERRUPTED)
        sys.exit(INTERRUPTED)


@dataclasses.dataclass(frozen=True)
class _Hosts:
    """Backend and hosts of the command line; `None` for a missing option."""

    backend: str | None
    addresses: list | None
    index: int | None
    are_several: bool


def _hosts(parser, options):
    """Removes the options of backend and hosts from the others, and checks them."""
    addresses = options.pop("hosts", None)
    index = options.pop("host", None)
    are_several = addresses is not None or "KERAS_DISTRIBUTION_JOB_ADDRESSES" in os.environ
    backend = options.pop("backend", None)
    if are_several:
        backend = backend or os.environ.get("KERAS_BACKEND") or "jax"
        if backend != "jax":
            parser.error(
                "several hosts (--hosts, KERAS_DISTRIBUTION_JOB_ADDRESSES) need --backend jax. "
                f"Received: the backend {backend}"
            )
    if index is not None and addresses in (None, ["auto"]):
        parser.error("--host needs --hosts NAME:PORT NAME:PORT ...")
    return _Hosts(backend, None if addresses == ["auto"] else addresses, index, are_several)


def _train(options, command, hosts):
    """Trains with the options of the command line."""
    _choose_backend(hosts.backend)
    import_package()
    workdir = options.pop("workdir")
    classes = options.pop("classes", None)
    for field in dataclasses.fields(TrainingConfig):
        if field.type in (dict, tuple) and field.name in options:
            options[field.name] = _values(field, options[field.name])
    from alexnet_keras.training.run_folder import started_fine_tuning

    config = started_fine_tuning(workdir, options) or training_config(**options)
    draws = _can_draw()
    if hosts.are_several:
        from alexnet_keras.distributed import join_hosts

        join_hosts(hosts.addresses, hosts.index)
    # Imported after the hosts have joined, as it may already use the devices.
    from alexnet_keras.training.train import train_and_evaluate

    verbose = 1 if sys.stdout.isatty() else 2
    results = train_and_evaluate(config, workdir, classes=classes, command=command, verbose=verbose)
    if draws:
        draw(results, workdir)
    return results


def _values(field, values):
    """The values of an option that takes several: a dict, a list, or empty for `none`."""
    if values == [None]:
        return field.type()
    if None in values:
        flag = "--" + field.name.replace("_", "-")
        received = " ".join("none" if value is None else str(value) for value in values)
        raise ValueError(f"{flag} must be none or values. Received: {received}")
    return dict(values) if field.type is dict else values


def _choose_backend(backend):
    """Sets the backend for the import of Keras; `None` leaves the choice to Keras."""
    if backend is None:
        return
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
        return
    loaded = sys.modules["keras"].config.backend()
    if loaded != backend:
        sys.exit(f"--backend must be {loaded}, which this process has loaded. Received: {backend}")


def _can_draw():
    """Whether figures can be drawn; prints how to install what is missing."""
    try:
        require("drawing curves.png and kernels.png", "matplotlib")
    except MissingExtraError as error:
        print(f"No figures: {error}. Rerun the same command to draw them", flush=True)
        return False
    return True


def draw(results: dict, workdir: str | os.PathLike) -> None:
    """Draws the learning curves, `curves.png`, and the first layer's kernels, `kernels.png`.

    Args:
        results: results of `train_and_evaluate`.
        workdir: its folder. Without `last.keras` in it, only the curves are drawn.
    """
    from alexnet_keras.analysis.kernels import first_convolution
    from alexnet_keras.cli.trained_network import kernels_in_rgb
    from alexnet_keras.distributed.hosts import process_index
    from alexnet_keras.files import expand_home
    from alexnet_keras.models import load_model
    from alexnet_keras.plots import plot_curves, plot_kernels, save_figure

    if process_index() > 0:  # only the first host writes
        return
    workdir = expand_home(workdir)
    config = results["config"]
    overrides = [f"{name}={value}" for name, value in config["overrides"].items()]
    network = ", ".join([config.get("pretrained") or config["preset"], *overrides])
    curves = plot_curves(results["history"], title=f"{network} on {results['data']['name']}")
    save_figure(curves, workdir / "curves.png")
    weights = workdir / "last.keras"
    if weights.exists():
        model = load_model(weights, "workdir")
        with kernels_in_rgb(model, weights):
            figure = plot_kernels(model, layer=first_convolution(model))
        save_figure(figure, workdir / "kernels.png")


def _parser(prog):
    """The parser, with an option for each field of `TrainingConfig`."""
    presets = [_preset_text(name, options) for name, options in TRAINING_PRESETS.items() if options]
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        epilog="The defaults belong to --preset paper. Other presets differ in:\n"
        + "\n".join([*presets, _preset_text("with --pretrained", FINE_TUNING)]),
    )
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    groups["training"].add_argument(
        "--workdir", required=True, help="folder for everything that the training writes (required)"
    )
    for field in dataclasses.fields(TrainingConfig):
        _add_field(groups[field.metadata["group"]], field)
    groups["data"].add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="number of classes that the data must have (default: any)",
    )
    _add_hosts(groups["devices"])
    return parser


def _add_hosts(group):
    """Adds the options of the backend and the hosts."""
    group.add_argument(
        "--backend",
        choices=("tensorflow", "jax", "torch"),
        help="backend of Keras, which must be jax for several hosts (default: KERAS_BACKEND, or "
        "else jax for several hosts and tensorflow for one)",
    )
    group.add_argument(
        "--hosts",
        nargs="+",
        metavar="NAME:PORT",
        help="addresses of the hosts that share each batch, the coordinating one first, or auto to "
        "read them from Slurm, Open MPI, Kubernetes or a TPU pod (default: "
        "KERAS_DISTRIBUTION_JOB_ADDRESSES, or else this host)",
    )
    group.add_argument(
        "--host",
        type=int,
        metavar="N",
        help="index of this host among --hosts, from 0 (default: none)",
    )


def _preset_text(preset, options):
    """The options of a preset as the command line has them."""
    differences = [
        f"{name.replace('_', '-')} {_value_text(value)}" for name, value in options.items()
    ]
    return f"  {preset}: {', '.join(differences)}"


def _add_field(group, field):
    """Adds the option of a field of `TrainingConfig`."""
    flag = "--" + field.name.replace("_", "-")
    default = {} if field.type is dict else field.default
    text = f"{field.metadata['help']} (default: {_value_text(default)})".replace("%", "%%")
    if field.type is dict:
        group.add_argument(flag, nargs="+", type=_OrNone(_pair), metavar="NAME=VALUE", help=text)
    elif field.name == "devices":
        group.add_argument(flag, nargs="+", metavar="N or NAME", help=text)
    elif field.type is tuple:
        kind, metavar = _TUPLE_ITEMS.get(field.name, (float, "SHARE"))
        kind = kind if field.name == "test_views" else _OrNone(kind)
        group.add_argument(flag, nargs="*", type=kind, metavar=metavar, help=text)
    elif field.type is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
    elif isinstance(field.type, type):
        group.add_argument(flag, type=field.type, metavar=field.type.__name__.upper(), help=text)
    else:
        kind = field.type.__args__[0]
        group.add_argument(
            flag,
            type=_OrNone(kind),
            metavar=_PLACEHOLDERS.get(field.name, _OPTIONAL_PLACEHOLDERS[kind]),
            help=text,
        )


def _value_text(value):
    """A value of an option as the help shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, dict):
        return " ".join(f"{name}={_value_text(item)}" for name, item in value.items()) or "none"
    if isinstance(value, tuple):
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
