"""Command line of all experiments."""

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterable

from alexnet_keras.checks import seed_number
from alexnet_keras.cli.command import run_command
from experiments.framework.experiment import Experiment, short_hash

_SMOKE_OPTIONS = {"epochs": 2}


def main(
    experiment: Experiment,
    description: str,
    arguments: list[str] | None = None,
    print_table: bool = True,
) -> dict:
    """Runs an experiment from its command line, draws its figures and prints its table.

    Args:
        experiment: an `Experiment`.
        description: docstring of the experiment's module.
        arguments: list of command-line arguments; `None` for the process' own.
        print_table: whether to print the table, which a notebook shows itself.

    Returns:
        Content of `results.json`.
    """
    parser = _parser(experiment, description)
    return run_command(
        parser,
        lambda options, command: _run(experiment, vars(options), command, print_table),
        arguments,
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
        "--epochs",
        type=int,
        help="maximum number of epochs of a run (default: the experiment's or the preset's)",
    )
    group.add_argument(
        "--batch-size",
        type=int,
        help="images in a training step (default: the experiment's or the preset's)",
    )
    precision = base.get("precision", "float32")
    with_preset = "" if precision == "float32" else ", with --preset float32"
    group.add_argument(
        "--precision", help=f"float32 or mixed_bfloat16 (default: {precision}{with_preset})"
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
    searching = ""
    if experiment.learning_rates:
        searching = f", and seed {experiment.seeds[0]}, which the search for learning rates needs"
    group.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        help=f"seeds of each variant, one run each{searching} (default: {seeds})",
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


def _run(experiment, options, command, print_table):
    from experiments.framework.figures import draw
    from experiments.framework.results_folder import results_folder
    from experiments.framework.runner import ExperimentRunner
    from experiments.framework.tables import table

    smoke = options.pop("smoke", False)
    workdir = options.pop("workdir", None)
    verbose = 1 if sys.stdout.isatty() else 2
    variants = options.pop("variants", None)
    changed = apply_options(experiment, variants, options, smoke)
    left_out = [variant for variant in experiment.variants if variant not in changed.variants]
    if left_out:
        print(f"Left out, as the options make them equal to other variants: {left_out}")
    if workdir is None:
        workdir = "runs/smoke" if smoke else results_folder()
    runner = ExperimentRunner(
        changed,
        workdir,
        variants=variants,
        command=command,
        verbose=verbose,
    )
    results = runner.run()
    draw(results, runner.path.parent)
    if print_table:
        print(f"\n{table(results)}")
    print(f"\nResults and pictures: {runner.path.parent}", flush=True)
    return results


def apply_options(
    experiment: Experiment, variants: list[str] | None, options: dict, smoke: bool
) -> Experiment:
    """Returns an experiment with the command line's options for all its variants.

    Variants that the options make equal to earlier ones are left out, with their comparisons.

    Args:
        experiment: an `Experiment`.
        variants: names of the variants to run; `None` for all.
        options: the options of training, seeds and learning rates that are given.
        smoke: whether everything is a trial.

    Raises:
        ValueError: for options that can't be run, or with which a variant's name would be untrue or
            two variants of a comparison equal.
    """
    _check_options(experiment, variants, options)
    changed = with_options(experiment, options, smoke)
    if smoke:
        return changed
    check_names(experiment, changed, variants or experiment.variants)
    changed = without_repetitions(changed)
    _check_variants(changed, variants)
    return changed


def _check_options(experiment, variants, options):
    """Raises a `ValueError` for variants, presets, seeds or learning rates that can't be run."""
    _check_variants(experiment, variants)
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


def _check_variants(experiment, variants):
    """Raises a `ValueError` for variants that an experiment does not have."""
    if variants is not None and not set(variants) <= set(experiment.variants):
        raise ValueError(
            f"`variants` must be out of {list(experiment.variants)}. Received: variants={variants}"
        )


def check_names(experiment: Experiment, changed: Experiment, variants: Iterable[str]) -> None:
    """Checks that the names of variants are true with the command line's options.

    Args:
        experiment: the `Experiment` without these options.
        changed: the `Experiment` with them.
        variants: names of the variants to run.

    Raises:
        ValueError: if a variant is named after a value that an option changes.
    """
    for variant in variants:
        own = experiment.config(variant)
        new = changed.config(variant)
        for field in ("epochs", "batch_size", "weight_decay"):
            if _is_named_after(variant, getattr(own, field)):
                _check_same(variant, field, getattr(own, field), [getattr(new, field)])
        if variant not in experiment.learning_rates and _is_named_after(variant, own.learning_rate):
            rates = changed.learning_rates.get(variant, [new.learning_rate])
            _check_same(variant, "learning_rate", own.learning_rate, rates)
        field = "bias_learning_rate"
        if field in experiment.variants[variant]:
            _check_same(variant, field, own.bias_learning_rate, [new.bias_learning_rate])


def _is_named_after(variant, value):
    """Returns whether a variant's name has a number."""
    return f"{value:g}" in re.findall(r"\d+(?:\.\d+)?", variant)


def _check_same(variant, field, own, values):
    """Raises a `ValueError` for a value that is not the variant's own."""
    different = [value for value in values if value != own]
    if different:
        raise ValueError(
            f"`{field}` of variant {variant!r} must stay {own:g}: the variants differ in it. "
            f"Received: {field}={different[0]}"
        )


def with_options(experiment: Experiment, options: dict, smoke: bool = False) -> Experiment:
    """Returns an experiment with the command line's options for all its variants.

    Args:
        experiment: an `Experiment`.
        options: the options that are given, without their dashes.
        smoke: whether everything is a trial.
    """
    options = dict(options)
    rates = sorted(set(options.pop("learning_rates", ())))
    grids = dict.fromkeys(experiment.variants, rates) if rates else experiment.learning_rates
    seed_counts = experiment.seed_counts
    seeds = (0, 1) if smoke else experiment.seeds
    if "seeds" in options:
        seed_counts = {}
        seeds = options.pop("seeds")
        first = experiment.seeds[0]
        # The seed of a search stays the same, so that further seeds keep the rate of earlier runs.
        if any(len(grid) > 1 for grid in grids.values()) and first not in seeds:
            seeds = [first, *seeds]
    metric = experiment.metric
    # A preset replaces the settings of the experiment.
    base = {"dataset": experiment.base["dataset"]} if "preset" in options else experiment.base
    given = set(options)
    if smoke:
        grids = {variant: grid[:1] for variant, grid in grids.items()}
        metric = metric.smoke()
        base = _tiny(base, options.get("preset"))
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
        seed_counts=seed_counts,
        learning_rates=grids,
        metric=metric,
        pretraining=experiment.pretraining and _without(experiment.pretraining, given - kept),
    )


def without_repetitions(experiment: Experiment) -> Experiment:
    """Returns an experiment without the variants that its options make equal to earlier ones.

    Their comparisons are left out, too.

    Args:
        experiment: an `Experiment` with the command line's options.

    Raises:
        ValueError: if the two variants of a comparison are equal.
    """
    first_of = {}  # from the settings of a variant to the first variant that has them
    equal_to = {}
    for variant, settings in experiment.settings["variants"].items():
        rates = experiment.learning_rates.get(variant)
        equal_to[variant] = first_of.setdefault(short_hash({**settings, "rates": rates}), variant)
    for comparison in experiment.comparisons:
        variant = comparison.variant
        baseline = comparison.baseline
        if variant != baseline and equal_to[variant] == equal_to[baseline]:
            raise ValueError(
                f"Variants {variant!r} and {baseline!r} must differ. Received: options with which "
                "they are the same training"
            )
    repeated = [variant for variant, first in equal_to.items() if variant != first]
    if not repeated:
        return experiment
    return dataclasses.replace(
        experiment,
        variants={
            variant: fields
            for variant, fields in experiment.variants.items()
            if variant not in repeated
        },
        comparisons=tuple(
            comparison
            for comparison in experiment.comparisons
            if not {comparison.variant, comparison.baseline} & set(repeated)
        ),
    )


def _tiny(base, preset):
    """Returns the options of a base for a trial: drawn images, a tiny network, few epochs."""
    from alexnet_keras.training.config import training_config

    network = training_config(**(base if preset is None else {**base, "preset": preset})).network
    tiny = {"filters": (8,) * len(network.filters), "units": (16, 16)}
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
