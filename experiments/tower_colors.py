"""Color gap between the towers: how often it exceeds chance, and the factors that change it.

    python -m experiments.tower_colors

Claim (section 6.1, figure 3): the kernels of conv1 on GPU 1 are largely color-agnostic, the kernels
on GPU 2 largely color-specific. "This kind of specialization occurs during every run and is
independent of any particular random weight initialization." It is "a result of the restricted
connectivity" between the towers.

The gap between the towers is measured after each epoch, in ten runs. There are two controls of ten
runs: the two halves of a single tower, and two towers that exchange their maps in every layer from
conv2 on. Three further variants have three runs each. Each changes one factor: the neighbors of
response normalization, the number of classes, or the start of conv1.

It has 39 runs on Tiny ImageNet. Three of them, with ten classes, have 160 epochs, and the others
eight. They use mixed_bfloat16. On a processor with bfloat16 arithmetic, this takes about half the
time of float32.
"""

import functools
import statistics

from alexnet_keras.evaluation.statistics import SIGNIFICANT
from experiments.conv1_initialization import he_stddev
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import FinalError, TowerColorGap, TowersDiffer
from experiments.framework.stored_runs import measures_of

_FACTORS = {
    "normalization across the towers": {"overrides": {"normalization_in_towers": False}},
    "10 classes": {"class_subset": tuple(range(10)), "epochs": 160},  # as many steps
    "conv1 from He's start": {
        "overrides": {"conv1_kernel_stddev": functools.partial(he_stddev, 1.0)}
    },
}
_CLAIM = "The towers differ as a result of the restricted connectivity"

EXPERIMENT = Experiment(
    name="tower_colors",
    section="section 6.1, figure 3",
    base={
        "preset": "small",
        "dataset": "tiny_imagenet",
        "epochs": 8,
        "batch_size": 128,
        "precision": "mixed_bfloat16",
        "lr_milestones": (0.6, 0.85),
        "validation_freq": 8,
    },
    variants={
        "two towers": {},
        "halves of one tower": {"overrides": {"towers": 1}},
        "exchange from conv2 on": {"overrides": {"exchange": ("conv2", "conv3", "conv4", "conv5")}},
        **_FACTORS,
    },
    comparisons=(
        Comparison(
            "two towers",
            "two towers",
            100.0 * (1 - SIGNIFICANT),  # in every run, less the share by chance
            "The towers differ in every run",
            TowersDiffer(),
            TowersDiffer(by_chance=True),
        ),
        Comparison("two towers", "halves of one tower", None, _CLAIM, side=1),
        Comparison("two towers", "exchange from conv2 on", None, _CLAIM, side=1),
        *(Comparison(factor, "two towers", None, "What the gap depends on") for factor in _FACTORS),
        Comparison(
            "exchange from conv2 on",
            "two towers",
            None,
            "Exchange in every layer",
            FinalError(test_views="center"),
        ),
    ),
    metric=TowerColorGap(),
    seeds=tuple(range(10)),
    seed_counts=dict.fromkeys(_FACTORS, 3),
    keeps_kernels=True,
)


def towers_table(results: dict) -> str:
    """Returns in how many runs of each variant the towers differ, and how, as Markdown.

    The towers of a run differ if a permutation test of its last kernels gives p < 0.05. Runs that
    diverged do not count.

    Args:
        results: content of `results.json`.
    """
    lines = [
        "| variant | runs whose towers differ | mean gap | by chance | after epoch | "
        "tower 1 is the colorful one |",
        "|---|---|---|---|---|---|",
    ]
    for variant, runs in measures_of(results, EXPERIMENT.metric).items():
        differing = [run for run in runs if run["p"][-1] < SIGNIFICANT]
        gaps = [abs(first - second) for first, second in (run["towers"][-1] for run in runs)]
        chance = statistics.mean(run["chance"][-1] for run in runs)
        epochs = sorted(_differ_from(run["p"]) for run in differing)
        first = sum(first > second for first, second in (run["towers"][-1] for run in differing))
        cells = (
            variant,
            f"{len(differing)} of {len(runs)}",
            f"{statistics.mean(gaps):.1f}",
            f"{chance:.1f}",
            f"{statistics.median(epochs):g} ({epochs[0]} to {epochs[-1]})" if epochs else "",
            f"{first} of {len(differing)}" if differing else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _differ_from(p_values):
    """The number of epochs after which the towers differ beyond chance until the end."""
    apart = len(p_values)
    while apart and p_values[apart - 1] < SIGNIFICANT:
        apart -= 1
    return apart


if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
