"""The paper's own CIFAR-10 networks, with and without response normalization.

    python -m experiments.cifar_normalization

Claim (section 3.3): a test error of 11% with normalization, and of 13% without.

Footnote 3 points to the configuration files of these networks, `layers-conv-local-11pct.cfg` and
`layers-conv-local-13pct.cfg` of cuda-convnet. They are the presets `cifar_11pct` and
`cifar_13pct`. Both have two convolutions and two locally connected layers. Each layer has its own
weight decay. Training uses random 24x24 crops and mirror images. The test averages nine crops, as
the original's does; ten crops stand beside it. The 11% network also has more kernels in local3 and
another decay in fc8.

The files train on four fifths of the images first, and on all of them later. Here all 50,000 images
train throughout. Both networks get the 160 epochs of the 13% file; the rate falls to a tenth after
140 and 150. One run of the 11% network gets its own 520, where it falls after 500 and 510.

`layers-18pct.cfg` and `layers-19pct.cfg` are a cheaper pair without augmentation. Only the 18%
network has normalization, which acts inside each map. The file of the 18% network trains for 140
epochs. The file of the 19% network does not say for how long; it gets 140, too.

The published errors are the percentages in the names of the files. TFDS' `cifar10` has the lossless
images.
"""

from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import FinalError

_NINE_CROPS = FinalError(test_views="nine_crop")
_TEN_CROPS = FinalError(test_views="ten_crop")
_CLAIM = "CIFAR-10: 11% test error with normalization, 13% without"

EXPERIMENT = Experiment(
    name="cifar_normalization",
    section="section 3.3",
    base={"preset": "cifar_11pct", "dataset": "cifar10", "validation_freq": 10},
    variants={
        "13% network": {"preset": "cifar_13pct"},
        "11% network": {"epochs": 160, "lr_milestones": (140 / 160, 150 / 160)},
        "11% network, 520 epochs": {},
        "19% network": {"preset": "cifar_19pct"},
        "18% network": {"preset": "cifar_18pct"},
    },
    comparisons=(
        Comparison("11% network", "13% network", -2.0, _CLAIM),
        Comparison("11% network", "13% network", -2.0, _CLAIM, _TEN_CROPS),
        Comparison("11% network, 520 epochs", "13% network", -2.0, _CLAIM),
        Comparison(
            "18% network",
            "19% network",
            -1.0,
            "Without augmentation: 18% with normalization, 19% without",
        ),
    ),
    metric=_NINE_CROPS,
    seed_counts={"11% network, 520 epochs": 1},
    published={
        "13% network": 13.0,
        "11% network": 11.0,
        "11% network, 520 epochs": 11.0,
        "19% network": 19.0,
        "18% network": 18.0,
    },
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
