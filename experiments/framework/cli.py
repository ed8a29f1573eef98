"""The command line that all experiments have, and what is shown of their results."""

import argparse
import dataclasses
import os
import shlex
import sys
from pathlib import Path

_SMOKE = {"epochs": 2}
INTERRUPTED = 130  # the exit code after Ctrl-C, 128 + SIGINT


def main(experiment, description, arguments=None):
    """Runs an experiment as the command line says, draws its figures and prints its table.

    Args:
        experiment: an `experiments.framework.runner.Experiment`.
        description: docstring of the experiment's module.
        arguments: command line; by default that of the process.

    Returns:
        What is in `results.json`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{experiment.name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    base = experiment.base
    parser.add_argument("--dataset", help=f"TFDS name, folder or .npz file (default: {base['dataset']})")
    parser.add_argument(
        "--config",
        help="preset whose network and training the variants start from, in place of the experiment's own settings "
        f"(which are {base['config']} with some changes)",
    )
    parser.add_argument("--epochs", type=int, help="epochs of a run, at most (default: the experiment's)")
    parser.add_argument("--batch-size", type=int, help="images in a step (default: the experiment's)")
    parser.add_argument("--precision", help="float32 or mixed_bfloat16 (default: float32)")
    parser.add_argument(
        "--devices",
        nargs="+",
        metavar="N or NAME",
        help="number of GPUs, or logical CPU devices, that share each batch, or their names (default: 1)",
    )
    parser.add_argument(
        "--in-memory",
        action="store_true",
        help="all images lie in the GPU's memory, and the compiled step cuts its crops: with KERAS_BACKEND=jax, an "
        ".npz file and one GPU",
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", help=f"seeds, a run each (default: {' '.join(map(str, experiment.seeds))})"
    )
    parser.add_argument(
        "--learning-rates",
        type=float,
        nargs="+",
        help="grid for every variant's search, or one rate without a search (default: the experiment's)",
    )
    parser.add_argument(
        "--bias-learning-rate",
        type=float,
        help="of all variants, where a bias has a rate of its own (default: the preset's or the experiment's)",
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        metavar="VARIANT",
        help=f"only these (default: all of {', '.join(repr(variant) for variant in experiment.variants)})",
    )
    parser.add_argument(
        "--workdir",
        help="folder of the results; runs that it holds are not repeated (default: results; with --smoke runs/smoke)",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="try everything in about a minute: a tiny network, two epochs"
    )
    return run(parser, lambda options, command: _run(experiment, vars(options), command), arguments)


def run(parser, function, arguments=None):
    """Parses the command line and calls `function(options, command)`; its errors and Ctrl-C end in one line."""
    options = parser.parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return function(options, shlex.join(["python", "-m", parser.prog.split()[-1], *words]))
    except (ValueError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        say_interrupted(parser.prog)
        sys.exit(INTERRUPTED)


def say_interrupted(prog):
    """Prints that a command was stopped by Ctrl-C."""
    print(f"\n{prog}: stopped by Ctrl-C. Rerun the same command to resume", file=sys.stderr, flush=True)


def _run(experiment, options, command):
    from alexnet_keras.training.config import training_config
    from experiments.framework.runner import ExperimentRunner

    smoke = options.pop("smoke", False)
    workdir = options.pop("workdir", "runs/smoke" if smoke else "results")
    seeds = tuple(options.pop("seeds", (0, 1) if smoke else experiment.seeds))
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must differ. Received: seeds={seeds}")
    only = options.pop("variants", None)
    if only is not None and not set(only) <= set(experiment.variants):
        raise ValueError(f"`variants` must be out of {list(experiment.variants)}. Received: variants={only}")
    rates = sorted(set(options.pop("learning_rates", ())))
    if any(rate <= 0 for rate in rates):
        raise ValueError(f"`learning_rates` must be positive. Received: learning_rates={rates}")
    grids = dict.fromkeys(experiment.variants, rates) if rates else experiment.learning_rates
    metric, base = experiment.metric, experiment.base
    if "config" in options:
        base = {"dataset": base["dataset"]}
    if smoke:
        grids = {variant: grid[:1] for variant, grid in grids.items()}
        metric = metric.smoke()
        tiny = {"filters": (8,) * len(training_config(**base).network.filters), "units": (16, 16)}
        base = {**base, "dataset": "shapes", **_SMOKE, "overrides": {**base.get("overrides", {}), **tiny}}
    given = {**(_SMOKE if smoke else {}), **options}

    def others(fields):
        return {name: value for name, value in fields.items() if name == "overrides" or name not in given}

    experiment = dataclasses.replace(
        experiment,
        base={**base, **options},
        variants={variant: others(fields) for variant, fields in experiment.variants.items()},
        seeds=seeds,
        learning_rates=grids,
        metric=metric,
        pretraining=experiment.pretraining and others(experiment.pretraining),
    )
    bench = ExperimentRunner(experiment, workdir, only=only, command=command, verbose=1 if sys.stdout.isatty() else 2)
    results = bench.run()
    draw(results, bench.path.parent)
    print(f"\n{table(results)}\n\nResults and pictures: {bench.path.parent}", flush=True)
    return results


def draw(results, folder):
    """Draws the pictures of an experiment's results into a folder."""
    from alexnet_keras.plots import save_figure

    for name, figure in figures(results).items():
        save_figure(figure, Path(folder) / f"{name}.png")


def figures(results):
    """The figures of an experiment's results, by name; none where no comparison has been measured yet."""
    from alexnet_keras.plots import plot_comparisons, plot_learning_rates, plot_training_errors

    drawn, comparisons = {}, worded(results)
    if not comparisons:
        return drawn
    for unit in dict.fromkeys(c["unit"] for c in comparisons):
        name = "comparisons" if unit == comparisons[0]["unit"] else f"comparisons_in_{unit.replace(' ', '_')}"
        title = f"{results['experiment']}: {results['section']}"
        drawn[name] = plot_comparisons([c for c in comparisons if c["unit"] == unit], title)
    variants = results["variants"]
    if results["target"] is not None:
        paper = {}
        for c in results["comparisons"]:
            baseline = variants[c["baseline"]]["mean"]
            if c["paper"] is not None and baseline is not None:
                group, label = _group(c["variant"])
                paper[group] = f"{label} by the paper's ratio of {c['paper']:g}", c["paper"] * baseline
        curves = {name: {**v, "curves": list(v["curves"].values())} for name, v in variants.items()}
        ratios = {}
        for c in results["comparisons"]:
            group, label = _group(c["variant"])
            ratios.setdefault(group, []).append(f"{label} / {_group(c['baseline'])[1]}: {_estimate(c)}")
        ratios = {group: ", ".join(words) for group, words in ratios.items()}
        drawn["training_error"] = plot_training_errors(_grouped(curves), results["target"], paper, ratios)
    searches = {
        name: [(rate["learning_rate"], rate["value"], rate["curve"]) for rate in v["learning_rates"]]
        for name, v in variants.items()
    }
    if any(len(points) > 1 for points in searches.values()):
        drawn["learning_rates"] = plot_learning_rates(_grouped(searches), results["settings"]["metric"])
    return drawn


def table(results):
    """The results as Markdown: the variants, then the comparisons."""
    metric = results["settings"]["metric"]
    lines = [f"| variant | learning rate | {metric}, mean ± standard deviation | n |", "|---|---|---|---|"]
    for name, v in results["variants"].items():
        value = "not reached" if v["mean"] is None else f"{v['mean']:.2f}"
        spread = "" if v["standard_deviation"] is None else f" ± {v['standard_deviation']:.2f}"
        count = len(v["values"])
        n = f"{v['n']} of {count}, the others not reached" if 0 < v["n"] < count else count
        lines.append(f"| {name} | {v['learning_rate']:g} | {value}{spread} | {n} |")
    lines += ["", "| comparison | measured, 95% interval | n | paper |", "|---|---|---|---|"]
    for c in worded(results):
        paper = "not given" if c["paper"] is None else f"{c['paper']:g}"
        lines.append(f"| {c['variant']} against {c['baseline']} | {measured(c)} | {c['n']} | {paper} |")
    return "\n".join(lines)


def worded(results):
    """The comparisons, the names of their sides with what is measured of them where that is not the same for all."""
    comparisons = []
    for c in results["comparisons"]:
        metric, baseline_metric = (c.get(side, results["settings"]["metric"]) for side in ("metric", "baseline_metric"))
        if metric != baseline_metric:
            c = {**c, "variant": f"{c['variant']}, {metric}", "baseline": f"{c['baseline']}, {baseline_metric}"}
        elif metric != results["settings"]["metric"]:
            c = {**c, "variant": f"{c['variant']}, {metric},"}
        comparisons.append(c)
    return comparisons


def measured(comparison):
    """A comparison's estimate with its interval and unit, in words, and what would tell it from no effect."""
    from experiments.framework.statistics import seeds_to_tell

    if comparison["estimate"] is None:
        return _estimate(comparison)
    low, high = comparison["interval"] or (None, None)
    words = f"{_estimate(comparison)} {comparison['unit']}"
    if low is None or not low < comparison["no_effect"] < high:
        return words
    seeds = seeds_to_tell(comparison, comparison["no_effect"])
    enough = f"{f'about {seeds}' if seeds else 'over 1,000'} {comparison.get('of', 'seeds')}"
    return f"{words}, which {enough} would tell from no effect"


def _estimate(comparison):
    if comparison["estimate"] is None:
        return "not reached"
    interval = comparison["interval"]
    return f"{comparison['estimate']:.2f} " + (f"[{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "(one seed)")


def _group(name):
    label, _, group = name.partition(", ")
    return group, label


def _grouped(variants):
    groups = {}
    for name, value in variants.items():
        group, label = _group(name)
        groups.setdefault(group, {})[label] = value
    return groups
