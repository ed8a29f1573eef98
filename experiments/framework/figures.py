"""Figures of an experiment's results, and of the kernels that it keeps."""

from pathlib import Path
from typing import TYPE_CHECKING

from alexnet_keras.plots import (
    animate_towers,
    plot_by_setting,
    plot_comparisons,
    plot_learning_rates,
    plot_tower_gaps,
    plot_towers,
    plot_training_errors,
    save_animation,
    save_figure,
)
from experiments.framework.kept_kernels import file_name, kept_path, read_kept
from experiments.framework.metrics import (
    DIVERGED,
    EARLY_STOPPED,
    FinalError,
    HighFrequencyShare,
    TowerColorGap,
)
from experiments.framework.stored_runs import measures_of, runs_of
from experiments.framework.tables import estimate_with_interval, labeled_comparisons

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Why a run has no value, in figures.
_ENDS = {EARLY_STOPPED: "stopped early", DIVERGED: "diverged"}


def draw(results: dict, folder: str | Path) -> None:
    """Saves the figures of an experiment's results in their folder."""
    folder = Path(folder)
    for name, figure in figures(results).items():
        save_figure(figure, folder / f"{name}.png")
    if (folder / "kernels").is_dir():
        _draw_kernels(results, folder)


def figures(results: dict) -> dict[str, "Figure"]:
    """Returns a dict from names to the figures of an experiment's results.

    It is empty as long as no comparison has been measured.
    """
    comparisons = labeled_comparisons(results)
    if not comparisons:
        return {}
    drawn = _comparison_figures(results, comparisons)
    if results["target"] is not None:
        drawn["training_error"] = _training_error_figure(results)
    searches = {name: _search(variant) for name, variant in results["variants"].items()}
    if results["settings"]["metric"] == TowerColorGap.name:
        measures = measures_of(results, TowerColorGap())
        if measures:
            drawn["towers"] = plot_tower_gaps(measures)
    if any(c.get("metric") == HighFrequencyShare.name for c in results["comparisons"]):
        drawn["conv1_starts"] = _conv1_starts_figure(results)
    if any(len(points) > 1 for points in searches.values()):
        drawn["learning_rates"] = plot_learning_rates(
            _by_group(searches), results["settings"]["metric"]
        )
    return drawn


def _search(variant):
    """The runs of a search for a learning rate, as `plot_learning_rates` takes them."""
    return [
        {**run, "ended": _ENDS.get(run["ended"], "not reached")}
        for run in variant["learning_rates"]
    ]


def _draw_kernels(results, folder):
    """Draws the kept kernels of each variant, and animates the first variant's."""
    first = next(iter(results["variants"]))
    for variant in results["variants"]:
        # A run that diverged has fewer epochs than the film.
        runs = runs_of(results, variant).items()
        seeds = [seed for seed, run in runs if run["ended"] != DIVERGED]
        rate = results["variants"][variant]["learning_rate"]
        paths = {f"seed {seed}": kept_path(folder, variant, rate, seed) for seed in seeds}
        missing = [name for name, path in paths.items() if not path.exists()]
        if missing or not paths:
            # The files stay on the machine of the runs. A figure of some runs would replace theirs.
            if missing:
                print(f"Kernels of {variant} are not drawn, without files of {', '.join(missing)}")
            continue
        kept = {name: read_kept(path) for name, path in paths.items()}
        last = {name: snapshots[-1] for name, snapshots in kept.items()}
        title = f"Kernels of conv1, {variant}"
        path = folder / f"kernels_{file_name(variant)}.png"
        figure = plot_towers(last, f"{title}, with their color shares")
        save_figure(figure, path)
        if variant == first:
            save_animation(animate_towers(kept, title), path.with_suffix(".gif"), 2)


def _comparison_figures(results, comparisons):
    """One figure for each unit."""
    drawn = {}
    title = f"{results['experiment']}: {results['section']}"
    for unit in dict.fromkeys(comparison["unit"] for comparison in comparisons):
        name = f"comparisons_in_{unit.replace(' ', '_')}" if drawn else "comparisons"
        drawn[name] = plot_comparisons([c for c in comparisons if c["unit"] == unit], title)
    return drawn


def _training_error_figure(results):
    variants = results["variants"]
    paper = {}
    ratios = {}
    for comparison in results["comparisons"]:
        group, label = _group_and_label(comparison["variant"])
        _, baseline_label = _group_and_label(comparison["baseline"])
        baseline_mean = variants[comparison["baseline"]]["mean"]
        if comparison["paper"] is not None and baseline_mean is not None:
            paper_label = f"{label} by the paper's ratio of {comparison['paper']:g}"
            paper[group] = paper_label, comparison["paper"] * baseline_mean
        ratios.setdefault(group, []).append(
            f"{label} / {baseline_label}: {estimate_with_interval(comparison)}"
        )
    ratios = {group: ", ".join(lines) for group, lines in ratios.items()}
    curves = {
        name: {**variant, "curves": list(variant["curves"].values())}
        for name, variant in variants.items()
    }
    return plot_training_errors(_by_group(curves), results["target"], paper, ratios)


def _conv1_starts_figure(results):
    """Noise and error by the standard deviation that conv1 starts from."""
    metrics = (HighFrequencyShare(), FinalError())
    panels = {metric.name: {} for metric in metrics}
    for variant in results["variants"]:
        group, _ = _group_and_label(variant)
        for run in runs_of(results, variant).values():
            start = run["network"]["conv1_kernel_stddev"]
            for metric in metrics:
                value = metric.value(run)
                if value is not None:
                    points = panels[metric.name].setdefault(group, {})
                    points.setdefault(start, []).append(value)
    noise = {HighFrequencyShare.name: ("white noise", 80.0)}
    return plot_by_setting(panels, "standard deviation of conv1 at the start", noise)


def _group_and_label(variant):
    """Splits a variant's name into the group that it is drawn in, and its label in the group."""
    label, _, group = variant.partition(", ")
    return group, label


def _by_group(variants):
    groups = {}
    for name, value in variants.items():
        group, label = _group_and_label(name)
        groups.setdefault(group, {})[label] = value
    return groups
