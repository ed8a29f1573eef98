"""Figure 1 with sigmoid, the third nonlinearity that the paper names: epochs to a training error of 25% on CIFAR-10.

    python -m experiments.relu_vs_sigmoid

Section 3.1 says that saturating nonlinearities, tanh and sigmoid, are much slower than ReLU, and gives no figure for
sigmoid. Everything is as in `python -m experiments.relu_vs_tanh`, whose runs are shared.

Time, after those: 14 minutes from today's start.
Figures, of CIFAR-10 (JPEG 80): with today's start sigmoid takes 17.3 epochs, 3.18 times those of ReLU [2.57, 3.95].
"""

from experiments.command import main
from experiments.relu_vs_tanh import STARTS, nonlinearities

_RATES = {"Gaussian 0.01, pixels 0-255": (0.025, 0.1, 0.4), "Glorot, pixels / 64": (0.025, 0.05, 0.1)}

EXPERIMENT = nonlinearities(
    "relu_vs_sigmoid",
    {start: (options, {**grids, "sigmoid": _RATES[start]}) for start, (options, grids) in STARTS.items()},
    "sigmoid",
    paper=None,
    claim="ReLU is faster than saturating nonlinearities",
    side=1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
