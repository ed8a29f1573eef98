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
_GAUSSIAN, _GLOROT = "Gaussian 0.01", "Glorot"
_INITIALIZERS = {_GAUSSIAN: "gaussian", _GLOROT: "glorot_uniform"}

EXPERIMENT = Experiment(
    name="relu_vs_tanh",
    section="section 3.1, figure 1",
    base={"config": "four_layer", "dataset": "cifar10", "epochs": 40},
    variants={
        f"{label}, {group}": {"overrides": {"activation": activation, "initializer": initializer}}
        for group, initializer in _INITIALIZERS.items()
        for label, activation in (("ReLU", "relu"), ("tanh", "tanh"), ("sigmoid", "sigmoid"))
    },
    comparisons=tuple(
        Comparison(f"{label}, {group}", f"ReLU, {group}", paper, claim)
        for group in _INITIALIZERS
        for label, paper, claim in (("tanh", 6.0, _CLAIM), ("sigmoid", None, "saturating nonlinearities are slower"))
    ),
    metric=EpochsToError(25.0),
    learning_rates={
        f"{label}, {group}": grid
        for group in _INITIALIZERS
        for label, grid in (
            ("ReLU", (0.01, 0.02, 0.04)),
            ("tanh", (0.005, 0.01, 0.02)),
            ("sigmoid", (0.05, 0.1, 0.2)),
        )
    },
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
