"""Time and memory of a training step of several networks at full size, such as VGG's with and without normalization.

    python -m benchmarks.networks

The networks take turns, each in a process of its own, so that its peak memory is its own; while one works, the others
wait. Writes networks.json and networks.md (the table) into --workdir; some 5 minutes on two cores.
"""

import resource

from benchmarks import turns

CONFIGS = ("source", "vgg_A", "vgg_A-LRN", "vgg_D")


def main(arguments=None):
    from alexnet_keras.training.config import training_config

    parser = turns.parser("networks", __doc__)
    parser.add_argument(
        "--presets",
        nargs="+",
        default=list(CONFIGS),
        metavar="CONFIG",
        help=f"presets ({' '.join(CONFIGS)})",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="images in a step (default: 32)")
    parser.add_argument(
        "--classes", type=int, default=1000, help="number of classes (default: 1000)"
    )
    parser.add_argument(
        "--backend", choices=("tensorflow", "jax"), default="tensorflow", help="(tensorflow)"
    )
    options = turns.parse(parser, arguments, ("batch_size", "classes"))
    for config in options.configs:
        try:
            training_config(config)
        except ValueError as error:
            parser.error(str(error))
    if options.work:
        return _work(options)
    environments = {config: turns.environment(options.backend) for config in options.configs}
    measured = turns.take_turns(
        "networks", environments, turns.as_arguments(options), options.rounds
    )
    stored = turns.record(
        "networks", options, {"batch_size": options.batch_size, "networks": measured}
    )
    turns.store("networks", options.workdir, stored, table(stored))
    return stored


def _work(options):
    from alexnet_keras.training.config import training_config
    from benchmarks.limits import device_words

    config = training_config(options.work)
    turns.work(
        device_words(), training_step(config, options.batch_size, options.classes, options.seconds)
    )


def training_step(config, batch_size, classes, seconds):
    """A function that measures a training step on random images: its seconds, and the process' peak memory in MiB.

    Args:
        config: a `TrainingConfig`.
        batch_size: images in a step.
        classes: number of classes.
        seconds: a turn lasts about this long.
    """
    import numpy as np

    from alexnet_keras.models import build_network
    from alexnet_keras.training.train import compile_for_training
    from benchmarks.peers import fitting

    model = build_network(config.network, classes=classes)
    compile_for_training(model, config)
    random = np.random.default_rng(0)
    images = random.normal(0, 60, (batch_size, *config.network.input_shape)).astype("float32")
    labels = random.integers(0, classes, batch_size).astype("int32")
    rate = turns.rate(fitting(model, images, labels), seconds)

    def turn():
        seconds = 1 / rate()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "step_seconds": seconds,
            "peak_memory_mib": peak,
            "parameters": model.count_params(),
        }

    return turn


def table(stored):
    """The figures as text."""
    lines = [
        "| network | parameters | step (s), median (range) | images/s | peak memory (MiB) |",
        "|---|---|---|---|---|",
    ]
    for name, measured in stored["networks"].items():
        its = measured["turns"]
        speed = stored["batch_size"] / turns.summary(its, "step_seconds")[0]
        memory = turns.summary(its, "peak_memory_mib")[2]
        step = turns.in_words(its, "step_seconds", 2)
        lines.append(
            f"| {name} | {its[0]['parameters']:,} | {step} | {speed:.1f} | {memory:,.0f} |"
        )
    return "\n".join([*lines, "", f"Batches of {stored['batch_size']} images."])


if __name__ == "__main__":
    main()
