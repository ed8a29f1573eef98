"""Response normalization: with it and without it, and in the forms in which it is around.

    python -m experiments.response_normalization

The claim (section 3.3): it lowers the top-1 and top-5 errors by 1.4 and 1.2 points. Other implementations divide alpha
by the size (the 2012 source, PyTorch, Caffe), which is the other convention here, let the neighbours be in the other
tower, or put it before the ReLU (where --config source has that of conv1 already).

Time: 15 runs of about two minutes on two cores, 3 of them shared by most others. Figures, of three seeds on CIFAR-10
(JPEG 80): -0.85 [-3.67, 1.97] and -0.19 [-0.45, 0.07] points (top-1 and top-5); the other convention of alpha -0.80
[-3.71, 2.11], across towers 0.88 [-1.63, 3.39], before the ReLU 0.40 [-3.45, 4.25]: nothing of it is told from nothing.
"""

from experiments.framework.ablations import BASE, TOP1, top1_and_top5
from experiments.framework.cli import main
from experiments.framework.runner import Comparison, Experiment


def _before_activation(network):
    """The stages of all layers, with the normalization ahead of the activation."""
    order = ("normalization", "activation", "spatial_normalization", "pool")
    return tuple(
        tuple(sorted(stages, key=order.index)) if "normalization" in stages else stages for stages in network.stages
    )


_FORMS = ("other convention of alpha", "across towers", "before the ReLU")

EXPERIMENT = Experiment(
    name="response_normalization",
    section="section 3.3",
    base=BASE,
    variants={
        "with normalization": {},
        "without normalization": {"overrides": {"normalization": False}},
        "other convention of alpha": {
            "overrides": {"normalization_divide_alpha": lambda n: not n.normalization_divide_alpha}
        },
        "across towers": {"overrides": {"normalization_in_towers": False}},
        "before the ReLU": {"overrides": {"stages": _before_activation}},
    },
    comparisons=(
        *top1_and_top5(
            "with normalization", "without normalization", (-1.4, -1.2), "Response normalization lowers the errors"
        ),
        *(Comparison(form, "with normalization", None, "A form of the normalization") for form in _FORMS),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
