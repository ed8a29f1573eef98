"""Dependence of figure 1 on the scale of the input, the initialization and the batch size.

    python -m experiments.relu_vs_tanh_inputs

`python -m experiments.relu_vs_tanh` has two of the four pairs of initialization and scale. This
experiment has the other two, and the paper's pair in batches of 32. Everything else is equal, but
for grids of learning rates with factor 2.

Scale and initialization set the size of conv1's sums at the start, and so how many tanh units
saturate. `saturation` measures it.

It has 34 runs.
"""

import numpy as np

from experiments.framework.cli import main
from experiments.framework.experiment import Experiment
from experiments.relu_vs_tanh import GAUSSIAN, GLOROT, RAW, SCALED, nonlinearities

EXPERIMENT = nonlinearities(
    "relu_vs_tanh_inputs",
    {
        "Gaussian 0.01, pixels / 64": (
            {"overrides": {**GAUSSIAN, **SCALED}},
            {"ReLU": (0.01, 0.02, 0.04), "tanh": (0.005, 0.01, 0.02)},
        ),
        "Glorot, pixels 0-255": (
            {"overrides": {**GLOROT, **RAW}},
            {"ReLU": (0.0001, 0.0002, 0.0004), "tanh": (0.002, 0.004, 0.008)},
        ),
        "Gaussian 0.01, pixels 0-255, batches of 32": (
            {"overrides": {**GAUSSIAN, **RAW}, "batch_size": 32},
            {"ReLU": (0.00025, 0.0005, 0.001), "tanh": (0.001, 0.002, 0.004)},
        ),
    },
)


def saturation(*experiments: Experiment, dataset: str = "cifar10", images: int = 1000) -> str:
    """Measures the saturation of conv1's tanh units before the first step.

    Args:
        *experiments: `Experiment`s with tanh variants.
        dataset: as for `alexnet_keras.data.load`.
        images: number of training images to measure on.

    Returns:
        Markdown table of the tanh variants: the standard deviation of conv1's sums, and the share
        of its outputs, in percent, with an absolute value above 0.99.
    """
    from alexnet_keras.data import Dataset

    data = Dataset(dataset, 32, 32)
    pixels = next(
        iter(data.train(min(images, data.info.train_count), random_crop=False, pca_noise="none"))
    )[0]
    lines = ["| | standard deviation of conv1's sums | tanh units beyond 0.99 |", "|---|---|---|"]
    networks = []
    for experiment in experiments:
        for variant in experiment.variants:
            config = experiment.config(variant, dataset=dataset)
            if config.network.activation != "tanh" or config.network in networks:
                continue
            networks.append(config.network)
            sums, outputs = _first_layer(config, data.info.classes, pixels)
            share = 100 * np.mean(np.abs(outputs) > 0.99)
            lines.append(f"| {variant} | {np.std(sums):.2f} | {share:.1f}% |")
    return "\n".join(lines)


def _first_layer(config, classes, pixels):
    """The sums of conv1 and the outputs of its tanh units, with initial weights."""
    import keras

    from alexnet_keras import AlexNet

    keras.utils.set_random_seed(config.seed)
    model = AlexNet(config.network, classes=classes)
    first = keras.Model(model.input, [model.get_layer(name).output for name in ("conv1", "tanh1")])
    return [keras.ops.convert_to_numpy(values) for values in first(pixels)]


if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
