"""Two towers that exchange maps in one conv layer, against one, and against two without exchange.

    python -m experiments.towers

Claim (section 3.2): two towers lower the top-1 and top-5 errors by 1.7 and 1.2 points against one
tower with half the kernels in each conv layer. The last conv layer and the fully connected layers
of that tower are as wide as in two towers, so that the numbers of parameters are similar.

Further variants: one wide tower, where every layer sees all maps, and two towers without exchange
(net 150 of the 2012 source).

It has 27 runs, 8 of which other ablations share. One wide tower has three seeds.
"""

from experiments.framework.ablations import BASE, FEW_SEEDS, SEEDS, TOP1, top1_and_top5
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment


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
        *top1_and_top5(
            "two towers",
            "one tower of half the kernels",
            (-1.7, -1.2),
            "Two towers lower the errors",
        ),
        Comparison("one wide tower", "two towers", None, "All maps seen by all kernels"),
        Comparison(
            "two towers without exchange",
            "two towers",
            None,
            "No exchange between the towers",
            side=1,
        ),
    ),
    metric=TOP1,
    seeds=SEEDS,
    seed_counts={"one wide tower": FEW_SEEDS},
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
