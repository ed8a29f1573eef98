"""Base of the ablations: an eight-layer network with two towers.

`BASE` has photographs, the ten ImageNet classes of Imagenette at 64 pixels, and the preset `small`.
This network fits its training images better than others, which dropout, crops and weight decay are
for. Its learning rate is the best of three on the first seed (`python -m experiments.ten_crops`). A
run takes about four minutes on one core with bfloat16 arithmetic.

`python -m experiments.ablations` runs all ablations. At the scale of the paper, 90 epochs a run on
two GPUs:

    python -m experiments.ablations --preset source --dataset imagenet2012 --devices 2 \\
      --workdir results/imagenet2012
"""

from experiments.framework.experiment import Comparison
from experiments.framework.metrics import FinalError

BASE = {
    "preset": "small",
    "dataset": "imagenette/320px-v2",
    "image_size": 64,
    "crop_size": 56,
    "epochs": 40,
    "batch_size": 64,
    "learning_rate": 0.01,
    "precision": "mixed_bfloat16",
    "validation_freq": 8,
}
ABLATIONS = (
    "ten_crops",
    "overlapping_pooling",
    "response_normalization",
    "towers",
    "depth",
    "dropout",
    "augmentation",
    "weight_decay",
)
SEEDS = tuple(range(8))
FEW_SEEDS = 3  # of a variant that no claim of the paper is about

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
