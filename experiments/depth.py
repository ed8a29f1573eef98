"""All layers against the network without one of them.

    python -m experiments.depth

The claim (section 7): removing any of the middle layers costs about 2 points of the top-1 error. Without conv3, where
the towers meet, they meet in conv4. Pools stay when their layer goes, so that the maps keep their sizes; the
normalization after conv2 goes with it.

Time: 21 runs of two and a half minutes on two cores, 3 of them shared by most other ablations. Figures, of three seeds
on CIFAR-10 (JPEG 80): without conv2 the top-1 error is 2.62 points higher [-0.34, 5.59], without conv3 0.35 [-3.17,
3.87], without conv4 0.40 [-0.06, 0.86], without conv5 0.73 lower [-1.40, 2.86]; without fc6 2.42 lower [0.20, 4.65],
without fc7 2.19 [-1.15, 5.53].
"""

from experiments.framework.ablations import BASE, TOP1
from experiments.framework.cli import main
from experiments.framework.runner import Comparison, Experiment


def _without(name, field):
    return {field: lambda network: tuple(layer for layer in getattr(network, field) if layer != name)}


EXPERIMENT = Experiment(
    name="depth",
    section="section 7",
    base=BASE,
    variants={
        "all layers": {},
        "without conv2": {"overrides": _without("conv2", "conv_layers")},
        "without conv3": {"overrides": {**_without("conv3", "conv_layers"), "exchange": ("conv4", "conv6")}},
        "without conv4": {"overrides": _without("conv4", "conv_layers")},
        "without conv5": {"overrides": _without("conv5", "conv_layers")},
        "without fc6": {"overrides": _without("fc6", "hidden_layers")},
        "without fc7": {"overrides": _without("fc7", "hidden_layers")},
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
