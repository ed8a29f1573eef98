"""Time and memory of a training step of the real network against batch size, image size and number of classes.

    python -m benchmarks.growth

Each point is a process of its own, so that its peak memory is its own. Writes growth.json, growth.md (the table) and
growth.png into --workdir; some 5 minutes on two cores.
"""

from benchmarks import turns

SWEEPS = {
    "batch_size": [8, 16, 32, 64, 128, 256],
    "image_size": [112, 168, 224, 320, 448],
    "classes": [10, 100, 1000, 10_184, 21_841],
}
LABELS = {
    "batch_size": "batch size (images)",
    "image_size": "image size (pixels)",
    "classes": "number of classes",
}
_BASE = {"batch_size": 32, "image_size": 224, "classes": 1000}


def main(arguments=None):
    parser = turns.parser("growth", __doc__, rounds=3)
    for name, values in SWEEPS.items():
        words = f"({' '.join(map(str, values))}); the others are at {_BASE[name]}"
        parser.add_argument(
            f"--{name.replace('_', '-')}", nargs="*", type=int, default=values, help=words
        )
    parser.add_argument(
        "--backend", choices=("tensorflow", "jax"), default="tensorflow", help="(tensorflow)"
    )
    options = turns.parse(parser, arguments, tuple(SWEEPS))
    if options.work:
        return _work(options)
    chosen = {name: getattr(options, name) for name in SWEEPS}
    points = {sweep: [] for sweep in SWEEPS}
    seen = {}
    for sweep, values in chosen.items():
        for value in values:
            point = {**_BASE, sweep: value}
            key = tuple(point.values())
            if key not in seen:
                seen[key] = _measure(point, options)
            points[sweep].append({"value": value, "turns": seen[key]})
    stored = turns.record("growth", options, {"base": _BASE, "sweeps": points})
    turns.store("growth", options.workdir, stored, table(stored), plot(stored))
    return stored


def _measure(point, options):
    words = ", ".join(f"{LABELS[name]} {value}" for name, value in point.items())
    ways = {words: turns.environment(options.backend)}
    given = turns.as_arguments(options, **{name: [value] for name, value in point.items()})
    return turns.take_turns("growth", ways, given, options.rounds)[words]["turns"]


def _work(options):
    from alexnet_keras.training.config import training_config
    from benchmarks.limits import device_words
    from benchmarks.networks import training_step

    batch_size, size, classes = options.batch_size[0], options.image_size[0], options.classes[0]
    config = training_config("paper", crop_size=size, image_size=size)
    turns.work(device_words(), training_step(config, batch_size, classes, options.seconds))


def table(stored):
    """The figures as text."""
    lines = []
    for sweep, points in stored["sweeps"].items():
        if not points:
            continue
        fixed = ", ".join(
            f"{LABELS[name]} {value:,}" for name, value in stored["base"].items() if name != sweep
        )
        lines += [
            f"| {LABELS[sweep]} | step (s), median (range) | peak memory (MiB) | parameters |",
            "|---|---|---|---|",
        ]
        for point in points:
            step = turns.in_words(point["turns"], "step_seconds", 2)
            memory = turns.summary(point["turns"], "peak_memory_mib")[2]
            parameters = point["turns"][0]["parameters"]
            lines.append(f"| {point['value']:,} | {step} | {memory:,.0f} | {parameters:,} |")
        lines += ["", f"The rest: {fixed}.", ""]
    return "\n".join(lines).rstrip()


def plot(stored):
    """Time and memory, a column for each sweep."""
    from alexnet_keras.plots.style import new_figure

    sweeps = {sweep: points for sweep, points in stored["sweeps"].items() if points}
    figure, axes = new_figure(2, len(sweeps), (4.0 * len(sweeps), 5.6), squeeze=False)
    for column, (sweep, points) in enumerate(sweeps.items()):
        values = [point["value"] for point in points]
        steps = [turns.summary(point["turns"], "step_seconds") for point in points]
        ranges = [[m - low for m, low, _ in steps], [high - m for m, _, high in steps]]
        axes[0, column].errorbar(
            values, [m for m, _, _ in steps], yerr=ranges, marker="o", markersize=4, capsize=3
        )
        memory = [turns.summary(point["turns"], "peak_memory_mib")[2] / 1024 for point in points]
        axes[1, column].plot(values, memory, marker="o", markersize=4)
        for axis in axes[:, column]:
            axis.set_ylim(0)
            if sweep == "classes":
                axis.set_xscale("log")
        axes[1, column].set_xlabel(LABELS[sweep])
    axes[0, 0].set_ylabel("training step (s)")
    axes[1, 0].set_ylabel("peak memory (GiB)")
    base = ", ".join(f"{LABELS[name]} {value:,}" for name, value in stored["base"].items())
    figure.suptitle(f"AlexNet on {stored['machine']['processor']}; otherwise {base}")
    return figure


if __name__ == "__main__":
    main()
