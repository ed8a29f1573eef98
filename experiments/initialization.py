"""Steps until the loss leaves chance level, by standard deviation and bias.

    python -m experiments.initialization

Claim (section 5): biases of 1 in conv2, conv4, conv5 and the hidden layers accelerate the early
stages of learning, as they give the ReLUs positive inputs.

Weights have a standard deviation of 0.01 in the paper. In these layers and conv3, it is 0.03 in the
2012 source (net 145). The narrow network multiplies it by the square root of 8, the ratio of the
fan-ins of conv3. So the sums have the variance of the full-size network. Pixel values are 0-255, as
in the paper. A run ends after the epoch in which its loss leaves chance level.

It has 5 runs for each seed.
"""

import functools
import math

from experiments.framework.ablations import CIFAR10_BASE
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import StepsAtChance


def _scaled_stddev(stddev, network):
    """Scales a standard deviation by the root of conv3's ratio of fan-ins, full-size to narrow."""
    return stddev * math.sqrt(256 * 3 * 3 / (network.filters[1] * network.kernel_sizes[2] ** 2))


def _start(stddev, bias):
    return {
        "overrides": {
            "middle_kernel_stddev": functools.partial(_scaled_stddev, stddev),
            "bias": bias,
        }
    }


_PIXELS = {"input_scale": 1.0, "normalization_alpha": 1e-4}
_GAUSSIAN = {"initializer": "gaussian", "kernel_stddev": 0.01 * math.sqrt(8)}
_CLAIM = "Biases of 1 accelerate the early stages of learning"

EXPERIMENT = Experiment(
    name="initialization",
    section="section 5",
    base={
        **CIFAR10_BASE,
        "epochs": 8,
        "lr_milestones": (),
        "learning_rate": 0.003,
        "overrides": {**CIFAR10_BASE["overrides"], **_PIXELS, **_GAUSSIAN},
    },
    variants={
        "0.03 and bias 1": _start(0.03, 1.0),
        "0.03 and bias 0.1": _start(0.03, 0.1),
        "0.03 and bias 0": _start(0.03, 0.0),
        "0.01 and bias 1": _start(0.01, 1.0),
        "0.01 and bias 0": _start(0.01, 0.0),
    },
    comparisons=(
        Comparison("0.03 and bias 1", "0.03 and bias 0", None, _CLAIM, side=-1),
        Comparison("0.03 and bias 1", "0.03 and bias 0.1", None, _CLAIM, side=-1),
        Comparison("0.01 and bias 1", "0.01 and bias 0", None, _CLAIM, side=-1),
        Comparison(
            "0.01 and bias 1", "0.03 and bias 1", None, "The paper's deviation against the source's"
        ),
    ),
    metric=StepsAtChance(),
    seeds=tuple(range(10)),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
