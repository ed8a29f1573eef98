"""Random crops and mirror images, colour noise, both, none.

    python -m experiments.augmentation

The claims (section 4.1): without crops and mirror images the network overfits substantially; colour noise lowers the
top-1 error by more than 1 point.

Time: 12 runs, 3 of them shared by most other ablations. Figures: not run yet.
"""

from experiments.ablations import BASE, TOP1
from experiments.bench import Comparison, Experiment
from experiments.command import main

EXPERIMENT = Experiment(
    name="augmentation",
    section="section 4.1",
    base=BASE,
    variants={
        "both": {},
        "crops and mirror images": {"colour_noise": "none"},
        "colour noise": {"crops": False},
        "none": {"crops": False, "colour_noise": "none"},
    },
    comparisons=(
        # By more than 1 point: a bound, so that the side alone is judged.
        Comparison("both", "crops and mirror images", None, "Colour noise lowers the top-1 error", side=-1),
        Comparison("colour noise", "both", None, "Without crops and mirror images: substantial overfitting", side=1),
        Comparison("none", "both", None, "No augmentation"),
    ),
    metric=TOP1,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
