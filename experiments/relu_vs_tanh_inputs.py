"""What the ratio of figure 1 depends on: scale of the input, initialization and batch size, each changed alone.

    python -m experiments.relu_vs_tanh_inputs

Everything else is as in `python -m experiments.relu_vs_tanh`, which has two of the four pairs of initialization and
scale; these are the others, and the paper's pair in batches of 32. Scale and initialization set the size of the sums
that reach the nonlinearity of conv1 at the start (`saturation` measures it): about 5 for the Gaussian on pixel
values 0-255, where more than half of all tanh units are beyond 0.99 and pass on little gradient, and 0.07 on pixel
values divided by 64, where none is.

Figures, of CIFAR-10 (JPEG 80): from the Gaussian on pixel values divided by 64 tanh takes 0.93 times the epochs of ReLU
[0.87, 0.99], three seeds; in batches of 32 from the Gaussian on pixel values 0-255 3.28 [3.07, 3.50] times, three seeds
(19.4 epochs against 5.9), as in batches of 128. From Glorot's initialization on pixel values 0-255 it is ReLU that is
late: of three seeds two take 37.1 and 36.6 epochs and one has not got there after 40, where tanh takes 21.9, 23.1 and
24.4.
"""

import numpy as np

from experiments.framework.cli import main
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


def saturation(*experiments, dataset="cifar10", images=1000):
    """How far into saturation conv1's tanh units are before the first step.

    Args:
        *experiments: those of this module and of `experiments.relu_vs_tanh`.
        dataset: as for `alexnet_keras.data.load`.
        images: number of training images to measure on.

    Returns:
        Markdown: for each tanh variant the standard deviation of conv1's sums, and the share of the outputs of its
        units, in percent, that are beyond 0.99 in size.
    """
    import keras

    from alexnet_keras import AlexNet
    from alexnet_keras.data import Dataset

    data = Dataset(dataset, 32, 32)
    pixels = next(iter(data.train(min(images, data.info.train_count), crops=False, colour_noise="none")))[0]
    lines, networks = ["| | standard deviation of conv1's sums | tanh units beyond 0.99 |", "|---|---|---|"], []
    for experiment in experiments:
        for variant in experiment.variants:
            config = experiment.config(variant, dataset=dataset)
            if config.network.activation != "tanh" or config.network in networks:
                continue
            networks.append(config.network)
            keras.utils.set_random_seed(config.seed)
            model = AlexNet(config.network, classes=data.info.classes)
            first = keras.Model(model.input, [model.get_layer(name).output for name in ("conv1", "tanh1")])
            sums, outputs = (keras.ops.convert_to_numpy(values) for values in first(pixels))
            share = 100 * np.mean(np.abs(outputs) > 0.99)
            lines.append(f"| {variant} | {np.std(sums):.2f} | {share:.1f}% |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
