"""Networks whose conv layers were trained on other classes before, against networks that start anew.

    python -m experiments.fine_tune

The claim (section 6, table 2): with a sixth conv layer over the last pool, a network that is pre-trained on the 15
million images of Fall 2011 and fine-tuned on ILSVRC-2012 has errors of 39.0 and 16.6 (top-1 and top-5), one that is
trained on ILSVRC-2012 alone, without that layer, 40.7 and 18.2.

Here the network with six conv layers is pre-trained on five classes of CIFAR-10; its conv layers are moved to the other
five, of which all training images are there, or 500 or 50 a class, beside a new head. The rates are as in the 2012
source: conv1 learns at a tenth of the rate and stands still over the last third of the epochs, the conv layers after it
at the rate itself, the hidden layers and fc8 at ten times as much. Those that start anew have one rate throughout.

On two data sets, such as the halves of ImageNet's classes:

    python -m experiments.train --config conv6 --dataset imagenet2012 --devices 2 --only-classes $(seq 0 499) \\
      --workdir runs/first_half
    python -m experiments.train --config conv6 --dataset imagenet2012 --devices 2 --only-classes $(seq 500 999) \\
      --initial-weights runs/first_half/last.keras --learning-rate 0.001 --bias-learning-rate 0.002 \\
      --layer-learning-rates conv1=0.1 fc6=10 fc7=10 fc8=10 --workdir runs/fine_tuned

Time: 18 runs and 3 of pre-training, about a minute and a half each on two cores. Figures, of three seeds on CIFAR-10
(JPEG 80): with 50 images a class the top-1 error is 6.43 points lower [3.93, 8.93], with 500 4.43 [2.55, 6.31], with
all 2.29 [0.37, 4.22].
"""

from experiments.framework.ablations import BASE, TOP1
from experiments.framework.cli import main
from experiments.framework.runner import PRETRAINED, Comparison, Experiment

CLASSES = {"first": (0, 1, 2, 3, 4), "last": (5, 6, 7, 8, 9)}
# Images of a class, and epochs for one to four thousand steps in batches of 32.
_AMOUNTS = {
    "50 images a class": {"images_per_class": 50, "epochs": 150},
    "500 images a class": {"images_per_class": 500, "epochs": 30},
    "all images": {"epochs": 5},
}
_FINE_TUNED = {
    "initial_weights": PRETRAINED,
    "learning_rate": 0.001,
    "layer_learning_rates": {"conv1": 0.1, **dict.fromkeys(("fc6", "fc7", "fc8"), 10.0)},
    "late_changes": (1.0, 2 / 3),
}

# In every variant, so that another `--config` keeps them.
_SIX = {"overrides": {"conv_layers": ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6")}}
_LAST = {**_SIX, "only_classes": CLASSES["last"], "bias_learning_rate": None}

EXPERIMENT = Experiment(
    name="fine_tune",
    section="section 6",
    base={**BASE, "batch_size": 32},
    variants={
        f"{how}, {amount}": {**images, **start, **_LAST}
        for amount, images in _AMOUNTS.items()
        for how, start in (("fine-tuned", _FINE_TUNED), ("from the start", {"learning_rate": 0.003}))
    },
    comparisons=tuple(
        Comparison(f"fine-tuned, {amount}", f"from the start, {amount}", None, "Fine-tuning lowers the errors", side=-1)
        for amount in _AMOUNTS
    ),
    metric=TOP1,
    pretraining={**_SIX, "only_classes": CLASSES["first"], "batch_size": 128, "learning_rate": 0.01},
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
