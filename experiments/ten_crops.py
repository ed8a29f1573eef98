"""Predictions averaged over ten crops, against predictions on the center crop of the same networks.

    python -m experiments.ten_crops

Claim (section 4.1): the errors fall from 39.0 and 18.3 to 37.5 and 17.0 (top-1 and top-5).

It has 10 runs. Two of them only search for the learning rate of the ablations. The other ablations
share the remaining eight.
"""

from experiments.framework.ablations import BASE, SEEDS, TOP1, TOP5
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import FinalError

_CLAIM = "Ten crops lower the errors"

EXPERIMENT = Experiment(
    name="ten_crops",
    section="section 4.1",
    base=BASE,
    variants={"network": {}},
    comparisons=(
        Comparison(
            "network", "network", 37.5 - 39.0, _CLAIM, TOP1, FinalError(test_views="center")
        ),
        Comparison(
            "network", "network", 17.0 - 18.3, _CLAIM, TOP5, FinalError(test_views="center", top=5)
        ),
    ),
    metric=TOP1,
    seeds=SEEDS,
    learning_rates={"network": (0.005, 0.01, 0.02)},  # the search for all ablations
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
