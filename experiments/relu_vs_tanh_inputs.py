"""What the ratio of figure 1 depends on: the scale of the input and the initialization, each changed alone.

    python -m experiments.relu_vs_tanh_inputs

Everything else is as in `python -m experiments.relu_vs_tanh`, which has two of the four pairs; these are the others.
The size of the sums that reach the nonlinearity of conv1 at the start is the product of both: about 5 for the Gaussian
on pixel values 0-255, where more than half of all tanh units are beyond 0.99, and 0.07 on pixel values divided by 64.
"""

from experiments.command import main
from experiments.relu_vs_tanh import GAUSSIAN, GLOROT, RAW, SCALED, nonlinearities

EXPERIMENT = nonlinearities(
    "relu_vs_tanh_inputs",
    {
        "Gaussian 0.01, pixels / 64": (
            {**GAUSSIAN, **SCALED},
            {"ReLU": (0.01, 0.02, 0.04), "tanh": (0.005, 0.01, 0.02)},
        ),
        "Glorot, pixels 0-255": (
            {**GLOROT, **RAW},
            {"ReLU": (0.0005, 0.001, 0.002), "tanh": (0.002, 0.004, 0.008)},
        ),
    },
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
