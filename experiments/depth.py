"""All layers against the network without one of them.

    python -m experiments.depth

The claim (section 7): removing any of the middle layers costs about 2 points of the top-1 error. Without conv3, where
the towers meet, they meet in conv4. Pools stay when their layer goes, so that the maps keep their sizes.

Time: 21 runs, 3 of them shared by most other ablations. Figures: not run yet.
"""

from experiments.ablations import BASE, TOP1
from experiments.bench import Comparison, Experiment
from experiments.command import main


def _without_conv(name):
    return lambda network: tuple(layer for layer in network.conv_layers if layer != name)


EXPERIMENT = Experiment(
    name="depth",
    section="section 7",
    base=BASE,
    variants={
        "all layers": {},
        "without conv2": {"overrides": {"conv_layers": _without_conv("conv2")}},
        "without conv3": {"overrides": {"conv_layers": _without_conv("conv3"), "exchange": ("conv4", "conv6")}},
        "without conv4": {"overrides": {"conv_layers": _without_conv("conv4")}},
        "without conv5": {"overrides": {"conv_layers": _without_conv("conv5")}},
        "without fc6": {"overrides": {"hidden_layers": ("fc7",)}},
        "without fc7": {"overrides": {"hidden_layers": ("fc6",)}},
    },
    comparisons=(
        *(
            Comparison(f"without {conv}", "all layers", 2.0, "Removing a middle conv layer costs 2 points")
            for conv in ("conv2", "conv3", "conv4", "conv5")
        ),
        *(Comparison(f"without {fc}", "all layers", None, "Removing a hidden layer") for fc in ("fc6", "fc7")),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
