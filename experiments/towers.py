"""Two towers that meet in one conv layer, against one tower, and against two that never meet.

    python -m experiments.towers

The claim (section 3.2): two towers lower the top-1 and top-5 errors by 1.7 and 1.2 points against one tower with half
the kernels in each conv layer; its last conv layer and its fully connected ones are as wide as those of two, so that
the number of parameters is about the same. In addition: one wide tower, where every layer sees all maps, and two
towers without exchange (net 150 of the 2012 source).

Time: 12 runs of about two minutes on two cores, 3 of them shared by most others. Figures, of three seeds on CIFAR-10
(JPEG 80): two towers against one of half the kernels -5.18 [-7.75, -2.60] and -1.14 [-1.68, -0.61] points (top-1 and
top-5); one wide tower against two -2.39 [-5.84, 1.05]; two without exchange against two that meet 2.52 [0.06, 4.98].
"""

from experiments.framework.ablations import BASE, TOP1, top1_and_top5
from experiments.framework.cli import main
from experiments.framework.runner import Comparison, Experiment


def _half(network):
    """Half the kernels of conv1, ..., conv4."""
    return (*(count // 2 for count in network.filters[:4]), *network.filters[4:])


EXPERIMENT = Experiment(
    name="towers",
    section="section 3.2",
    base=BASE,
    variants={
        "two towers": {},
        "one tower of half the kernels": {"overrides": {"towers": 1, "filters": _half}},
        "one wide tower": {"overrides": {"towers": 1}},
        "two towers without exchange": {"overrides": {"exchange": ()}},
    },
    comparisons=(
        *top1_and_top5("two towers", "one tower of half the kernels", (-1.7, -1.2), "Two towers lower the errors"),
        Comparison("one wide tower", "two towers", None, "All maps seen by all kernels"),
        Comparison("two towers without exchange", "two towers", None, "No exchange between the towers", side=1),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
