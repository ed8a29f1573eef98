"""Trains AlexNet on an image data set and measures its top-1 and top-5 error.

    python -m experiments.train --dataset imagenette/320px-v2 --config source --epochs 30 --workdir runs/imagenette

Rerun the same command to resume after Ctrl-C, SIGTERM or a crash. ImageNet, as the paper's authors ran it (two GPUs,
90 epochs, batch 128):

    python -m experiments.train --dataset imagenet2012 --config source --devices 2 --workdir runs/imagenet

The paper reports a top-1 error of 40.7% and a top-5 error of 18.2% there, over ten crops. The same on two machines,
which differ in --host and share the workdir:

    python -m experiments.train --hosts NAME0:1234 NAME1:1234 --host 0 --dataset imagenet2012 --workdir /shared/imagenet
"""

import argparse
import ast
import dataclasses
import os
import shlex
import sys

from experiments.framework.cli import INTERRUPTED, say_interrupted

# What the entries of a tuple are, where they are no shares.
_KINDS = {
    "views": (lambda text: int(text) if text.isdecimal() else text, "N"),
    "only_classes": (int, "N"),
    "initial_layers": (str, "LAYER"),
    "scales": (int, "PIXELS"),
}


def main(arguments=None):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    machines = _machines()
    chosen, _ = machines.parse_known_args(arguments)
    several = "hosts" in chosen or "KERAS_DISTRIBUTION_JOB_ADDRESSES" in os.environ
    _choose_backend(getattr(chosen, "backend", "jax" if several else None))
    from alexnet_keras.training.config import TRAINING_PRESETS, TrainingConfig, training_config

    parser = argparse.ArgumentParser(
        prog="python -m experiments.train",
        parents=[machines],
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
        default = {} if field.type is dict else field.default
        text = f"{field.metadata['help']} (default: {_words(default)})".replace("%", "%%")
        if field.type is dict:
            parser.add_argument(flag, nargs="+", type=_pair, metavar="NAME=VALUE", help=text)
        elif field.name == "devices":
            parser.add_argument(flag, nargs="+", metavar="N or NAME", help=text)
        elif field.type is tuple:
            kind, metavar = _KINDS.get(field.name, (float, "SHARE"))
            parser.add_argument(flag, nargs="*", type=kind, metavar=metavar, help=text)
        elif field.type is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        else:
            kind = field.type if isinstance(field.type, type) else _or_none(field.type.__args__[0])
            parser.add_argument(flag, type=kind, metavar=kind.__name__.strip("_").upper(), help=text)
    options = vars(parser.parse_args(arguments))
    addresses, host = options.pop("hosts", None), options.pop("host", None)
    if options.pop("backend", "jax") != "jax" and several:
        parser.error("several hosts (--hosts, KERAS_DISTRIBUTION_JOB_ADDRESSES) need --backend jax")
    if host is not None and addresses in (None, ["auto"]):
        parser.error("--host is a number among --hosts NAME:PORT NAME:PORT ...")
    workdir, classes = options.pop("workdir"), options.pop("classes", None)
    for name in ("overrides", "layer_learning_rates"):
        if name in options:
            options[name] = dict(options[name])
    try:
        config = training_config(**options)
        if several:
            from alexnet_keras.distribution import join_hosts

            join_hosts(None if addresses in (None, ["auto"]) else addresses, host)
        from alexnet_keras.training.train import train_and_evaluate

        command = shlex.join(["python", "-m", "experiments.train", *(sys.argv[1:] if arguments is None else arguments)])
        verbose = 1 if sys.stdout.isatty() else 2
        return train_and_evaluate(config, workdir, classes=classes, command=command, verbose=verbose)
    except (ValueError, OSError, FloatingPointError) as error:
        if several:
            print(f"{parser.prog}: {error}", file=sys.stderr, flush=True)
            os._exit(1)  # at exit JAX waits for the other hosts, which may be lost, or wait for this one
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        say_interrupted(parser.prog)
        if several:
            os._exit(INTERRUPTED)
        sys.exit(INTERRUPTED)


def _machines():
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument(
        "--backend",
        choices=("tensorflow", "jax"),
        help="what Keras computes with (default: what KERAS_BACKEND says, or jax for several hosts, else tensorflow)",
    )
    parser.add_argument(
        "--hosts",
        nargs="+",
        metavar="NAME:PORT",
        help="the hosts that share each batch, the first being where all meet; auto under Slurm, Open MPI, Kubernetes "
        "or on a TPU pod (default: what Keras' variables KERAS_DISTRIBUTION_JOB_ADDRESSES and so on say, or one alone)",
    )
    parser.add_argument("--host", type=int, metavar="N", help="number of this host among --hosts, from 0")
    return parser


def _choose_backend(backend):
    """Keras takes it from the environment, when it is first imported."""
    if backend and "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
    elif backend and sys.modules["keras"].config.backend() != backend:
        sys.exit(f"--backend: this process has the {sys.modules['keras'].config.backend()} backend, not {backend}")


def _words(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, dict)) or value is None:
        return " ".join(f"{share:.3g}" for share in value or ()) or "none"
    return str(value)


def _or_none(kind):
    def number_or_none(text):
        return None if text == "none" else kind(text)

    return number_or_none


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
