"""Random crops with mirror images, and color noise: both, or one of them.

    python -m experiments.augmentation

Claims (section 4.1): without crops and mirror images the network overfits substantially. Color
noise lowers the top-1 error by more than 1 point.

It has 22 runs, 8 of which most other ablations share.
"""

from experiments.framework.ablations import BASE, SEEDS, TOP1
from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment

EXPERIMENT = Experiment(
    name="augmentation",
    section="section 4.1",
    base=BASE,
    variants={
        "both": {},
        "crops and mirror images": {"pca_noise": "none"},
        "color noise": {"random_crop": False},
    },
    comparisons=(
        # The paper gives a bound, more than 1 point, so that only the side is judged.
        Comparison(
            "both", "crops and mirror images", None, "Color noise lowers the top-1 error", side=-1
        ),
        Comparison(
            "color noise",
            "both",
            None,
            "Without crops and mirror images: substantial overfitting",
            side=1,
        ),
    ),
    metric=TOP1,
    seeds=SEEDS,
    seed_counts={"color noise": 6},
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
