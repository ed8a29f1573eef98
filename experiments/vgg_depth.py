"""VGG's configurations at equal settings: what more convolutions do, and larger kernels in place of 1x1.

    python -m experiments.vgg_depth

The claim (Simonyan and Zisserman 2014, table 3): on ILSVRC-2012 the top-1 error falls from 29.6% (A, 11 layers) to 28.7
(B, 13), 28.1 (C, 16, of which three convolutions are 1x1) and 27.0 (D, 16, all of 3x3), and is 27.3 with 19 layers (E).

Here the first four stages, made narrow, on CIFAR-10. At the scale of the paper:

    python -m experiments.vgg_depth --config vgg_A --dataset imagenet2012 --devices 4 --workdir results/imagenet2012

Time: 15 runs of two to four minutes on two cores, 41 in all. Figures, of three seeds on CIFAR-10 (JPEG 80): A 25.07%, B
25.05, C 27.15, D 25.84, E 26.43. B against A -0.02 points [-2.22, 2.18], D 0.77 [-0.89, 2.42], E 1.36 [0.60, 2.12]:
depth does not help here. The training errors are in the same order: twelve epochs train the deep ones less far.
"""

from alexnet_keras.models import VGG_PRESETS
from experiments.framework.cli import main
from experiments.framework.metrics import FinalError
from experiments.framework.runner import Comparison, Experiment

BASE = {
    "config": "vgg_A",
    "dataset": "cifar10",
    "epochs": 12,
    "batch_size": 64,
    "schedule": "drops",
    "drops": (0.6, 0.85),
    "image_size": 32,
    "crop_size": 28,
    "overrides": {
        "kernel_sizes": VGG_PRESETS["A"].kernel_sizes[:4],
        "filters": (16, 32, 64, 128),
        "units": (256, 256),
        "input_scale": 1 / 64,
        "initializer": "he_normal",
        "normalization_alpha": 1e-4 * 64**2,
    },
}
TOP1 = FinalError()


def _as(letter):
    """As many stages of a configuration as the base has."""
    return {"overrides": {"kernel_sizes": lambda network: VGG_PRESETS[letter].kernel_sizes[: len(network.filters)]}}


EXPERIMENT = Experiment(
    name="vgg_depth",
    section="Simonyan and Zisserman, table 3",
    base=BASE,
    variants={"A": {}, "B": _as("B"), "C": _as("C"), "D": _as("D"), "E": _as("E")},
    comparisons=(
        Comparison("B", "A", 28.7 - 29.6, "Deeper networks have lower errors"),
        Comparison("D", "A", 27.0 - 29.6, "Deeper networks have lower errors"),
        Comparison("E", "A", 27.3 - 29.6, "Deeper networks have lower errors"),
        Comparison("C", "B", 28.1 - 28.7, "Further nonlinearities, in 1x1 convolutions, lower the errors"),
        Comparison("D", "C", 27.0 - 28.1, "Kernels of 3x3 in place of 1x1 lower the errors"),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
