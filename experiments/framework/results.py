"""Results of an experiment: values of each variant, and comparisons between them."""

import dataclasses

from alexnet_keras.evaluation.statistics import summary
from experiments.framework.experiment import Experiment
from experiments.framework.metrics import EARLY_STOPPED
from experiments.framework.progress import Progress
from experiments.framework.stored_runs import StoredRuns


def variant_results(progress: Progress, stored: StoredRuns) -> dict[str, dict]:
    """Returns a dict from the variants that have been measured so far to their results.

    The results of a variant are from all its runs at its learning rate, also from stored ones with
    seeds that are not requested.

    Args:
        progress: `Progress` of the experiment.
        stored: `StoredRuns` of the experiment.
    """
    results = {}
    for variant in progress.searches:
        runs = progress.runs_of(variant)
        if not runs:
            continue
        first = next(iter(runs.values()))
        if first["ended"] != EARLY_STOPPED:
            runs = {**stored.runs_at(variant, first["config"]["learning_rate"]), **runs}
            results[variant] = _variant(progress, variant, dict(sorted(runs.items())))
    return results


def comparison_results(experiment: Experiment, variants: dict[str, dict]) -> list[dict]:
    """Returns the results of those comparisons whose two variants have been measured.

    Variants that were stored before a comparison got another metric lack its values.

    Args:
        experiment: an `Experiment`.
        variants: results of its variants.
    """
    results = []
    for comparison in experiment.comparisons:
        if {comparison.variant, comparison.baseline} <= set(variants):
            result = _comparison(comparison, experiment.metric, variants)
            if result is not None:
                results.append(result)
    return results


def _variant(progress, variant, runs):
    metric, *others = progress.experiment.metrics
    values = _values(metric, runs)
    searched = sorted(
        (rate, run) for rate, run in progress.searches[variant].runs.items() if rate is not None
    )
    machines = {}
    if any(each.depends_on_machine for each in progress.experiment.metrics):
        machines = {"machines": {str(seed): _machine(run) for seed, run in runs.items()}}
    return {
        **machines,
        "learning_rate": next(iter(runs.values()))["config"]["learning_rate"],
        "values": values,
        **summary([value for value in values.values() if value is not None]),
        "others": {other.name: _values(other, runs) for other in others},
        "curves": {str(seed): _curve(run) for seed, run in runs.items()},
        "learning_rates": [
            {
                "learning_rate": rate,
                "value": metric.value(run),
                "ended": run["ended"],
                "curve": _curve(run),
            }
            for rate, run in searched
        ],
    }


def _values(metric, runs):
    """The metric of each run by its seed, a string as in JSON."""
    return {str(seed): metric.value(run) for seed, run in runs.items()}


def _machine(run):
    """The devices and the backend of a run, on which its times depend."""
    return f"{run['machine']['devices']}, {run.get('backend', 'tensorflow')}"


def _curve(run):
    return [row["top1_error"] for row in run["history"]]


def _comparison(comparison, main_metric, variants):
    """The result of a comparison, or `None` if a variant lacks the metric."""
    metric = comparison.metric or main_metric
    baseline_metric = comparison.baseline_metric or metric
    values = _stored_values(variants[comparison.variant], metric, main_metric)
    baseline_values = _stored_values(variants[comparison.baseline], baseline_metric, main_metric)
    if values is None or baseline_values is None:
        return None
    seeds = [seed for seed in values if None not in (values[seed], baseline_values.get(seed))]
    if metric.depends_on_machine:
        machines = variants[comparison.variant].get("machines", {})
        others = variants[comparison.baseline].get("machines", {})
        seeds = [seed for seed in seeds if machines.get(seed) == others.get(seed)]
    measured = {"estimate": None, "interval": None, "n": 0}
    if seeds:
        measured = metric.compare(
            [values[seed] for seed in seeds], [baseline_values[seed] for seed in seeds]
        )
    fields = dataclasses.asdict(comparison)
    return {
        **{
            name: fields[name]
            for name in ("variant", "baseline", "paper", "side", "margin", "claim")
        },
        "metric": metric.name,
        "baseline_metric": baseline_metric.name,
        **measured,
        "unit": metric.unit,
        "no_effect": metric.no_effect,
    }


def _stored_values(variant, metric, main_metric):
    """The values by seed of a variant's results in some metric, or `None` if it lacks them."""
    if metric.name == main_metric.name:
        return variant["values"]
    return variant["others"].get(metric.name)
