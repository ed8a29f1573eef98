"""Figure 1: epochs that ReLU and tanh need to reach a training error of 25% on CIFAR-10.

    python -m experiments.relu_vs_tanh

Claim (section 3.1): a four-layer convolutional network with ReLUs reaches it six times faster than
the same network with tanh. The learning rate of each is chosen for speed. Nothing is regularized.

The network has three conv layers of 5x5 kernels with 32, 32 and 64 maps, 3x3 pools with stride 2,
and one fully connected layer. It sees all 50,000 images minus their mean image, in batches of 128,
with momentum 0.9. Each nonlinearity gets its learning rate from a grid with factor 1.5, on the
first seed. For each seed all networks start from the same weights and see the same batches.

There are two starts. The paper's is a Gaussian of standard deviation 0.01 (section 5) on pixel
values 0-255 (section 2). Today's is Glorot's initialization on pixel values divided by 64, with a
variance of about one. `python -m experiments.relu_vs_sigmoid` adds sigmoid to the second start.
`python -m experiments.relu_vs_tanh_inputs` has the other two pairs of initialization and scale, and
smaller batches. `python -m experiments.relu_vs_tanh_settings` has further settings of 2012.

It has 22 runs.
"""

from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import EpochsToError

GAUSSIAN = {"initializer": "gaussian"}
GLOROT = {"initializer": "glorot_uniform"}
RAW = {"input_scale": 1.0}
SCALED = {"input_scale": 1 / 64}
_ACTIVATIONS = {"ReLU": "relu", "tanh": "tanh", "sigmoid": "sigmoid"}
# From a start's name to its options and the learning rates of each nonlinearity.
STARTS = {
    "Gaussian 0.01, pixels 0-255": (
        {"overrides": {**GAUSSIAN, **RAW}},
        {"ReLU": (0.00067, 0.001, 0.0015), "tanh": (0.0027, 0.004, 0.006)},
    ),
    "Glorot, pixels / 64": (
        {"overrides": {**GLOROT, **SCALED}},
        {"ReLU": (0.0067, 0.01, 0.015), "tanh": (0.0067, 0.01, 0.015)},
    ),
}


def nonlinearities(name: str, groups: dict, slower: str = "tanh", **comparison) -> Experiment:
    """Returns the experiment that compares nonlinearities under given conditions.

    Args:
        name: name of the experiment.
        groups: dict from a group's name to `(options, grids)`. `options` are for
            `training_config`, with the `bias_learning_rate` of each nonlinearity, if any; `grids`
            has the learning rates of each nonlinearity.
        slower: name of the nonlinearity that is compared with ReLU.
        **comparison: claim of the paper, fields of `Comparison`; by default the claim of figure 1.
    """
    comparison = comparison or {
        "paper": 6.0,
        "claim": "ReLU reaches 25% training error on CIFAR-10 six times faster than tanh",
    }
    variants = {}
    learning_rates = {}
    for group, (options, grids) in groups.items():
        for label, grid in grids.items():
            own = {"activation": _ACTIVATIONS[label], **options["overrides"]}
            variant = {"epochs": 40, **options, "overrides": own}
            if "bias_learning_rate" in options:
                variant["bias_learning_rate"] = options["bias_learning_rate"][label]
            variants[f"{label}, {group}"] = variant
            learning_rates[f"{label}, {group}"] = grid
    return Experiment(
        name=name,
        section="section 3.1, figure 1",
        # The figure is of the training error, so that validations may be rare.
        base={"preset": "four_layer", "dataset": "cifar10", "validation_freq": 40},
        variants=variants,
        comparisons=tuple(
            Comparison(f"{slower}, {group}", f"ReLU, {group}", **comparison) for group in groups
        ),
        metric=EpochsToError(25.0),
        learning_rates=learning_rates,
    )


EXPERIMENT = nonlinearities("relu_vs_tanh", STARTS)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
