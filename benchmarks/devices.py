"""Training speed of one device against two: replicas that share each batch, and a tower on each.

    python -m benchmarks.devices

On a machine without GPUs the two are logical devices of one CPU, so that what is lost is the overhead of dividing the
work. Each way has a process of its own; they take turns, a few steps each, and the others wait. Writes devices.json and
devices.md (the table) into --workdir.
"""

from benchmarks import turns

WAYS = {
    "TensorFlow, one device": ("tensorflow", "1"),
    "TensorFlow, two replicas": ("tensorflow", "2"),
    "JAX, one device": ("jax", "1"),
    "JAX, two replicas": ("jax", "2"),
    "JAX, two towers": ("jax", "towers"),
}


def main(arguments=None):
    parser = turns.parser("devices", __doc__)
    parser.add_argument(
        "--preset", default="source", help="preset of the network (default: source)"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=32,
        help="images in a step, over both devices (default: 32)",
    )
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=list(WAYS),
        default=list(WAYS),
        help="only these (default: all)",
    )
    options = turns.parse(parser, arguments, ("batch_size",))
    if options.batch_size % 2:
        parser.error(f"--batch-size must be even. Received: {options.batch_size}")
    if options.work:
        return _work(options)
    turns.check_installed(parser, {way: WAYS[way][0] for way in options.ways})
    environments = {way: turns.environment(WAYS[way][0]) for way in options.ways}
    measured = turns.take_turns(
        "devices", environments, turns.as_arguments(options), options.rounds
    )
    stored = turns.record("devices", options, {"batch_size": options.batch_size, "ways": measured})
    turns.store("devices", options.workdir, stored, table(stored))
    return stored


def _work(options):
    """A process: one way to train."""
    import contextlib

    import keras
    import numpy as np

    from alexnet_keras import AlexNet
    from alexnet_keras.distributed import scope_for
    from alexnet_keras.training.config import training_config
    from alexnet_keras.training.train import compile_for_training

    backend, devices = WAYS[options.work]
    assert keras.backend.backend() == backend
    scope, words = scope_for(2 if devices != "1" else 1)
    if devices == "towers":
        from alexnet_keras.distributed import two_towers

        scope, words = two_towers().scope(), f"a tower on each of {words}"
    training = training_config(options.config, batch_size=options.batch_size)
    shape = (options.batch_size, *training.network.input_shape)
    images = np.random.default_rng(0).normal(0, 60, shape).astype("float32")
    labels = np.arange(options.batch_size, dtype="int32") % 10
    with contextlib.ExitStack() as stack:
        stack.enter_context(scope)
        model = AlexNet(training.network, classes=1000)
        compile_for_training(model, training)
        rate = turns.rate(
            lambda steps: [model.train_on_batch(images, labels) for _ in range(steps)],
            options.seconds,
        )
        turns.work(words, lambda: {"training": options.batch_size * rate()})


def table(stored):
    """The figures as text."""
    first = turns.summary(next(iter(stored["ways"].values()))["turns"], "training")[0]
    lines = [
        f"Training, images per second, median (range), batches of {stored['batch_size']}.\n",
        "| | images/s | share of the first | on |",
        "|---|---|---|---|",
    ]
    for way, result in stored["ways"].items():
        share = turns.summary(result["turns"], "training")[0] / first
        lines.append(
            f"| {way} | {turns.in_words(result['turns'], 'training')} | {100 * share:.0f}% | {result['words']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
