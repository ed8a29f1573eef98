"""Figure 1: how many epochs ReLU and tanh need to a training error of 25% on CIFAR-10.

    python -m experiments.relu_vs_tanh

The claim (section 3.1): a four-layer convolutional network with ReLUs gets there six times faster than the same network
with tanh; the learning rate of each was chosen to make it as fast as possible; no regularization of any kind.

The network is that of the time (three conv layers of 5x5 kernels, 32-32-64 maps, 3x3 pools with stride 2, one fully
connected layer), on all 50,000 images less their mean image, divided by 64; batches of 128, momentum 0.9. Each
nonlinearity gets its own learning rate from a grid with factor 2, on the first seed. For each seed all start from the
same weights and see the same batches in the same order, under two initializations: the Gaussian of standard deviation
0.01 of 2012, and Glorot's of 2010, which most libraries use today. Sigmoid is the third one that the paper names.
"""

from experiments.bench import Comparison, Experiment
from experiments.command import main
from experiments.metrics import EpochsToError

_CLAIM = "ReLU reaches 25% training error on CIFAR-10 six times faster than tanh"
_GAUSSIAN = {"initializer": "gaussian"}
_GROUPS = {
    "Gaussian 0.01": _GAUSSIAN,
    "Gaussian 0.01, raw pixels": {**_GAUSSIAN, "input_scale": 1.0},
    "Glorot": {"initializer": "glorot_uniform"},
}
_ACTIVATIONS = {"ReLU": "relu", "tanh": "tanh", "sigmoid": "sigmoid"}
_RUNS = (  # label, group, epochs at most, grid of learning rates
    ("ReLU", "Gaussian 0.01", 40, (0.01, 0.02, 0.04)),
    ("tanh", "Gaussian 0.01", 40, (0.005, 0.01, 0.02)),
    ("sigmoid", "Gaussian 0.01", 20, (0.05, 0.1, 0.2)),
    ("ReLU", "Gaussian 0.01, raw pixels", 40, (0.0005, 0.001, 0.002)),
    ("tanh", "Gaussian 0.01, raw pixels", 40, (0.001, 0.002, 0.004)),
    ("ReLU", "Glorot", 40, (0.01, 0.02, 0.04)),
    ("tanh", "Glorot", 40, (0.005, 0.01, 0.02)),
    ("sigmoid", "Glorot", 20, (0.05, 0.1, 0.2)),
)

EXPERIMENT = Experiment(
    name="relu_vs_tanh",
    section="section 3.1, figure 1",
    base={"config": "four_layer", "dataset": "cifar10"},
    variants={
        f"{label}, {group}": {"epochs": epochs, "overrides": {"activation": _ACTIVATIONS[label], **_GROUPS[group]}}
        for label, group, epochs, _ in _RUNS
    },
    comparisons=tuple(
        Comparison(
            f"{label}, {group}",
            f"ReLU, {group}",
            6.0 if label == "tanh" else None,
            _CLAIM if label == "tanh" else "saturating nonlinearities are slower",
        )
        for label, group, *_ in _RUNS
        if label != "ReLU"
    ),
    metric=EpochsToError(25.0),
    learning_rates={f"{label}, {group}": grid for label, group, _, grid in _RUNS},
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
