"""Overlapping 3x3 pools with stride 2, against 2x2 pools with stride 2.

    python -m experiments.overlapping_pooling

Claim (section 3.4): overlapping pools lower the top-1 and top-5 errors by 0.4 and 0.3 points.

The maps keep their sizes, as in the 2012 source (net 147). There, conv2 has padding 1 and conv5
none if pools do not overlap. Here each conv layer has the largest padding, up to its own, that
keeps the sizes.

It has 16 runs, 8 of which other ablations share.
"""

import dataclasses
from typing import TYPE_CHECKING

from experiments.framework.ablations import BASE, SEEDS, TOP1, top1_and_top5
from experiments.framework.cli import main
from experiments.framework.experiment import Experiment
from experiments.framework.metrics import DIVERGED
from experiments.framework.stored_runs import runs_of

if TYPE_CHECKING:
    from alexnet_keras.models.alexnet_config import AlexNetConfig


def paddings(network: "AlexNetConfig") -> tuple[int, ...]:
    """Returns the paddings with which 2x2 pools keep the map sizes of conv3 and fc6.

    Args:
        network: an `AlexNetConfig` with 3x3 pools.

    Raises:
        ValueError: if no padding up to the network's own keeps them.
    """
    wanted = network.map_sizes()
    paddings = list(network.paddings)
    pools = [name for name in wanted if name.startswith("pool")]
    for pool in pools[1:]:  # the maps of pool1 may differ, as the image needs conv1's padding
        index = int(pool[-1]) - 1
        for padding in range(network.paddings[index], -1, -1):
            paddings[index] = padding
            try:
                changed = dataclasses.replace(network, pool_size=2, paddings=tuple(paddings))
                sizes = changed.map_sizes()
            except ValueError:
                continue
            if sizes[pool] == wanted[pool]:
                break
        else:
            raise ValueError(
                f"`network` must have a padding with which 2x2 pools keep {wanted[pool]} positions "
                f"in {pool}. Received: paddings={network.paddings}"
            )
    return tuple(paddings)


EXPERIMENT = Experiment(
    name="overlapping_pooling",
    section="section 3.4",
    base=BASE,
    variants={
        "overlapping": {},
        "not overlapping": {"overrides": {"pool_size": 2, "paddings": paddings}},
    },
    comparisons=top1_and_top5(
        "overlapping", "not overlapping", (-0.4, -0.3), "Overlapping pools lower the errors"
    ),
    metric=TOP1,
    seeds=SEEDS,
)


def map_sizes_table(results: dict) -> str:
    """Returns the map sizes of the variants as Markdown; an empty text without variants.

    Args:
        results: content of `results.json`.
    """
    from alexnet_keras.models import AlexNetConfig

    settings = results["settings"]["variants"]
    sizes = {
        name: AlexNetConfig(**settings[name]["network"]).map_sizes() for name in results["variants"]
    }
    if not sizes:
        return ""
    first = next(iter(sizes.values()))
    layers = [layer for layer in first if layer.startswith(("conv", "pool"))]
    lines = [f"| | {' | '.join(layers)} |", "|---" * (len(layers) + 1) + "|"]
    for name, maps in sizes.items():
        cells = ["x".join(map(str, maps[layer])) for layer in layers]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def overfitting_table(results: dict) -> str:
    """Returns the training and validation errors after the last epoch of each run as Markdown.

    Runs that diverged are left out.

    Args:
        results: content of `results.json`.
    """
    lines = [
        "| variant | seed | training error (%) | validation error (%) | difference |",
        "|---|---|---|---|---|",
    ]
    for name in results["variants"]:
        for seed, run in runs_of(results, name).items():
            if run["ended"] == DIVERGED:
                continue
            training = run["history"][-1]["top1_error"]
            validation = run["history"][-1]["val_top1_error"]
            difference = validation - training
            lines.append(
                f"| {name} | {seed} | {training:.2f} | {validation:.2f} | {difference:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
