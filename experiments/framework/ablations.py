"""Base of the ablations: a narrow network on CIFAR-10, compared by its final errors.

The base is the preset `cifar` with fewer kernels. It has eight layers and two towers. The preset
divides pixel values by 64, so that the alpha of response normalization is the paper's times 64
squared.

Every ablation at the scale of the paper (90 epochs a run on two GPUs):

    python -m experiments.NAME --preset source --dataset imagenet2012 --devices 2 \\
      --workdir results/imagenet2012

The full-size network on the ten classes of Imagenette, with one seed and four epochs:

    python -m experiments.NAME --preset source --dataset imagenette/320px-v2 --epochs 4 \\
      --batch-size 32 --learning-rates 0.003 --bias-learning-rate 0.006 --seeds 0 \\
      --workdir results/imagenette
"""

from experiments.framework.experiment import Comparison
from experiments.framework.metrics import FinalError

BASE = {
    "preset": "cifar",
    "dataset": "cifar10",
    "epochs": 16,
    "learning_rate": 0.01,
    "overrides": {
        "filters": (16, 32, 48, 48, 32, 32),
        "units": (256, 256),
        "normalization_alpha": 1e-4 * 64**2,
        "conv1_kernel_stddev": None,  # as in the stored runs
    },
}
TOP1 = FinalError()
TOP5 = FinalError(top=5)


def top1_and_top5(
    variant: str, baseline: str, paper: tuple[float, float], claim: str
) -> tuple[Comparison, Comparison]:
    """Returns the comparisons of two variants by both errors, on ten crops.

    Args:
        variant, baseline: names of the variants.
        paper: the paper's two figures, in percentage points.
        claim: claim of the paper.
    """
    top1, top5 = paper
    return (
        Comparison(variant, baseline, top1, claim, TOP1),
        Comparison(variant, baseline, top5, claim, TOP5),
    )
