"""VGG's configuration A with response normalization and without it: the error, and the time it costs.

    python -m experiments.vgg_normalization

The claim (Simonyan and Zisserman 2014, sections 2.1 and 4.1): normalization does not improve the performance (29.7%
top-1 error with it, 29.6% without it), but costs memory and time.

Network, data and training as in `python -m experiments.vgg_depth`, which shares the runs of A.

Time: 6 runs of some 2 minutes on two cores, 3 of them shared. Figures, of three seeds on CIFAR-10 (JPEG 80): A-LRN has
-0.36 [-1.61, 0.89] points against A, and takes 1.17 times as long an epoch [1.13, 1.22]. `python -m
benchmarks.networks` measures both at full size.
"""

from experiments.framework.cli import main
from experiments.framework.metrics import EpochSeconds
from experiments.framework.runner import Comparison, Experiment
from experiments.vgg_depth import BASE, TOP1

EXPERIMENT = Experiment(
    name="vgg_normalization",
    section="Simonyan and Zisserman, section 4.1",
    base=BASE,
    variants={"A": {}, "A-LRN": {"overrides": {"normalization": True}}},
    comparisons=(
        # 0.6 points, of C against B, is the least that the paper takes for a gain.
        Comparison("A-LRN", "A", 29.7 - 29.6, "Normalization does not help", margin=0.5),
        Comparison("A-LRN", "A", None, "Normalization costs time", EpochSeconds(), side=1),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
