"""Weight decay through the momentum, decoupled weight decay, and none.

    python -m experiments.weight_decay

Claim (section 5): a decay of 0.0005 does not only regularize. It lowers the training error.

With a momentum of 0.9, a decay takes effect ten times. So the decoupled decay, Keras' own, is ten
times the paper's.

It has 17 runs, 8 of which most other ablations share.
"""

from experiments.framework.ablations import BASE, FEW_SEEDS, SEEDS, TOP1
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
        "decoupled decay 0.005": {"weight_decay": 0.0, "decoupled_weight_decay": 0.005},
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
        Comparison("decoupled decay 0.005", "decay 0.0005", None, "Decay past the momentum"),
        Comparison(
            "decoupled decay 0.005",
            "decay 0.0005",
            None,
            "Decay past the momentum",
            TrainingError(),
        ),
    ),
    metric=TOP1,
    seeds=SEEDS,
    seed_counts={"no decay": 6, "decoupled decay 0.005": FEW_SEEDS},
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
