"""VGG's configuration A with response normalization and without it: the error, and the time it costs.

    python -m experiments.vgg_normalization

The claim (Simonyan and Zisserman 2014, sections 2.1 and 4.1): normalization does not improve the performance (29.7%
top-1 error with it, 29.6% without it), but costs memory and time. What it costs in memory follows from its layer: the
maps of conv1_1 once more, 12.8 MB an image of 224x224 pixels in float32.

Network, data and training as in `python -m experiments.vgg_depth`, which shares the runs of A.

Time: 6 runs of some 4 minutes on two cores, 3 of them shared. Figures: not run yet.
"""

from experiments.bench import Comparison, Experiment
from experiments.command import main
from experiments.metrics import EpochSeconds
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
