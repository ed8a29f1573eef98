"""Tables and text of an experiment's results."""

from alexnet_keras.evaluation.statistics import seeds_for_significance, summary
from experiments.framework.metrics import TowersDiffer


def table(results: dict) -> str:
    """Returns the results as Markdown: a table of the variants, and one of the comparisons."""
    metric = results["settings"]["metric"]
    lines = [
        f"| variant | learning rate | {metric}, mean ± standard deviation | n |",
        "|---|---|---|---|",
    ]
    for name, variant in results["variants"].items():
        lines.append(
            f"| {name} | {variant['learning_rate']:g} | {mean_with_deviation(variant)} "
            f"| {_count(variant)} |"
        )
    lines += _table_of_others(results["variants"])
    published = published_table(results)
    lines += ["", published] if published else []
    lines += ["", "| comparison | measured, 95% interval | n | paper |", "|---|---|---|---|"]
    for comparison in labeled_comparisons(results):
        paper = "not given" if comparison["paper"] is None else f"{comparison['paper']:g}"
        names = f"{comparison['variant']} against {comparison['baseline']}"
        lines.append(f"| {names} | {comparison_text(comparison)} | {comparison['n']} | {paper} |")
    return "\n".join(lines)


def _table_of_others(variants):
    """Lines with the metrics besides the experiment's own; none if it has no others."""
    # Variants that were stored before the experiment got another metric lack it.
    names = {}
    for measured in variants.values():
        names.update(measured.get("others", {}))
    if not names:
        return []
    lines = ["", f"| variant | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for variant, measured in variants.items():
        cells = []
        for name in names:
            others = measured.get("others", {}).get(name, {})
            values = [value for value in others.values() if value is not None]
            # Not every run is measured by every metric.
            cells.append(mean_with_deviation(summary(values)) if values else "no value")
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return lines


def published_table(results: dict) -> str:
    """Returns the published values and the measured intervals as Markdown, "" without any."""
    variants = results["variants"]
    lines = ["| variant | measured, 95% interval | published |", "|---|---|---|"]
    for name, value in results.get("published", {}).items():
        if name in variants:
            measured = "no value"
            if variants[name]["mean"] is not None:
                interval = {**variants[name], "estimate": variants[name]["mean"]}
                measured = estimate_with_interval(interval)
            lines.append(f"| {name} | {measured} | {value:g} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def labeled_comparisons(results: dict) -> list[dict]:
    """Returns the comparisons, with any metric but the experiment's in their names."""
    main_metric = results["settings"]["metric"]
    labeled = []
    for comparison in results["comparisons"]:
        variant = comparison["variant"]
        baseline = comparison["baseline"]
        metric = comparison.get("metric", main_metric)
        baseline_metric = comparison.get("baseline_metric", main_metric)
        if metric != baseline_metric:
            variant = f"{variant}, {metric}"
            baseline = f"{baseline}, {baseline_metric}"
        elif metric != main_metric:
            variant = f"{variant}, {metric},"
        labeled.append({**comparison, "variant": variant, "baseline": baseline})
    return labeled


def comparison_text(comparison: dict) -> str:
    """Returns a comparison's estimate with interval and unit, and whether it is significant."""
    text = estimate_with_interval(comparison)
    if comparison["estimate"] is None:
        return text
    text += f" {comparison['unit']}"
    no_effect = comparison["no_effect"]
    if (
        comparison["interval"] is None
        or not comparison["interval"][0] < no_effect < comparison["interval"][1]
    ):
        return text
    if is_of_shares(comparison):
        return f"{text}, not significant"
    seeds = seeds_for_significance(comparison, no_effect)
    needed = "over 1,000" if seeds is None else f"about {seeds}"
    return f"{text}, not significant ({needed} {comparison.get('of', 'seeds')} needed)"


def is_of_shares(comparison: dict) -> bool:
    """Whether a comparison is of shares of runs.

    Its interval is then not from Student's t, and `seeds_for_significance` does not hold for it.
    """
    return comparison.get("metric") == TowersDiffer().name


def estimate_with_interval(comparison: dict) -> str:
    """Returns a comparison's estimate with its interval, without the unit."""
    if comparison["estimate"] is None:
        return "no seed with both values"
    if not comparison["interval"]:
        return f"{comparison['estimate']:.2f} (one seed)"
    low, high = comparison["interval"]
    return f"{comparison['estimate']:.2f} [{low:.2f}, {high:.2f}]"


def mean_with_deviation(variant: dict) -> str:
    """Returns the mean of a variant's values with its standard deviation."""
    if variant["mean"] is None:
        return "no value"
    if variant["standard_deviation"] is None:
        return f"{variant['mean']:.2f}"
    return f"{variant['mean']:.2f} ± {variant['standard_deviation']:.2f}"


def _count(variant):
    """The number of runs, and how many of them have a value."""
    runs = len(variant["values"])
    if 0 < variant["n"] < runs:
        return f"{variant['n']} of {runs}, the others without a value"
    return str(runs)
