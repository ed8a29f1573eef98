"""Time and memory of a training step against batch size, image size and number of classes.

    python -m benchmarks.scaling

The network is the full-size one. Each point is measured in a process of its own, for its own peak
memory. The results are `scaling.json`, `scaling.md` and `scaling.png` in --workdir. Until all
points are measured, the results so far are in `scaling_partial.json`.
"""

from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.networks import TrainingStep, add_backend_option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    parser = _parser()
    options = harness.parse(parser, arguments, tuple(SWEEPS))
    if options.worker:
        return _work(options)
    _check_points(parser, options)
    points = {sweep: [] for sweep in SWEEPS}
    measured = {}
    for sweep in SWEEPS:
        for value in getattr(options, sweep):
            point = {**_BASE, sweep: value}
            key = tuple(point.values())
            if key not in measured:
                measured[key] = _measure(point, options)
            points[sweep].append({"value": value, "rounds": measured[key]})
            stored = harness.record("scaling", options, {"base": _BASE, "sweeps": points})
            harness.store_partial("scaling", options.workdir, stored)
    harness.store("scaling", options.workdir, stored, table(stored), plot(stored))
    return stored


def _parser():
    parser = harness.create_parser("scaling", __doc__, rounds=3)
    for name, values in SWEEPS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            nargs="*",
            type=int,
            default=values,
            help=f"values of the {LABELS[name]}, while the others are "
            f"{_without(_BASE, name)} (default: {' '.join(map(str, values))})",
        )
    add_backend_option(parser)
    return parser


def _check_points(parser, options):
    """Ends the process with an error for no point, or for images too small for the network."""
    if not any(getattr(options, sweep) for sweep in SWEEPS):
        parser.error("--batch-size, --image-size or --classes must have a value. Received: none")
    for size in options.image_size:
        try:
            _training_config(size)
        except ValueError as error:
            parser.error(f"--image-size {size}: {error}")


def _training_config(size):
    from alexnet_keras.training.config import training_config

    return training_config("paper", crop_size=size, image_size=size)


def _measure(point, options):
    name = _joined(point)
    arguments = harness.as_arguments(options, **{key: [value] for key, value in point.items()})
    environments = {name: harness.environment(options.backend)}
    return harness.measure_in_rounds("scaling", environments, arguments, options.rounds)[name][
        "rounds"
    ]


def _work(options):
    from benchmarks.roofline import device_name

    config = _training_config(options.image_size[0])
    step = TrainingStep(config, options.batch_size[0], options.classes[0], options.seconds)
    harness.serve(device_name(), step)


def _joined(point):
    """A point as text."""
    return ", ".join(f"{LABELS[name]} {value:,}" for name, value in point.items())


def _without(point, sweep):
    """A point as text, without the size that a sweep varies."""
    return _joined({name: value for name, value in point.items() if name != sweep})


def table(stored: dict) -> str:
    """Returns the results as Markdown, a table for each sweep."""
    lines = []
    for sweep, points in stored["sweeps"].items():
        if not points:
            continue
        lines += [
            f"| {LABELS[sweep]} | step (s), median (range) | peak memory (MiB) | parameters |",
            "|---|---|---|---|",
        ]
        for point in points:
            step = harness.median_and_range(point["rounds"], "step_seconds", 2)
            memory = harness.summary(point["rounds"], "peak_memory_mib")[2]
            parameters = point["rounds"][0]["parameters"]
            lines.append(f"| {point['value']:,} | {step} | {memory:,.0f} | {parameters:,} |")
        lines += ["", f"The others: {_without(stored['base'], sweep)}.", ""]
    return "\n".join(lines).rstrip()


def plot(stored: dict) -> "Figure":
    """Returns a figure of time and memory, a column for each sweep."""
    from alexnet_keras.plots.style import new_figure

    sweeps = {sweep: points for sweep, points in stored["sweeps"].items() if points}
    figure, axes = new_figure(2, len(sweeps), (4.0 * len(sweeps), 5.6), squeeze=False)
    for column, (sweep, points) in zip(axes.T, sweeps.items(), strict=True):
        _draw_sweep(*column, sweep, points)
    axes[0, 0].set_ylabel("training step (s)")
    axes[1, 0].set_ylabel("peak memory (GiB)")
    processor = stored["machine"]["processor"]
    figure.suptitle(f"AlexNet on {processor}; otherwise {_joined(stored['base'])}")
    return figure


def _draw_sweep(time_axis, memory_axis, sweep, points):
    values = [point["value"] for point in points]
    all_rounds = [point["rounds"] for point in points]
    summaries = [harness.summary(rounds, "step_seconds") for rounds in all_rounds]
    medians, errors = harness.medians_and_errors(summaries)
    time_axis.errorbar(values, medians, yerr=errors, marker="o", markersize=4, capsize=3)
    peaks = [harness.summary(rounds, "peak_memory_mib")[2] / 1024 for rounds in all_rounds]
    memory_axis.plot(values, peaks, marker="o", markersize=4)
    memory_axis.set_xlabel(LABELS[sweep])
    for axis in (time_axis, memory_axis):
        axis.set_ylim(0)
        if sweep == "classes":
            axis.set_xscale("log")


if __name__ == "__main__":
    main()
