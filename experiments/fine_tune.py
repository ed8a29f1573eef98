"""Fine-tuning a network that was pre-trained on other classes, against training from scratch.

    python -m experiments.fine_tune

Claim (section 6, table 2): a network with a sixth conv layer, pre-trained on the 15 million images
of Fall 2011 and fine-tuned on ILSVRC-2012, has errors of 39.0 and 16.6 (top-1 and top-5). A network
trained on ILSVRC-2012 only, without that layer, has 40.7 and 18.2.

In this experiment, a network with six conv layers is pre-trained on Tiny ImageNet, 100,000
photographs of 200 classes. Its conv layers and a new head are then trained on Imagenette, with 50,
200 or all training images a class. None of its ten classes is one of the 200. The relations between
the layers' learning rates follow the 2012 source. conv1 learns at a tenth of the rate and is frozen
for the last third of the epochs. The hidden layers and fc8 learn at ten times the rate. From
scratch, all layers have one rate. Each variant gets its rate from a search on the first seed, which
starts with three rates.

On two data sets, such as the halves of ImageNet's classes:

    python -m experiments.train --preset conv6 --dataset imagenet2012 --devices 2 \\
      --class-subset $(seq 0 499) --workdir runs/first_half
    python -m experiments.train --preset conv6 --dataset imagenet2012 --devices 2 \\
      --class-subset $(seq 500 999) --initial-weights runs/first_half/last.keras \\
      --learning-rate 0.001 --bias-learning-rate 0.002 \\
      --layer-learning-rates conv1=0.1 fc6=10 fc7=10 fc8=10 --workdir runs/fine_tuned

It has 34 runs, and 3 of pre-training.
"""

from alexnet_keras.training.presets import (
    FINE_TUNED_CONV1_MILESTONES,
    FIRST_CONVOLUTION_RATE,
    FULLY_CONNECTED_RATE,
)
from experiments.framework.ablations import BASE, TOP1
from experiments.framework.cli import main
from experiments.framework.experiment import PRETRAINED, Comparison, Experiment

# Images of a class, and epochs that give one to four thousand steps in batches of 64.
_AMOUNTS = {
    "50 images a class": {"max_images_per_class": 50, "epochs": 150},
    "200 images a class": {"max_images_per_class": 200, "epochs": 60},
    "all images": {"epochs": 24},
}
_FINE_TUNED = {
    "initial_weights": PRETRAINED,
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
_SHARED = {**_SIX_CONV_LAYERS, "bias_learning_rate": None}

_STARTS = {"fine-tuned": {**_FINE_TUNED, **_SHARED}, "from scratch": _SHARED}
_LEARNING_RATES = {"fine-tuned": (0.004, 0.008, 0.016), "from scratch": (0.005, 0.01, 0.02)}


def _variants():
    variants = {}
    for amount, images in _AMOUNTS.items():
        for start, options in _STARTS.items():
            variants[f"{start}, {amount}"] = {**images, **options}
    return variants


EXPERIMENT = Experiment(
    name="fine_tune",
    section="section 6",
    base=BASE,
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
    learning_rates={variant: _LEARNING_RATES[variant.split(", ")[0]] for variant in _variants()},
    pretraining={
        **_SIX_CONV_LAYERS,
        "dataset": "tiny_imagenet",
        "epochs": 8,
        "batch_size": 128,
        "learning_rate": 0.01,
        "schedule": "step",
        "lr_milestones": (0.6, 0.85),
    },
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
