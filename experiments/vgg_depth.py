"""VGG's configurations at equal settings: more convolutions, and 3x3 kernels against 1x1.

    python -m experiments.vgg_depth

Claim (Simonyan and Zisserman 2014, table 3): on ILSVRC-2012 the top-1 error falls with depth. It is
29.6% for A (11 layers), 28.7% for B (13), 28.1% for C (16, three of its convolutions 1x1), 27.0%
for D (16, all 3x3) and 27.3% for E (19).

Here narrow networks of the first four stages are trained on CIFAR-10. At the scale of the paper:

    python -m experiments.vgg_depth --preset vgg_A --dataset imagenet2012 --devices 4 \\
      --workdir results/imagenet2012

It has 15 runs.
"""

from experiments.framework.cli import main
from experiments.framework.experiment import Comparison, Experiment
from experiments.framework.metrics import FinalError

BASE = {
    "preset": "vgg_A",
    "dataset": "cifar10",
    "epochs": 12,
    "batch_size": 64,
    "schedule": "step",
    "lr_milestones": (0.6, 0.85),
    "image_size": 32,
    "crop_size": 28,
    "overrides": {
        "kernel_sizes": ((3,), (3,), (3, 3), (3, 3)),  # the first four stages of configuration A
        "filters": (16, 32, 64, 128),
        "units": (256, 256),
        "input_scale": 1 / 64,
        "initializer": "he_normal",
        "normalization_alpha": 1e-4 * 64**2,
    },
}
TOP1 = FinalError()


def _as(letter):
    """The first stages of a configuration, as many as the base has."""

    def kernel_sizes(network):
        from alexnet_keras.models import VGG_PRESETS

        return VGG_PRESETS[letter].kernel_sizes[: len(network.filters)]

    return {"overrides": {"kernel_sizes": kernel_sizes}}


EXPERIMENT = Experiment(
    name="vgg_depth",
    section="Simonyan and Zisserman, table 3",
    base=BASE,
    variants={"A": {}, "B": _as("B"), "C": _as("C"), "D": _as("D"), "E": _as("E")},
    comparisons=(
        Comparison("B", "A", 28.7 - 29.6, "Deeper networks have lower errors"),
        Comparison("D", "A", 27.0 - 29.6, "Deeper networks have lower errors"),
        Comparison("E", "A", 27.3 - 29.6, "Deeper networks have lower errors"),
        Comparison(
            "C", "B", 28.1 - 28.7, "Further nonlinearities, in 1x1 convolutions, lower the errors"
        ),
        Comparison("D", "C", 27.0 - 28.1, "Kernels of 3x3 instead of 1x1 lower the errors"),
    ),
    metric=TOP1,
)


def configurations_table() -> str:
    """Returns kernels and parameters of the narrow networks and the whole ones as Markdown."""
    from alexnet_keras import VGG

    lines = [
        "| | kernels of the convolutions, stage by stage | parameters | of the whole VGG |",
        "|---|---|---|---|",
    ]
    for letter in EXPERIMENT.variants:
        network = EXPERIMENT.config(letter).network
        stages = [" ".join(f"{size}x{size}" for size in stage) for stage in network.kernel_sizes]
        narrow = VGG(network, classes=10).count_params()
        whole = VGG(letter).count_params()
        lines.append(f"| {letter} | {'; '.join(stages)} | {narrow:,} | {whole:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
