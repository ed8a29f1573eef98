"""Figure 1 with sigmoid, the third nonlinearity that the paper names: epochs to a training error of 25% on CIFAR-10.

    python -m experiments.relu_vs_sigmoid

Section 3.1 says that saturating nonlinearities, tanh and sigmoid, are much slower than ReLU, and gives no figure for
sigmoid; so it is measured from today's start alone, Glorot's initialization on pixel values divided by 64. Everything
else is as in `python -m experiments.relu_vs_tanh`, whose runs are shared.

Time, after those: 13 minutes in 5 runs, on two cores of an AMD EPYC on which a matrix product reaches 510 GFLOP/s.
Figures, of CIFAR-10 (JPEG 80): sigmoid takes 17.3 epochs, 3.18 times those of ReLU [2.57, 3.95].
"""

from experiments.framework.cli import main
from experiments.relu_vs_tanh import STARTS, nonlinearities

_START = "Glorot, pixels / 64"
_OPTIONS, _RATES = STARTS[_START]

EXPERIMENT = nonlinearities(
    "relu_vs_sigmoid",
    {_START: (_OPTIONS, {**_RATES, "sigmoid": (0.025, 0.05, 0.1)})},
    "sigmoid",
    paper=None,
    claim="ReLU is faster than saturating nonlinearities",
    side=1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
