"""Time and memory of a training step of full-size networks, such as VGG with normalization.

    python -m benchmarks.networks

Each network is measured in a process of its own, for its own peak memory. The processes take turns.
The results are `networks.json` and `networks.md` in --workdir.
"""

import argparse

from benchmarks import harness

PRESETS = ("source", "vgg_A", "vgg_A-LRN", "vgg_D")


def main(arguments=None):
    parser = _parser()
    options = harness.parse(parser, arguments, ("batch_size", "classes"))
    check_presets(parser, options.presets)
    if options.worker:
        return _work(options)
    environments = {preset: harness.environment(options.backend) for preset in options.presets}
    measured = harness.measure_in_rounds(
        "networks", environments, harness.as_arguments(options), options.rounds
    )
    results = {"batch_size": options.batch_size, "networks": measured}
    stored = harness.record("networks", options, results)
    harness.store("networks", options.workdir, stored, table(stored))
    return stored


def _parser():
    parser = harness.create_parser("networks", __doc__)
    parser.add_argument(
        "--presets",
        nargs="+",
        default=list(PRESETS),
        metavar="PRESET",
        help=f"presets of the networks (default: {' '.join(PRESETS)})",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="images in a step (default: 32)")
    parser.add_argument(
        "--classes", type=int, default=1000, help="number of classes (default: 1000)"
    )
    add_backend_option(parser)
    return parser


def add_backend_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--backend`, the backend of Keras."""
    parser.add_argument(
        "--backend",
        choices=("tensorflow", "jax"),
        default="tensorflow",
        help="backend of Keras (default: tensorflow)",
    )


def check_presets(parser: argparse.ArgumentParser, presets: list[str]) -> None:
    """Ends the process with an error for an unknown preset."""
    from alexnet_keras.training.config import training_config

    for preset in presets:
        try:
            training_config(preset)
        except ValueError as error:
            parser.error(str(error))


def _work(options):
    from alexnet_keras.training.config import training_config
    from benchmarks.roofline import device_name

    step = TrainingStep(
        training_config(options.worker), options.batch_size, options.classes, options.seconds
    )
    harness.serve(device_name(), step)


class TrainingStep:
    """Measures a training step on random images, and the peak memory of the process in MiB.

    Args:
        config: a `TrainingConfig`.
        batch_size: images in a step.
        classes: number of classes.
        seconds: approximate duration of a measurement.
    """

    def __init__(self, config, batch_size: int, classes: int, seconds: float):
        import numpy as np

        from alexnet_keras.models import build_network
        from alexnet_keras.training.train import compile_for_training
        from benchmarks.other_libraries import KerasTraining, repeated_batch

        model = build_network(config.network, classes=classes)
        compile_for_training(model, config)
        random = np.random.default_rng(0)
        images = random.normal(0, 60, (batch_size, *config.network.input_shape)).astype("float32")
        labels = random.integers(0, classes, batch_size).astype("int32")
        self._parameters = model.count_params()
        self._rate = harness.Rate(KerasTraining(model, repeated_batch(images, labels)), seconds)

    def __call__(self) -> dict[str, float]:
        return {
            "step_seconds": 1 / self._rate(),
            "peak_memory_mib": harness.peak_memory_mib(),
            "parameters": self._parameters,
        }


def table(stored: dict) -> str:
    """Returns the results as Markdown."""
    lines = [
        "| network | parameters | step (s), median (range) | images/s | peak memory (MiB) |",
        "|---|---|---|---|---|",
    ]
    for name, measured in stored["networks"].items():
        rounds = measured["rounds"]
        speed = stored["batch_size"] / harness.summary(rounds, "step_seconds")[0]
        memory = harness.summary(rounds, "peak_memory_mib")[2]
        step = harness.median_and_range(rounds, "step_seconds", 2)
        parameters = rounds[0]["parameters"]
        lines.append(f"| {name} | {parameters:,} | {step} | {speed:.1f} | {memory:,.0f} |")
    return "\n".join([*lines, "", f"Batches of {stored['batch_size']} images."])


if __name__ == "__main__":
    main()
