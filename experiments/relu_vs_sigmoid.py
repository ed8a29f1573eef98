"""Figure 1 with sigmoid: epochs to a training error of 25% on CIFAR-10.

    python -m experiments.relu_vs_sigmoid

Claim (section 3.1): saturating nonlinearities, tanh and sigmoid, are much slower than ReLU.

The paper has no figure for sigmoid. So it only starts from Glorot's initialization on pixel values
divided by 64. Everything else is as in `python -m experiments.relu_vs_tanh`, whose runs are shared.
It has 5 more runs.
"""

from experiments.framework.cli import main
from experiments.relu_vs_tanh import STARTS, nonlinearities

_START = "Glorot, pixels / 64"
_OPTIONS, _RATES = STARTS[_START]

EXPERIMENT = nonlinearities(
    "relu_vs_sigmoid",
    {_START: (_OPTIONS, {**_RATES, "sigmoid": (0.033, 0.05, 0.075)})},
    "sigmoid",
    paper=None,
    claim="ReLU is faster than saturating nonlinearities",
    side=1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
