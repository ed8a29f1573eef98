"""Training throughput of one device against two: replicas that share each batch, or two towers.

    python -m benchmarks.devices

Without GPUs, the two devices are logical devices of one CPU. The difference is then the overhead of
the division. Each setup runs in a process of its own, and the processes take turns. The results are
`devices.json` and `devices.md` in --workdir.
"""

import dataclasses
from typing import TYPE_CHECKING

from benchmarks import harness

if TYPE_CHECKING:
    import keras

    from alexnet_keras.training.config import TrainingConfig
    from benchmarks.other_libraries import KerasTraining


@dataclasses.dataclass(frozen=True)
class Setup:
    """Backend of Keras, and its devices: `"1"`, `"2"` replicas, or two `"towers"`."""

    backend: str
    devices: str


IMPLEMENTATIONS = {
    "TensorFlow, one device": Setup("tensorflow", "1"),
    "TensorFlow, two replicas": Setup("tensorflow", "2"),
    "JAX, one device": Setup("jax", "1"),
    "JAX, two replicas": Setup("jax", "2"),
    "JAX, two towers": Setup("jax", "towers"),
}


def main(arguments=None):
    parser = _parser()
    options = harness.parse(parser, arguments, ("batch_size",))
    if options.batch_size % 2:
        parser.error(f"--batch-size must be even. Received: {options.batch_size}")
    harness.check_alexnet_presets(parser, "--preset", [options.preset])
    if options.worker:
        return _work(options)
    backends = {name: IMPLEMENTATIONS[name].backend for name in options.implementations}
    harness.check_installed(parser, backends)
    environments = {name: harness.environment(backend) for name, backend in backends.items()}
    measured = harness.measure_in_rounds(
        "devices", environments, harness.as_arguments(options), options.rounds
    )
    results = {"batch_size": options.batch_size, "implementations": measured}
    stored = harness.record("devices", options, results)
    harness.store("devices", options.workdir, stored, table(stored))
    return stored


def _parser():
    parser = harness.create_parser("devices", __doc__)
    parser.add_argument(
        "--preset", default="source", help="preset of the network (default: source)"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=32,
        help="images in a step, on both devices together (default: 32)",
    )
    parser.add_argument(
        "--implementations",
        nargs="+",
        choices=list(IMPLEMENTATIONS),
        default=list(IMPLEMENTATIONS),
        help="setups to measure (default: all)",
    )
    return parser


def _work(options):
    """Measures one setup in its process."""
    import keras

    from alexnet_keras.training.config import training_config

    setup = IMPLEMENTATIONS[options.worker]
    assert keras.backend.backend() == setup.backend
    scope, description = _scope(setup.devices)
    config = training_config(options.preset, batch_size=options.batch_size)
    with scope:
        _, training = build_training(config)
        rate = harness.Rate(training, options.seconds)
        harness.serve(description, lambda: {"training": options.batch_size * rate()})


def build_training(config: "TrainingConfig") -> "tuple[keras.Model, KerasTraining]":
    """Builds a network, and the training of it on one batch that the devices of the scope share.

    Args:
        config: the network and its training.

    Returns:
        `(model, training)`, a `keras.Model` and its `KerasTraining`.
    """
    import numpy as np

    from alexnet_keras import AlexNet
    from alexnet_keras.training.train import compile_for_training
    from benchmarks.other_libraries import KerasTraining, repeated_batch

    shape = (config.batch_size, *config.network.input_shape)
    images = np.random.default_rng(0).normal(0, 60, shape).astype("float32")
    labels = np.arange(config.batch_size, dtype="int32") % 10
    model = AlexNet(config.network, classes=1000)
    compile_for_training(model, config)
    # By `fit`, as `train_on_batch` gives every replica of TensorFlow the whole batch.
    return model, KerasTraining(model, repeated_batch(images, labels))


def _scope(devices):
    """The scope for the devices of a setup, and their description."""
    from alexnet_keras.distributed import scope_for, two_towers

    if devices == "1":
        return scope_for(1)
    scope, description = scope_for(2)
    if devices == "towers":
        return two_towers().scope(), f"{description}, a tower on each"
    return scope, description


def table(stored: dict) -> str:
    """Returns the results as Markdown."""
    measured = stored["implementations"]
    first_median = None
    lines = [
        f"Training, images per second, median (range), batches of {stored['batch_size']}.\n",
        "| | images/s | share of the first | devices |",
        "|---|---|---|---|",
    ]
    for name, result in measured.items():
        median, _, _ = harness.summary(result["rounds"], "training")
        first_median = first_median or median
        speed = harness.median_and_range(result["rounds"], "training")
        share = 100 * median / first_median
        lines.append(f"| {name} | {speed} | {share:.0f}% | {result['description']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
