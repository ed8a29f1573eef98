"""Dropout: its effect on the error, and on the epochs to converge.

    python -m experiments.dropout

Claims (section 4.2): without dropout the network overfits substantially. Dropout about doubles the
iterations to converge.

The learning rate is constant for 30 epochs, as a drop would decide when a training converges. So
its 6 runs are not shared with other ablations.
"""

from experiments.framework.ablations import CIFAR10_BASE, TOP1
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import EpochsToConverge

# A constant learning rate, also if --preset has another schedule.
_TRAINING = {"epochs": 30, "schedule": "step", "lr_milestones": ()}

EXPERIMENT = Experiment(
    name="dropout",
    section="section 4.2",
    base=CIFAR10_BASE,
    variants={
        "with dropout": _TRAINING,
        "without dropout": {**_TRAINING, "overrides": {"dropout": 0.0}},
    },
    comparisons=(
        Comparison(
            "without dropout",
            "with dropout",
            None,
            "Without dropout: substantial overfitting",
            side=1,
        ),
        Comparison(
            "with dropout",
            "without dropout",
            2.0,
            "Dropout doubles the iterations to converge",
            EpochsToConverge(),
        ),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
