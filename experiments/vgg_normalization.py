"""VGG's configuration A with and without response normalization: error and time.

    python -m experiments.vgg_normalization

Claim (Simonyan and Zisserman 2014, sections 2.1 and 4.1): normalization does not improve the error
(29.7% top-1 with it, 29.6% without it), but costs memory and time.

Network, data and training are as in `python -m experiments.vgg_depth`, which shares the runs of A.
`python -m benchmarks.networks` measures both networks at full size.

It has 6 runs, 3 of which are shared.
"""

from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import EpochSeconds
from experiments.vgg_depth import BASE, TOP1

EXPERIMENT = Experiment(
    name="vgg_normalization",
    section="Simonyan and Zisserman, section 4.1",
    base=BASE,
    variants={"A": {}, "A-LRN": {"overrides": {"normalization": True}}},
    comparisons=(
        # The smallest difference that the paper calls a gain is 0.6 points, of C against B.
        Comparison("A-LRN", "A", 29.7 - 29.6, "Normalization does not help", margin=0.5),
        Comparison("A-LRN", "A", None, "Normalization costs time", EpochSeconds(), side=1),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
