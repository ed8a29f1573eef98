"""Weight decay through the momentum, decoupled from it, and none: the error on the training images, too.

    python -m experiments.weight_decay

The claim (section 5): a decay of 0.0005 does not only regularize, it lowers the training error. Through a momentum of
0.9 a decay takes effect ten times, so that the decoupled one (Keras' own) is ten times the paper's.

Time: 9 runs of two and a half minutes on two cores, 3 of them shared by most others. Figures, of three seeds on
CIFAR-10 (JPEG 80): the decay lowers the training error by 1.50 points [0.92, 2.09] and the error on ten crops by 1.28
[0.50, 2.06]; decoupled decay cannot be told from it.
"""

from experiments.framework.ablations import BASE, TOP1
from experiments.framework.cli import main
from experiments.framework.metrics import TrainingError
from experiments.framework.runner import Comparison, Experiment

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
        Comparison("decay 0.0005", "no decay", None, "Decay lowers the training error", TrainingError(), side=-1),
        Comparison("decay 0.0005", "no decay", None, "Decay regularizes"),
        Comparison("decoupled decay 0.005", "decay 0.0005", None, "Decay past the momentum"),
        Comparison("decoupled decay 0.005", "decay 0.0005", None, "Decay past the momentum", TrainingError()),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
