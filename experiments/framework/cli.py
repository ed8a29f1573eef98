"""Command line of all experiments."""

import argparse
import dataclasses
import re
import sys

from alexnet_keras.checks import seed_number
from alexnet_keras.cli.command import run_command
from experiments.framework.experiment import Experiment

_SMOKE_OPTIONS = {"epochs": 2}


def main(experiment: Experiment, description: str, arguments: list[str] | None = None) -> dict:
    """Runs an experiment from its command line, draws its figures and prints its table.

    Args:
        experiment: an `Experiment`.
        description: docstring of the experiment's module.
        arguments: list of command-line arguments; `None` for the process' own.

    Returns:
        Content of `results.json`.
    """
    parser = _parser(experiment, description)
    return run_command(
        parser, lambda options, command: _run(experiment, vars(options), command), arguments
    )


def _parser(experiment, description):
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{experiment.name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    add_options(parser, experiment)
    names = ", ".join(repr(variant) for variant in experiment.variants)
    parser.add_argument(
        "--variants",
        nargs="+",
        metavar="VARIANT",
        help=f"variants to run (default: all of {names})",
    )
    return parser


def add_options(parser: argparse.ArgumentParser, experiment: Experiment) -> None:
    """Adds the options that all experiments have, with the defaults of this one."""
    _add_training_options(parser.add_argument_group("training of all variants"), experiment)
    _add_run_options(parser.add_argument_group("runs and results"), experiment)


def _add_training_options(group, experiment):
    base = experiment.base
    group.add_argument(
        "--dataset",
        help=f"TFDS name, folder or .npz file of the images (default: {base['dataset']})",
    )
    group.add_argument(
        "--preset",
        help="preset of network and training that replaces the experiment's own settings "
        f"(default: {base['preset']} with the experiment's changes)",
    )
    group.add_argument(
        "--epochs", type=int, help="maximum number of epochs of a run (default: the experiment's)"
    )
    group.add_argument(
        "--batch-size", type=int, help="images in a training step (default: the experiment's)"
    )
    group.add_argument(
        "--precision",
        help=f"float32 or mixed_bfloat16 (default: {base.get('precision', 'float32')})",
    )
    group.add_argument(
        "--devices",
        nargs="+",
        metavar="N or NAME",
        help="number or names of the GPUs that share each batch; without a GPU, of logical CPU "
        "devices (default: 1)",
    )
    group.add_argument(
        "--in-memory",
        action="store_true",
        help="keep all images in the memory of one GPU and augment them on it; needs "
        "KERAS_BACKEND=jax or torch, and an .npz file or shapes (default: no)",
    )
    group.add_argument(
        "--bias-learning-rate",
        type=float,
        help="learning rate of the biases (default: the experiment's or the preset's)",
    )


def _add_run_options(group, experiment):
    seeds = " ".join(map(str, experiment.seeds))
    group.add_argument(
        "--seeds", type=int, nargs="+", help=f"seeds, one run each (default: {seeds})"
    )
    group.add_argument(
        "--learning-rates",
        type=float,
        nargs="+",
        help="learning rates to search for every variant; one rate skips the search "
        "(default: the experiment's)",
    )
    group.add_argument(
        "--workdir",
        help="folder of the results; runs that it holds are not trained again "
        "(default: the repository's results, or with an installed wheel a copy of its results in "
        "the folder results; runs/smoke with --smoke)",
    )
    group.add_argument(
        "--smoke",
        action="store_true",
        help="try everything quickly, with a tiny network and two epochs",
    )


def _run(experiment, options, command):
    from experiments.framework.figures import draw
    from experiments.framework.results_folder import results_folder
    from experiments.framework.runner import ExperimentRunner
    from experiments.framework.tables import table

    smoke = options.pop("smoke", False)
    workdir = options.pop("workdir", None)
    verbose = 1 if sys.stdout.isatty() else 2
    variants = options.pop("variants", None)
    _check(experiment, variants, options)
    if not smoke:
        _check_names(experiment, variants or experiment.variants, options)
    if workdir is None:
        workdir = "runs/smoke" if smoke else results_folder()
    runner = ExperimentRunner(
        _with_options(experiment, options, smoke),
        workdir,
        variants=variants,
        command=command,
        verbose=verbose,
    )
    results = runner.run()
    draw(results, runner.path.parent)
    print(f"\n{table(results)}\n\nResults and pictures: {runner.path.parent}", flush=True)
    return results


def _check(experiment, variants, options):
    """Raises a `ValueError` for variants, seeds or learning rates that can't be run."""
    if variants is not None and not set(variants) <= set(experiment.variants):
        raise ValueError(
            f"`variants` must be out of {list(experiment.variants)}. Received: variants={variants}"
        )
    own_presets = [
        fields["preset"] for fields in experiment.variants.values() if "preset" in fields
    ]
    if "preset" in options and own_presets:
        raise ValueError(
            "`preset` must be left out: the variants of this experiment are presets, "
            f"{', '.join(own_presets)}. Received: preset={options['preset']!r}"
        )
    seeds = options.get("seeds", ())
    for seed in seeds:
        seed_number("seeds", seed)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must differ. Received: seeds={seeds}")
    rates = options.get("learning_rates", ())
    if any(rate <= 0 for rate in rates):
        raise ValueError(f"`learning_rates` must be positive. Received: learning_rates={rates}")


def _check_names(experiment, variants, options):
    """Raises a `ValueError` for an option with which the name of a variant would be untrue."""
    for option in ("epochs", "batch_size"):
        if option not in options:
            continue
        for variant in variants:
            own = getattr(experiment.config(variant), option)
            if own != options[option] and str(own) in re.findall(r"\d+", variant):
                raise ValueError(
                    f"`{option}` must be left out: variants of this experiment are named after "
                    f"their own, such as {variant!r}. Received: {option}={options[option]}"
                )


def _with_options(experiment, options, smoke):
    """Returns an experiment with the command line's options for all its variants."""
    options = dict(options)
    default_seeds = (0, 1) if smoke else experiment.seeds
    seeds = options.pop("seeds", default_seeds)
    rates = sorted(set(options.pop("learning_rates", ())))
    grids = dict.fromkeys(experiment.variants, rates) if rates else experiment.learning_rates
    metric = experiment.metric
    # A preset replaces the settings of the experiment.
    base = {"dataset": experiment.base["dataset"]} if "preset" in options else experiment.base
    given = set(options)
    if smoke:
        grids = {variant: grid[:1] for variant, grid in grids.items()}
        metric = metric.smoke()
        base = _tiny(base)
        given |= {"dataset", *_SMOKE_OPTIONS}
    # A pre-training keeps the data set that it is for, unless everything is a trial.
    kept = set() if smoke else {"dataset"}
    return dataclasses.replace(
        experiment,
        base={**base, **options},
        variants={
            variant: _without(fields, given) for variant, fields in experiment.variants.items()
        },
        seeds=tuple(seeds),
        learning_rates=grids,
        metric=metric,
        pretraining=experiment.pretraining and _without(experiment.pretraining, given - kept),
    )


def _tiny(base):
    """Returns the options of a base for a trial: drawn images, a tiny network, few epochs."""
    from alexnet_keras.training.config import training_config

    tiny = {"filters": (8,) * len(training_config(**base).network.filters), "units": (16, 16)}
    return {
        **base,
        "dataset": "shapes",
        **_SMOKE_OPTIONS,
        "overrides": {**base.get("overrides", {}), **tiny},
    }


def _without(fields, names):
    """Returns the options that are not among some names."""
    return {
        name: value for name, value in fields.items() if name == "overrides" or name not in names
    }
