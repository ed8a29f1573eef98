"""Dropout: its effect on the error, and on the epochs to converge.

    python -m experiments.dropout

Claims (section 4.2): without dropout the network overfits substantially. Dropout about doubles the
iterations to converge.

The errors are taken after the whole schedule. A drop of the learning rate would decide when a
training converges, so that the iterations are counted at a constant rate, in 30 epochs. The
network's hidden layers have 512 neurons each. Two further variants have 2,048; the paper's network
has 4,096.

It has 36 runs, 8 of which most other ablations share.
"""

from experiments.framework.ablations import BASE, SEEDS, TOP1
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import EpochsToConverge

# A constant learning rate, also if --preset has another schedule.
_CONSTANT = {"epochs": 30, "schedule": "step", "lr_milestones": (), "validation_freq": 1}
_WITHOUT = {"overrides": {"dropout": 0.0}}
_OVERFITTING = "Without dropout: substantial overfitting"


def _wide_units(network):
    """Units of the hidden layers, 2,048 at least."""
    return tuple(max(units, 2048) for units in network.units)


_WIDE = {"units": _wide_units}

EXPERIMENT = Experiment(
    name="dropout",
    section="section 4.2",
    base=BASE,
    variants={
        "with dropout": {},
        "without dropout": _WITHOUT,
        "with dropout, constant rate": _CONSTANT,
        "without dropout, constant rate": {**_CONSTANT, **_WITHOUT},
        "with dropout, wide hidden layers": {"overrides": _WIDE},
        "without dropout, wide hidden layers": {"overrides": {**_WIDE, "dropout": 0.0}},
    },
    comparisons=(
        Comparison("without dropout", "with dropout", None, _OVERFITTING, side=1),
        Comparison(
            "without dropout, wide hidden layers",
            "with dropout, wide hidden layers",
            None,
            _OVERFITTING,
            side=1,
        ),
        Comparison(
            "with dropout, constant rate",
            "without dropout, constant rate",
            2.0,
            "Dropout doubles the iterations to converge",
            EpochsToConverge(),
        ),
    ),
    metric=TOP1,
    seeds=SEEDS,
    seed_counts={
        "without dropout": 6,
        "with dropout, constant rate": 5,
        "without dropout, constant rate": 5,
        "with dropout, wide hidden layers": 6,
        "without dropout, wide hidden layers": 6,
    },
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
