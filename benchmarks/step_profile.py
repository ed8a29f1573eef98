"""Where the time of a training step goes: the real network's layers, as TensorFlow's profiler sees them.

    python -m benchmarks.step_profile

A turn is one step under the profiler, with and without normalization, in float32 and under mixed precision. The
operations run one after the other (`TF_NUM_INTEROP_THREADS=1`), each on all cores, so that what they take adds up to
the step. The normalization goes across all maps of a layer, as in the other benchmarks. Writes step_profile.json,
step_profile.md (the tables) and step_profile.png into --workdir; four minutes on two cores.
"""

import re
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import turns

OTHER, UPDATE = "the rest", "update of all weights"
_COMPILED = "CpuExecutable::ExecuteAsyncOnStream"  # XLA's functions, which have no names
_WAYS = {"ours": {}, "ours_without_normalization": {"normalization": False}}
_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_NUM_INTEROP_THREADS": "1"}


def main(arguments=None):
    parser = turns.parser("step_profile", __doc__)
    parser.add_argument("--batch-size", type=int, default=128, help="images (default: 128)")
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=list(turns.PRECISIONS),
        default=list(turns.PRECISIONS),
        help="(both)",
    )
    options = turns.parse(parser, arguments, ("batch_size",))
    if options.work:
        return _work(options)
    groups = []
    for precision in options.precisions:
        measured = turns.take_turns(
            "step_profile",
            dict.fromkeys(_WAYS, _ENVIRONMENT),
            turns.as_arguments(options, precisions=[precision]),
            options.rounds,
        )
        groups.append(
            {"precision": precision, "ways": {way: its["turns"] for way, its in measured.items()}}
        )
    results = {
        "device": measured["ours"]["words"],
        "batch_size": options.batch_size,
        "groups": groups,
    }
    stored = turns.record("step_profile", options, results)
    turns.store("step_profile", options.workdir, stored, table(stored), plot(stored))
    return stored


def _work(options):
    import keras
    import numpy as np
    import tensorflow as tf

    from alexnet_keras import AlexNet, LocalResponseNormalization
    from alexnet_keras.training.config import training_config
    from alexnet_keras.training.train import compile_for_training
    from benchmarks.limits import device_words
    from benchmarks.peers import fitting

    keras.config.set_dtype_policy(turns.PRECISIONS[options.precisions[0]])
    config = training_config(
        "paper", overrides={"normalization_in_towers": False, **_WAYS[options.work]}
    )
    model = AlexNet(config.network)
    compile_for_training(model, config)
    size = options.batch_size
    images = np.random.default_rng(0).normal(0, 60, (size, 224, 224, 3)).astype("float32")
    run = fitting(model, images, (np.arange(size) % 1000).astype("int32"))
    run(2)
    # A normalization is compiled by XLA, forward as one function, backward as two.
    passes = {
        layer.name: (1, 2) if isinstance(layer, LocalResponseNormalization) else (0, 0)
        for layer in model.layers
    }

    def turn():
        with tempfile.TemporaryDirectory() as folder:
            with tf.profiler.experimental.Profile(folder):
                start = time.perf_counter()
                run(1)
                step = time.perf_counter() - start
            (path,) = Path(folder).rglob("*.xplane.pb")
            return {"step": 1000 * step, "layers": by_layer(_operations(path), passes)}

    turns.work(device_words(), turn)


def _operations(path):
    """Name and milliseconds of every operation in a profile, as they began."""
    from jax.profiler import (
        ProfileData,  # TensorFlow writes the same files as JAX, but has no public reader of them
    )

    planes = ProfileData.from_file(str(path)).planes
    events = [event for plane in planes for line in plane.lines for event in line.events]
    return [
        (event.name, event.duration_ns / 1e6)
        for event in sorted(events, key=lambda event: event.start_ns)
    ]


def by_layer(operations, layers):
    """Milliseconds of each layer's operations, forward and backward.

    Args:
        operations: pairs of an operation's name in TensorFlow's graph, `SCOPE/.../NAME:TYPE`, and milliseconds, in the
            order of a step. What has another name is no operation, but for the compiled passes.
        layers: dict from the layers' names, in the network's order, to the numbers of their compiled passes, forward
            and backward. An activation `reluN` counts to `convN`, with which TensorFlow fuses it.

    Returns:
        dict from the layer's name, `UPDATE` or `OTHER` to `[forward, backward]`; the update has no forward part.
    """
    spent = {}
    passes = [(layer, 0) for layer, (count, _) in layers.items() for _ in range(count)]
    passes += [(layer, 1) for layer, (_, count) in reversed(layers.items()) for _ in range(count)]
    count = [name for name, _ in operations].count(_COMPILED)
    if count != len(passes):
        raise ValueError(
            f"`operations` must have {len(passes)} compiled passes, those of `layers`. Received: {count}"
        )
    compiled = iter(passes)
    for name, milliseconds in operations:
        if name == _COMPILED:
            layer, backward = next(compiled)
            spent.setdefault(layer, [0, 0])[backward] += milliseconds
        scope, colon, _ = name.rpartition(":")
        if not colon or "/" not in scope:
            continue
        parts = [re.sub(r"^gradient_(?!tape)|_\d+$", "", part) for part in scope.split("/")]
        found = [part for part in parts if part in layers]
        layer = (
            found[0].replace("relu", "conv")
            if found
            else UPDATE
            if "alexnet_sgd" in parts
            else OTHER
        )
        backward = "gradient_" in scope or layer == UPDATE
        spent.setdefault(layer, [0, 0])[backward] += milliseconds
    return spent


def medians(measured):
    """Layer, median forward and median backward milliseconds of the turns of one way, longest first."""
    turns_of = [turn["layers"] for turn in measured]
    rows = [
        (
            layer,
            *(
                statistics.median(turn.get(layer, [0, 0])[way] for turn in turns_of)
                for way in (0, 1)
            ),
        )
        for layer in {layer: None for turn in turns_of for layer in turn}
    ]
    return sorted(rows, key=lambda row: -row[1] - row[2])


def table(stored):
    """The figures as text."""
    lines = []
    for group in stored["groups"]:
        ours, without = group["ways"].values()
        rows, bare = medians(ours), {layer: sum(parts) for layer, *parts in medians(without)}
        total, bare_total = (
            sum(forward + backward for _, forward, backward in rows),
            sum(bare.values()),
        )
        lines += [
            f"A training step of {stored['batch_size']} images, {group['precision']}: "
            f"{turns.in_words(ours, 'step', 0)} ms under the profiler, its operations together {total:,.0f} ms; "
            f"without normalization {turns.in_words(without, 'step', 0)} and {bare_total:,.0f}. Milliseconds, "
            f"medians of {len(ours)} turns:\n",
            "| | forward | backward | share | both, without normalization |",
            "|---|---|---|---|---|",
        ]
        for layer, forward, backward in rows:
            share = 100 * (forward + backward) / total
            other = f"{bare[layer]:,.1f}" if layer in bare else ""
            lines.append(f"| {layer} | {forward:,.1f} | {backward:,.1f} | {share:.1f}% | {other} |")
        lines.append("")
    return "\n".join(lines[:-1])


def plot(stored):
    """A bar for each layer, its backward part on top of the forward; a panel for each precision."""
    from alexnet_keras.plots.style import new_figure

    groups = stored["groups"]
    figure, axes = new_figure(len(groups), size=(11, 4.2 * len(groups)), squeeze=False)
    for axis, group in zip(axes[:, 0], groups, strict=True):
        names, forward, backward = zip(*medians(group["ways"]["ours"]), strict=True)
        axis.bar(names, forward, color="C0", label="forward")
        axis.bar(names, backward, bottom=forward, color="0.75", label="backward and update")
        axis.set_xticks(
            range(len(names)), [name.replace(" of all ", "\nof all ") for name in names]
        )
        axis.set_ylabel("time of the operations (ms)")
        axis.set_title(group["precision"], loc="left")
        axis.legend(frameon=False)
    figure.suptitle(
        f"A training step of AlexNet, batch {stored['batch_size']}, {turns.machine_words(stored)}"
    )
    return figure


if __name__ == "__main__":
    main()
