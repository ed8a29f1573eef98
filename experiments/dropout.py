"""With dropout and without it: the error, and the epochs to converge.

    python -m experiments.dropout

The claims (section 4.2): without dropout the network overfits substantially; dropout about doubles the iterations to
converge. Other than in the ablations that share their runs, the learning rate stays what it is, for 30 epochs: where it
drops says when a training converges.

Time: 6 runs of 30 epochs, some five minutes each on two cores. Figures, of three seeds on CIFAR-10 (JPEG 80): the
opposite. Without dropout this narrow network has an error that is 1.96 points lower [0.67, 3.25], and takes as many
epochs, 0.99 times [0.78, 1.25]: it does not overfit, and half of its 256 hidden units are missed.
"""

from experiments.framework.ablations import BASE, TOP1
from experiments.framework.cli import main
from experiments.framework.metrics import EpochsToConverge
from experiments.framework.runner import Comparison, Experiment

# At a rate that stays, also where --config brings another schedule.
_TRAINING = {"epochs": 30, "schedule": "drops", "drops": ()}

EXPERIMENT = Experiment(
    name="dropout",
    section="section 4.2",
    base=BASE,
    variants={"with dropout": _TRAINING, "without dropout": {**_TRAINING, "overrides": {"dropout": 0.0}}},
    comparisons=(
        Comparison("without dropout", "with dropout", None, "Without dropout: substantial overfitting", side=1),
        Comparison(
            "with dropout", "without dropout", 2.0, "Dropout doubles the iterations to converge", EpochsToConverge()
        ),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
