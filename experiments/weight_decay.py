"""Weight decay, and none.

    python -m experiments.weight_decay

Claim (section 5): a decay of 0.0005 does not only regularize. It lowers the training error.

It has 11 runs, 8 of which most other ablations share.
"""

from experiments.framework.ablations import BASE, SEEDS, TOP1
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import TrainingError

EXPERIMENT = Experiment(
    name="weight_decay",
    section="section 5",
    base=BASE,
    variants={
        "decay 0.0005": {},
        "no decay": {"weight_decay": 0.0},
    },
    comparisons=(
        Comparison(
            "decay 0.0005",
            "no decay",
            None,
            "Decay lowers the training error",
            TrainingError(),
            side=-1,
        ),
        Comparison("decay 0.0005", "no decay", None, "Decay regularizes"),
    ),
    metric=TOP1,
    seeds=SEEDS,
    seed_counts={"no decay": 3},
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
