"""Figure 1 with sigmoid: epochs to a training error of 25% on CIFAR-10.

    python -m experiments.relu_vs_sigmoid

Claim (section 3.1): saturating nonlinearities, tanh and sigmoid, are much slower than ReLU.

The paper has no figure for sigmoid. So it only starts from Glorot's initialization on pixel values
divided by 64. Everything else is as in `python -m experiments.relu_vs_tanh`, but for learning rates
from grids with factor 2.
"""

from experiments.framework.cli import main
from experiments.relu_vs_tanh import STARTS, nonlinearities

_START = "Glorot, pixels / 64"
_OPTIONS, _ = STARTS[_START]
_RATES = {
    "ReLU": (0.005, 0.01, 0.02),
    "tanh": (0.005, 0.01, 0.02),
    "sigmoid": (0.025, 0.05, 0.1),
}

EXPERIMENT = nonlinearities(
    "relu_vs_sigmoid",
    {_START: (_OPTIONS, _RATES)},
    "sigmoid",
    paper=None,
    claim="ReLU is faster than saturating nonlinearities",
    side=1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
