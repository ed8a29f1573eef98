"""Dependence of figure 1 on the settings of cuda-convnet's networks for CIFAR-10.

    python -m experiments.relu_vs_tanh_settings

The paper does not give the settings of figure 1. Its authors had the file `layers-19pct.cfg`, for a
network of the same size. Besides weight decay and drops of the learning rate, the file has three
settings that `python -m experiments.relu_vs_tanh` does not have: average pools after conv2 and
conv3, a standard deviation of 0.0001 for conv1's first weights, and biases that learn at twice the
rate. This experiment switches them on one at a time, and all three together. It starts from the
paper's Gaussian weights, on pixel values 0-255.

In the groups with faster biases, these learn at twice the best rate that the weights have without
the three settings. A run has at most 80 epochs, since a small conv1 makes a slow start.
"""

from experiments.framework.cli import main
from experiments.relu_vs_tanh import STARTS, nonlinearities

_AVERAGE_POOLS = {
    "stages": (
        ("pool", "activation", "normalization"),
        ("activation", "average_pool", "normalization"),
        ("activation", "average_pool"),
        (),
        (),
        (),
    )
}
_SMALL_CONV1 = {"conv1_kernel_stddev": 0.0001}
_BIAS_RATES = {"bias_learning_rate": {"ReLU": 0.003, "tanh": 0.008}}
_OPTIONS, _RATES = STARTS["Gaussian 0.01, pixels 0-255"]
_HIGHER_RATES = {**_RATES, "tanh": (0.004, 0.006, 0.009)}


def _settings(overrides, rates=_RATES, **options):
    return {"epochs": 80, "overrides": {**_OPTIONS["overrides"], **overrides}, **options}, rates


EXPERIMENT = nonlinearities(
    "relu_vs_tanh_settings",
    {
        "all three settings": _settings({**_AVERAGE_POOLS, **_SMALL_CONV1}, **_BIAS_RATES),
        "conv1 at 0.0001": _settings(_SMALL_CONV1, _HIGHER_RATES),
        "average pools": _settings(_AVERAGE_POOLS, _HIGHER_RATES),
        "bias rate doubled": _settings({}, **_BIAS_RATES),
    },
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
