"""The network without one of its middle layers.

    python -m experiments.depth

Claim (section 7): removing any of the middle layers costs about 2 points of the top-1 error.

The towers exchange maps in conv3; without it, in conv4. Pools stay when their layer goes, so that
the maps keep their sizes. The normalization after conv2 goes with it.

It has 31 runs, 8 of which most other ablations share.
"""

import statistics

from experiments.framework.ablations import BASE, SEEDS, TOP1
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.stored_runs import runs_of


def _without(name):
    def others(network):
        return tuple(layer for layer in network.conv_layers if layer != name)

    return {"conv_layers": others}


EXPERIMENT = Experiment(
    name="depth",
    section="section 7",
    base=BASE,
    variants={
        "all layers": {},
        "without conv2": {"overrides": _without("conv2")},
        "without conv3": {"overrides": {**_without("conv3"), "exchange": ("conv4", "conv6")}},
        "without conv4": {"overrides": _without("conv4")},
        "without conv5": {"overrides": _without("conv5")},
    },
    comparisons=tuple(
        Comparison(
            f"without {conv}", "all layers", 2.0, "Removing a middle conv layer costs 2 points"
        )
        for conv in ("conv2", "conv3", "conv4", "conv5")
    ),
    metric=TOP1,
    seeds=SEEDS,
    seed_counts={"without conv2": 3, "without conv4": 6, "without conv5": 6},
)


def layers_table(results: dict) -> str:
    """Returns layers, parameters and mean training error of the variants as Markdown.

    Args:
        results: content of `results.json`.
    """
    lines = ["| variant | layers | parameters | training error (%) |", "|---|---|---|---|"]
    for name in results["variants"]:
        network = results["settings"]["variants"][name]["network"]
        layers = [*network["conv_layers"], *network["hidden_layers"]]
        runs = list(runs_of(results, name).values())
        errors = [run["history"][-1]["top1_error"] for run in runs if run["history"]]
        error = f"{statistics.mean(errors):.1f}" if errors else "none"
        parameters = runs[0]["parameters"]
        lines.append(f"| {name} | {', '.join(layers)}, fc8 | {parameters:,} | {error} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
