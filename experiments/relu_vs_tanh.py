"""Figure 1: how many epochs ReLU and tanh need to a training error of 25% on CIFAR-10.

    python -m experiments.relu_vs_tanh

The claim (section 3.1): a four-layer convolutional network with ReLUs gets there six times faster than the same network
with tanh; the learning rate of each was chosen to make it as fast as possible; no regularization of any kind.

The network is that of the time (three conv layers of 5x5 kernels, 32-32-64 maps, 3x3 pools with stride 2, one fully
connected layer), on all 50,000 images less their mean image; batches of 128, momentum 0.9. Each nonlinearity gets its
own learning rate from a grid with factor 2, on the first seed. For each seed all start from the same weights and see
the same batches in the same order. Once as the paper says, from a Gaussian of standard deviation 0.01 (section 5) on
pixel values 0-255 (section 2), and once as most libraries do today, from Glorot's initialization on pixel values
divided by 64, whose variance is about one.

`python -m experiments.relu_vs_sigmoid` adds the third nonlinearity that the paper names to the second.
`python -m experiments.relu_vs_tanh_inputs` has the two other pairs of initialization and scale, and smaller batches.

Time: its 20 runs took 31 minutes on two cores of an AMD EPYC on which a matrix product reaches 510 GFLOP/s, 11.2
seconds an epoch; on two cores with 214 GFLOP/s an epoch takes 17 to 19 seconds, 16 of them arithmetic at that rate,
which would make some 50 minutes. On an H200, with JAX and `--in-memory`, 20 runs with learning rates three times, not
twice, as far apart took 195 seconds and start-up (`results/benchmarks/h200`).
Figures, of CIFAR-10 (JPEG 80): with the paper's start 6.2 epochs with ReLU, 20.0 with tanh, 3.23 times as many [2.86,
3.65], where the paper says six times; with today's 5.4 and 5.1 epochs, 0.93 times [0.88, 0.99].
"""

from experiments.framework.cli import main
from experiments.framework.metrics import EpochsToError
from experiments.framework.runner import Comparison, Experiment

GAUSSIAN, GLOROT = {"initializer": "gaussian"}, {"initializer": "glorot_uniform"}
RAW, SCALED = {"input_scale": 1.0}, {"input_scale": 1 / 64}
_ACTIVATIONS = {"ReLU": "relu", "tanh": "tanh", "sigmoid": "sigmoid"}
# From a start's name to its options and the learning rates of each nonlinearity.
STARTS = {
    "Gaussian 0.01, pixels 0-255": (
        {"overrides": {**GAUSSIAN, **RAW}},
        {"ReLU": (0.0005, 0.001, 0.002), "tanh": (0.002, 0.004, 0.008)},
    ),
    "Glorot, pixels / 64": (
        {"overrides": {**GLOROT, **SCALED}},
        {"ReLU": (0.005, 0.01, 0.02), "tanh": (0.005, 0.01, 0.02)},
    ),
}


def nonlinearities(name, groups, slower="tanh", **comparison):
    """The experiment that compares nonlinearities under given conditions.

    Args:
        name: of the experiment.
        groups: dict from a group's name to `(options, grids)`: options of `training_config`, and a grid of learning
            rates for each nonlinearity's name.
        slower: name of the nonlinearity that is compared with ReLU.
        **comparison: what the paper says of it, fields of `Comparison`; by default figure 1's.
    """
    comparison = comparison or {
        "paper": 6.0,
        "claim": "ReLU reaches 25% training error on CIFAR-10 six times faster than tanh",
    }
    names = [(label, group) for group, (_, grids) in groups.items() for label in grids]
    return Experiment(
        name=name,
        section="section 3.1, figure 1",
        base={"config": "four_layer", "dataset": "cifar10", "validation_freq": 40},  # the figure is of training error
        variants={
            f"{label}, {group}": {
                "epochs": 40,
                **groups[group][0],
                "overrides": {"activation": _ACTIVATIONS[label], **groups[group][0]["overrides"]},
            }
            for label, group in names
        },
        comparisons=tuple(Comparison(f"{slower}, {group}", f"ReLU, {group}", **comparison) for group in groups),
        metric=EpochsToError(25.0),
        learning_rates={f"{label}, {group}": groups[group][1][label] for label, group in names},
    )


EXPERIMENT = nonlinearities("relu_vs_tanh", STARTS)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
