"""Fine-tuning a network that was pre-trained on other classes, against training from scratch.

    python -m experiments.fine_tune

Claim (section 6, table 2): a network with a sixth conv layer, pre-trained on the 15 million images
of Fall 2011 and fine-tuned on ILSVRC-2012, has errors of 39.0 and 16.6 (top-1 and top-5). A network
trained on ILSVRC-2012 only, without that layer, has 40.7 and 18.2.

In this experiment, a network with six conv layers is pre-trained on five classes of CIFAR-10. Its
conv layers and a new head are then trained on the other five classes, with 50, 500 or all training
images a class. Learning rates follow the 2012 source. conv1 learns at a tenth of the rate and is
frozen for the last third of the epochs. The hidden layers and fc8 learn at ten times the rate. From
scratch, all layers have one rate.

On two data sets, such as the halves of ImageNet's classes:

    python -m experiments.train --preset conv6 --dataset imagenet2012 --devices 2 \\
      --class-subset $(seq 0 499) --workdir runs/first_half
    python -m experiments.train --preset conv6 --dataset imagenet2012 --devices 2 \\
      --class-subset $(seq 500 999) --initial-weights runs/first_half/last.keras \\
      --learning-rate 0.001 --bias-learning-rate 0.002 \\
      --layer-learning-rates conv1=0.1 fc6=10 fc7=10 fc8=10 --workdir runs/fine_tuned

It has 18 runs, and 3 of pre-training.
"""

from alexnet_keras.training.presets import (
    FINE_TUNED_CONV1_MILESTONES,
    FIRST_CONVOLUTION_RATE,
    FULLY_CONNECTED_RATE,
)
from experiments.framework.ablations import CIFAR10_BASE, TOP1
from experiments.framework.cli import main
from experiments.framework.experiment import PRETRAINED, Comparison, Experiment

CLASSES = {"first": (0, 1, 2, 3, 4), "last": (5, 6, 7, 8, 9)}
# Images of a class, and epochs that give one to four thousand steps in batches of 32.
_AMOUNTS = {
    "50 images a class": {"max_images_per_class": 50, "epochs": 150},
    "500 images a class": {"max_images_per_class": 500, "epochs": 30},
    "all images": {"epochs": 5},
}
_FINE_TUNED = {
    "initial_weights": PRETRAINED,
    "learning_rate": 0.001,
    "layer_learning_rates": {
        "conv1": FIRST_CONVOLUTION_RATE,
        **dict.fromkeys(("fc6", "fc7", "fc8"), FULLY_CONNECTED_RATE),
    },
    "conv1_milestones": FINE_TUNED_CONV1_MILESTONES,
}

# In every variant, as another `--preset` replaces the base.
_SIX_CONV_LAYERS = {
    "overrides": {"conv_layers": ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6")}
}
_LAST_CLASSES = {**_SIX_CONV_LAYERS, "class_subset": CLASSES["last"], "bias_learning_rate": None}


def _variants():
    variants = {}
    for amount, images in _AMOUNTS.items():
        variants[f"fine-tuned, {amount}"] = {**images, **_FINE_TUNED, **_LAST_CLASSES}
        variants[f"from scratch, {amount}"] = {**images, "learning_rate": 0.003, **_LAST_CLASSES}
    return variants


EXPERIMENT = Experiment(
    name="fine_tune",
    section="section 6",
    base={**CIFAR10_BASE, "batch_size": 32},
    variants=_variants(),
    comparisons=tuple(
        Comparison(
            f"fine-tuned, {amount}",
            f"from scratch, {amount}",
            None,
            "Fine-tuning lowers the errors",
            side=-1,
        )
        for amount in _AMOUNTS
    ),
    metric=TOP1,
    pretraining={
        **_SIX_CONV_LAYERS,
        "class_subset": CLASSES["first"],
        "batch_size": 128,
        "learning_rate": 0.01,
    },
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
