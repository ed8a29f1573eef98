"""Steps until the loss leaves chance level, by standard deviation, bias and learning rate.

    python -m experiments.initialization

Claim (section 5): biases of 1 in conv2, conv4, conv5 and the hidden layers accelerate the early
stages of learning, as they give the ReLUs positive inputs.

Weights have a standard deviation of 0.01 in the paper. In conv3 to conv5, it is 0.03 in the 2012
source (net 145). The network has fewer kernels, so all standard deviations are multiplied by
2, the root of the ratio of the fan-ins of conv3. So its sums have the variance of the full-size
network. Pixel values are 0-255, as in the paper. The paper's learning rate is 0.01, with batches of
128. Batches have 64 images here. At the rate 0.01 batches of 128 are tried too. A run ends after
the epoch in which its loss leaves chance level.

It has 16 runs for each seed.
"""

import functools
import itertools
import math

from experiments.framework.ablations import BASE
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import StepsAtChance


def _scaled_stddev(stddev, network):
    """Scales a standard deviation by the root of conv3's ratio of fan-ins, full-size to narrow."""
    return stddev * math.sqrt(256 * 3 * 3 / (network.filters[1] * network.kernel_sizes[2] ** 2))


def _start(stddev, bias, options):
    return {
        **options,
        "overrides": {
            "kernel_stddev": functools.partial(_scaled_stddev, 0.01),
            "middle_kernel_stddev": functools.partial(_scaled_stddev, stddev),
            "bias": bias,
        },
    }


_SETTINGS = {
    "rate 0.001": {"learning_rate": 0.001},
    "rate 0.003": {"learning_rate": 0.003},
    "rate 0.01": {"learning_rate": 0.01},
    "rate 0.01, batch of 128": {"learning_rate": 0.01, "batch_size": 128},
}
_OVERRIDES = {
    "input_scale": 1.0,
    "normalization_alpha": 1e-4,
    "initializer": "gaussian",
    "conv1_kernel_stddev": None,
}
_CLAIM = "Biases of 1 accelerate the early stages of learning"

EXPERIMENT = Experiment(
    name="initialization",
    section="section 5",
    base={
        **BASE,
        "precision": "float32",
        "epochs": 16,
        "lr_milestones": (),
        "overrides": _OVERRIDES,
    },
    variants={
        f"{stddev} and bias {bias:g}, {name}": _start(stddev, bias, _SETTINGS[name])
        for name, stddev, bias in itertools.product(_SETTINGS, (0.03, 0.01), (1.0, 0.0))
    },
    comparisons=tuple(
        Comparison(
            f"{stddev} and bias 1, {name}",
            f"{stddev} and bias 0, {name}",
            None,
            _CLAIM,
            side=-1,
        )
        for name, stddev in itertools.product(_SETTINGS, (0.03, 0.01))
    ),
    metric=StepsAtChance(),
    seeds=tuple(range(6)),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
