"""Response normalization: with it, without it, and in other forms.

    python -m experiments.response_normalization

Claim (section 3.3): it lowers the top-1 and top-5 errors by 1.4 and 1.2 points.

Other implementations differ in three points. They divide alpha by the size (the 2012 source,
PyTorch, Caffe): the variant "other convention of alpha". They normalize across the towers, or
before the ReLU.
With --preset source, conv1 has it before the ReLU in all variants.

It has 25 runs, 8 of which other ablations share. The three other forms have three seeds.
"""

from experiments.framework.ablations import BASE, FEW_SEEDS, SEEDS, TOP1, top1_and_top5
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment


def _before_activation(network):
    """The stages of all layers, with the normalization before the activation."""
    order = ("normalization", "activation", "spatial_normalization", "pool")
    reordered = []
    for stages in network.stages:
        if "normalization" in stages:
            stages = tuple(sorted(stages, key=order.index))
        reordered.append(stages)
    return tuple(reordered)


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
            "with normalization",
            "without normalization",
            (-1.4, -1.2),
            "Response normalization lowers the errors",
        ),
        *(
            Comparison(form, "with normalization", None, "A form of the normalization")
            for form in _FORMS
        ),
    ),
    metric=TOP1,
    seeds=SEEDS,
    seed_counts=dict.fromkeys(_FORMS, FEW_SEEDS),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
