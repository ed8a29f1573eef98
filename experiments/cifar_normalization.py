"""The four-layer network on CIFAR-10 with and without response normalization.

    python -m experiments.cifar_normalization

Claim (section 3.3): a test error of 11% with normalization, and of 13% without.

The network, crops and views follow cuda-convnet's files for this data set. Training takes random
24x24 crops of 32x32 and mirror images, the test ten crops. Pixel values are 0-255 minus the mean
image; the learning rate is 0.001. Normalization covers 5 maps with alpha 0.001, divided by 5, and k
= 1. The files train for some 500 epochs, with locally connected upper layers. Here it is 24 epochs,
with a tenth of the rate in the last quarter.

Time: 6 runs of 11 to 14 minutes on two cores.
"""

from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import FinalError

_NORMALIZATION = {
    "normalization": True,
    "normalization_k": 1.0,
    "normalization_alpha": 0.001,
    "normalization_divide_alpha": True,
}

EXPERIMENT = Experiment(
    name="cifar_normalization",
    section="section 3.3",
    base={
        "preset": "four_layer",
        "dataset": "cifar10",
        "epochs": 24,
        "learning_rate": 0.001,
        "lr_milestones": (0.75,),
        "weight_decay": 0.004,
        "random_crop": True,
        "crop_size": 24,
        "overrides": {"input_scale": 1.0},
    },
    variants={"without normalization": {}, "with normalization": {"overrides": _NORMALIZATION}},
    comparisons=(
        Comparison(
            "with normalization",
            "without normalization",
            -2.0,
            "CIFAR-10, four layers: 11% test error with normalization, 13% without",
        ),
    ),
    metric=FinalError(test_views="ten_crop"),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
