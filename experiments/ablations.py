"""All ablations, one after another.

    python -m experiments.ablations

Each ablation gets the options below. A run is stored when it ends. Rerun the command to resume, for
example on a machine that is lent for a short time. On one GPU, the full-size network on Imagenette,
from an .npz file:

    KERAS_BACKEND=jax JAX_COMPILATION_CACHE_DIR=runs/jax_cache python -m experiments.ablations \\
      --preset source --dataset imagenette.npz --in-memory --precision mixed_bfloat16 --epochs 60 \\
      --learning-rates 0.01 --seeds 0 1 2 3 4 --workdir results/full_size
"""

import argparse
import importlib
import sys

from alexnet_keras.cli.command import run_command
from experiments import ten_crops
from experiments.framework.ablations import ABLATIONS
from experiments.framework.cli import add_options, apply_options
from experiments.framework.cli import main as run


def main(arguments: list[str] | None = None) -> dict[str, dict]:
    """Runs the ablations from the command line.

    Args:
        arguments: list of command-line arguments; `None` for the process' own.

    Returns:
        dict from the experiments' names to the contents of their `results.json`.
    """
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument(
        "--experiments",
        nargs="+",
        choices=ABLATIONS,
        metavar="NAME",
        default=ABLATIONS,
        help=f"the ablations to run, in their order (default: {' '.join(ABLATIONS)})",
    )
    parser = argparse.ArgumentParser(
        prog="python -m experiments.ablations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        parents=[own],
    )
    add_options(parser, ten_crops.EXPERIMENT)
    words = sys.argv[1:] if arguments is None else arguments
    given = vars(parser.parse_args(words))
    options, others = own.parse_known_args(words)
    run_command(parser, lambda _, command: _check(options.experiments, given), words)
    results = {}
    for number, name in enumerate(options.experiments, 1):
        print(f"\nAblation {number} of {len(options.experiments)}: {name}", flush=True)
        module = _module(name)
        results[name] = run(module.EXPERIMENT, module.__doc__, others)
    return results


def _module(name):
    return importlib.import_module(f"experiments.{name}")


def _check(names, given):
    """Raises a `ValueError` if an ablation can't use an option, before the first one is run.

    Args:
        names: names of the ablations.
        given: the options that are given.
    """
    smoke = given.get("smoke", False)
    options = {
        name: value
        for name, value in given.items()
        if name not in ("experiments", "smoke", "workdir")
    }
    for name in names:
        apply_options(_module(name).EXPERIMENT, None, options, smoke)


if __name__ == "__main__":
    main()
