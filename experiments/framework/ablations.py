"""What the ablations share: what they start from, and how they are measured.

They start from the preset `cifar` with fewer kernels, trained on CIFAR-10 for 16 epochs: eight layers and two towers,
of which three seeds of all variants together fit into a night on two cores. The weight of response normalization is the
paper's on pixel values 0-255, which this preset divides by 64.

At the scale of the paper, every one of them (90 epochs on two GPUs for each run):

    python -m experiments.NAME --config source --dataset imagenet2012 --devices 2 --workdir results/imagenet2012

The real network on ten classes of it, one seed, four epochs, eleven minutes a run on two cores:

    python -m experiments.NAME --config source --dataset imagenette/320px-v2 --epochs 4 --batch-size 32 \\
      --learning-rates 0.003 --bias-learning-rate 0.006 --seeds 0 --workdir results/imagenette
"""

from experiments.framework.metrics import FinalError
from experiments.framework.runner import Comparison

BASE = {
    "config": "cifar",
    "dataset": "cifar10",
    "epochs": 16,
    "overrides": {
        "filters": (16, 32, 48, 48, 32, 32),
        "units": (256, 256),
        "normalization_alpha": 1e-4 * 64**2,
        "conv1_kernel_stddev": None,  # as the stored runs started
    },
}
TOP1 = FinalError()
TOP5 = FinalError(top=5)


def top1_and_top5(variant, baseline, paper, claim):
    """The comparisons of two variants by both errors, ten crops; `paper`: its two figures, percentage points."""
    figures = zip(paper, (TOP1, TOP5), strict=True)
    return tuple(Comparison(variant, baseline, figure, claim, metric) for figure, metric in figures)
