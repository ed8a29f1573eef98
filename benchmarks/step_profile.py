"""Time of each layer in a training step, by TensorFlow's profiler.

    python -m benchmarks.step_profile

A small network:

    python -m benchmarks.step_profile --network four_layer --classes 10 --precisions float32 \\
      --workdir results/benchmarks/four_layer

A round profiles one step with and without normalization, in float32 and in mixed precision. The
operations run one after another (`TF_NUM_INTEROP_THREADS=1`), each on all cores. So their times add
up to the step, but for the time between operations, which counts in a small network. The
normalization of the full-size network crosses the towers, as in the other benchmarks. Other
networks are presets as they are. JAX is needed too, as it reads the profiles:
`pip install 'alexnet_keras[jax]'`.

The results are `step_profile.json`, `step_profile.md` and `step_profile.png` in --workdir.
"""

import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.training_steps import FULL_SIZE, training_setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER = "other operations"
UPDATE = "update of all weights"
_COMPILED = "CpuExecutable::ExecuteAsyncOnStream"  # functions of XLA, which have no names
_WHOLE = "alexnet_keras"
_WITHOUT = "alexnet_keras_without_normalization"
_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_NUM_INTEROP_THREADS": "1"}


def main(arguments=None):
    parser = harness.create_parser("step_profile", __doc__, takes_seconds=False)
    parser.add_argument(
        "--batch-size", type=int, default=128, help="images in a step (default: 128)"
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=list(harness.PRECISIONS),
        default=list(harness.PRECISIONS),
        help="precisions to measure (default: both)",
    )
    parser.add_argument(
        "--network",
        default=FULL_SIZE,
        metavar="PRESET",
        help=f"preset of the network (default: {FULL_SIZE}, the full-size network)",
    )
    parser.add_argument(
        "--classes", type=int, default=1000, help="number of classes (default: 1000)"
    )
    options = harness.parse(parser, arguments, ("batch_size", "classes"))
    if options.worker:
        return _work(options)
    names = _implementations(parser, options.network)
    harness.check_installed(parser, {"step_profile": "tensorflow", "reading a profile": "jax"})
    groups = []
    for precision in options.precisions:
        measured = harness.measure_in_rounds(
            "step_profile",
            dict.fromkeys(names, _ENVIRONMENT),
            harness.as_arguments(options, precisions=[precision]),
            options.rounds,
        )
        rounds = {name: result["rounds"] for name, result in measured.items()}
        groups.append({"precision": precision, "implementations": rounds})
    results = {
        "device": measured[_WHOLE]["description"],
        "network": options.network,
        "batch_size": options.batch_size,
        "groups": groups,
    }
    stored = harness.record("step_profile", options, results)
    harness.store("step_profile", options.workdir, stored, table(stored), plot(stored))
    return stored


def _implementations(parser, network):
    """Names of the profiled networks: with normalization if it has one, and without."""
    from alexnet_keras.models.alexnet_config import PRESETS

    harness.check_alexnet_presets(parser, "--network", [network])
    return [_WHOLE, _WITHOUT] if PRESETS[network].normalization else [_WHOLE]


def _work(options):
    """Profiles steps with or without normalization in a process."""
    import keras

    from alexnet_keras import AlexNet
    from alexnet_keras.training.train import compile_for_training
    from benchmarks.roofline import device_name

    config = training_setting(
        options.network, options.precisions[0], normalization=options.worker != _WITHOUT
    )
    keras.config.set_dtype_policy(config.precision)
    model = AlexNet(config.network, classes=options.classes)
    compile_for_training(model, config)
    harness.serve(device_name(), ProfiledStep(model, options.batch_size))


class ProfiledStep:
    """Profiles training steps of a compiled model.

    Args:
        model: an `AlexNet`.
        batch_size: images in a step.
    """

    def __init__(self, model, batch_size: int):
        import numpy as np

        from alexnet_keras import LocalResponseNormalization, SpatialResponseNormalization
        from benchmarks.other_libraries import KerasTraining, repeated_batch

        shape = (batch_size, *model.input_shape[1:])
        images = np.random.default_rng(0).normal(0, 60, shape).astype("float32")
        labels = (np.arange(batch_size) % model.output_shape[-1]).astype("int32")
        self._run = KerasTraining(model, repeated_batch(images, labels))
        self._run(2)
        # XLA compiles a normalization, forward as one function, backward as two.
        self._passes = {layer.name: (0, 0) for layer in model.layers}
        for layer in model.layers:
            if isinstance(layer, (LocalResponseNormalization, SpatialResponseNormalization)):
                self._passes[layer.name] = (1, 2)

    def __call__(self) -> dict:
        import tensorflow as tf

        with tempfile.TemporaryDirectory() as folder:
            with tf.profiler.experimental.Profile(folder):
                start = time.perf_counter()
                self._run(1)
                seconds = time.perf_counter() - start
            (path,) = Path(folder).rglob("*.xplane.pb")
            return {"step": 1000 * seconds, "layers": by_layer(_operations(path), self._passes)}


def _operations(path):
    """Name and milliseconds of every operation in a profile, in the order of their start."""
    # TensorFlow writes the same files as JAX, but has no public reader for them.
    from jax.profiler import ProfileData

    events = []
    for plane in ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            events += line.events
    events.sort(key=lambda event: event.start_ns)
    return [(event.name, event.duration_ns / 1e6) for event in events]


def by_layer(
    operations: list[tuple[str, float]], layers: dict[str, tuple[int, int]]
) -> dict[str, list[float]]:
    """Returns the milliseconds of each layer's operations, forward and backward.

    Args:
        operations: names in TensorFlow's graph, `SCOPE/.../NAME:TYPE`, and milliseconds, in the
            order of a step. Events with other names are ignored, except the compiled passes.
        layers: dict from the layers' names, in the network's order, to the numbers of their
            compiled passes, forward and backward. An activation `reluN` counts to `convN` or
            `localN`, as TensorFlow fuses the two.

    Returns:
        dict from a layer's name, `UPDATE` or `OTHER` to `[forward, backward]`. The update is
        backward.

    Raises:
        ValueError: if `layers` has another number of compiled passes.
    """
    spent = {}
    compiled = iter(_compiled_passes(operations, layers))
    for name, milliseconds in operations:
        if name == _COMPILED:
            layer, direction = next(compiled)
        elif _is_operation(name):
            layer, direction = _layer_and_direction(name, layers)
        else:
            continue
        spent.setdefault(layer, [0, 0])[direction] += milliseconds
    return spent


def _compiled_passes(operations, layers):
    """Layer and direction of each compiled pass, in the order of a step."""
    passes = []
    for layer, (forward, _) in layers.items():
        passes += [(layer, 0)] * forward
    for layer, (_, backward) in reversed(layers.items()):
        passes += [(layer, 1)] * backward
    count = sum(name == _COMPILED for name, _ in operations)
    if count != len(passes):
        raise ValueError(
            f"`operations` must have {len(passes)} compiled passes, as many as `layers`. "
            f"Received: {count}"
        )
    return passes


def _is_operation(name):
    scope, colon, _ = name.rpartition(":")
    return bool(colon) and "/" in scope


def _layer_and_direction(name, layers):
    """Layer of an operation with a name in TensorFlow's graph; 0 for forward, 1 for backward."""
    scope = name.rpartition(":")[0]
    parts = [re.sub(r"^gradient_(?!tape)|_\d+$", "", part) for part in scope.split("/")]
    direction = int("gradient_" in scope)
    for part in parts:
        if part in layers:
            return _before_activation(part, layers), direction
    if "alexnet_sgd" in parts:
        return UPDATE, 1
    return OTHER, direction


def _before_activation(part, layers):
    """Returns the layer whose activation `reluN` is, or the layer itself."""
    for kind in ("conv", "local"):
        layer = part.replace("relu", kind)
        if layer in layers:
            return layer
    return part


def medians(rounds: list[dict]) -> list[tuple[str, float, float]]:
    """Returns each layer with its median forward and backward milliseconds, longest first."""
    of_rounds = [measured["layers"] for measured in rounds]
    layers = {}
    for spent in of_rounds:
        layers |= dict.fromkeys(spent)
    rows = []
    for layer in layers:
        forward = statistics.median(spent.get(layer, (0, 0))[0] for spent in of_rounds)
        backward = statistics.median(spent.get(layer, (0, 0))[1] for spent in of_rounds)
        rows.append((layer, forward, backward))
    return sorted(rows, key=lambda row: -row[1] - row[2])


def table(stored: dict) -> str:
    """Returns the results as Markdown, a table for each precision."""
    tables = [_table_of_group(group, stored["batch_size"]) for group in stored["groups"]]
    return "\n\n".join(tables)


def _table_of_group(group, batch_size):
    rounds = group["implementations"]
    rows = medians(rounds[_WHOLE])
    total = sum(forward + backward for _, forward, backward in rows)
    caption = (
        f"A training step of {batch_size} images, {group['precision']}: "
        f"{harness.median_and_range(rounds[_WHOLE], 'step', 0)} ms under the profiler, all "
        f"operations {total:,.0f} ms."
    )
    header = "| | forward | backward | share |"
    line = "|---|---|---|---|"
    without = {}
    if _WITHOUT in rounds:
        for layer, forward, backward in medians(rounds[_WITHOUT]):
            without[layer] = forward + backward
        caption += (
            f" Without normalization: {harness.median_and_range(rounds[_WITHOUT], 'step', 0)} ms "
            f"and {sum(without.values()):,.0f} ms."
        )
        header += " both, without normalization |"
        line += "---|"
    lines = [f"{caption} Milliseconds, medians of {len(rounds[_WHOLE])} rounds:\n", header, line]
    for layer, forward, backward in rows:
        share = 100 * (forward + backward) / total
        row = f"| {layer} | {forward:,.1f} | {backward:,.1f} | {share:.1f}% |"
        if _WITHOUT in rounds:
            other = f"{without[layer]:,.1f}" if layer in without else ""
            row += f" {other} |"
        lines.append(row)
    return "\n".join(lines)


def plot(stored: dict) -> "Figure":
    """Returns a figure with a bar for each layer, a panel for each precision."""
    from alexnet_keras.plots.style import new_figure

    groups = stored["groups"]
    figure, axes = new_figure(len(groups), size=(11, 4.2 * len(groups)), squeeze=False)
    for axis, group in zip(axes[:, 0], groups, strict=True):
        rows = medians(group["implementations"][_WHOLE])
        names, forward, backward = zip(*rows, strict=True)
        axis.bar(names, forward, color="C0", label="forward")
        axis.bar(names, backward, bottom=forward, color="0.75", label="backward and update")
        labels = [
            name.replace(" of all ", "\nof all ").replace("other ", "other\n") for name in names
        ]
        axis.set_xticks(range(len(names)), labels)
        axis.set_ylabel("time of the operations (ms)")
        axis.set_title(group["precision"], loc="left")
        axis.legend(loc="best", frameon=False)
    machine = harness.machine_name(stored)
    network = stored.get("network", FULL_SIZE)
    name = "AlexNet" if network == FULL_SIZE else network
    figure.suptitle(f"A training step of {name}, batch {stored['batch_size']}, {machine}")
    return figure


if __name__ == "__main__":
    main()
