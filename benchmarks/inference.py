"""Latency, throughput and memory of predictions, beside other runtimes.

    python -m benchmarks.inference

All implementations classify the same images, which are prepared and in memory, and give the same
probabilities. Subtracting the mean, the center crop and the softmax are part of each call. The
networks have random weights, and normalization across the towers. ONNX Runtime, OpenVINO and LiteRT
run files that alexnet_keras has exported, without Keras. Ten crops and the dense evaluation average
over more views. Each implementation runs in a process of its own, and the processes take turns.

The 99th percentile is over the calls of all rounds. The memory is the peak of the process, with its
libraries. The start-up is the duration of a new process up to its first prediction. TensorFlow and
Keras also import JAX and Matplotlib where they are installed. So the start-up of the classifier is
measured as if only alexnet_keras[tensorflow] were installed, and with all that is installed.

The other runtimes are only needed to compare with them:
`pip install 'alexnet_keras[export,torch]' openvino`. While a process waits, it keeps its memory.
--at-once limits the number of processes.

The results are `inference.json`, `inference.md` and `inference.png` in --workdir. Until everything
is measured, the results so far are in `inference_partial.json`.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness, runtimes
from benchmarks.harness import Implementation
from benchmarks.installed import modules_besides

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

# The first library of each process, and the implementation's name.
IMPLEMENTATIONS = {
    "classifier": Implementation("tensorflow", "Classifier.predict"),
    "compiled_model": Implementation("tensorflow", "CompiledModel(classifier.model)"),
    "model_call": Implementation("tensorflow", "classifier.model(x)"),
    "model_predict": Implementation("tensorflow", "classifier.model.predict"),
    "pytorch": Implementation("torch", "PyTorch, eager"),
    "pytorch_compile": Implementation("torch", "PyTorch, torch.compile"),
    "onnxruntime": Implementation("onnxruntime", "ONNX Runtime"),
    "openvino": Implementation("openvino", "OpenVINO"),
    "litert": Implementation("ai_edge_litert", "LiteRT, float16 weights"),
    "litert_int8": Implementation("ai_edge_litert", "LiteRT, int8 weights"),
    "classifier_ten_crop": Implementation("tensorflow", "Classifier.predict, ten crops"),
    "classifier_dense": Implementation("tensorflow", "Classifier.predict, dense"),
}
_WRITER = "files"  # the worker that writes the files of the others
_VIEWS = ("classifier_ten_crop", "classifier_dense")
# That compute with the weights of the network, not with rounded ones of 8 bits.
_RUNTIMES = ("onnxruntime", "openvino", "litert")
_ALL = "_all_installed"
_STARTS = {
    "classifier": "Classifier.predict, alexnet_keras[tensorflow]",
    f"classifier{_ALL}": "Classifier.predict, all that is installed",
    **{name: IMPLEMENTATIONS[name].label for name in runtimes.RUNTIMES},
}
_DISTRIBUTIONS = {
    **dict.fromkeys(("onnxruntime", "tf2onnx", "ai_edge_litert"), "alexnet_keras[export]"),
    "openvino": "openvino",
}
_START_CLASSIFIER = """
import sys
name, folder, *hidden = sys.argv[1:]
for module in hidden:
    sys.modules.setdefault(module)  # None, so that its import fails
import numpy as np
from alexnet_keras import Classifier
image = np.load(f"{folder}/images.npy", mmap_mode="r")[0]
Classifier.load(f"{folder}/classifier.keras").predict(image)
"""
_START_RUNTIME = """
import sys
import numpy as np
from benchmarks import runtimes
name, folder = sys.argv[1:]
images = np.load(f"{folder}/images.npy", mmap_mode="r")[:1]
runtimes.load(name, folder, 1)(images)
"""


def main(arguments=None):
    parser = _parser()
    libraries = {name: each.backend for name, each in IMPLEMENTATIONS.items()}
    options = harness.parse(parser, arguments, ("batch_sizes", "classes"), libraries)
    if options.worker:
        return _work(options)
    _check(parser, options)
    groups = []
    start_up = {}
    for network in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            words = harness.as_arguments(options, networks=[network], files=folder)
            harness.run_worker("inference", _WRITER, words, harness.environment("tensorflow"))
            start_up[network] = _measure_start_up(options, folder)
            for batch_size in options.batch_sizes:
                groups.append(_measure_group(options, network, batch_size, folder))
                stored = _record(options, groups, start_up)
                harness.store_partial("inference", options.workdir, stored)
    harness.store("inference", options.workdir, stored, table(stored), plot(stored))
    return stored


def _parser():
    parser = harness.create_parser("inference", __doc__)
    parser.add_argument(
        "--networks",
        nargs="+",
        default=["paper", "small"],
        metavar="PRESET",
        help="presets of the networks (default: paper small)",
    )
    parser.add_argument(
        "--batch-sizes",
        nargs="+",
        type=int,
        default=[1, 8, 128],
        help="images in a call (default: 1 8 128)",
    )
    parser.add_argument(
        "--implementations",
        nargs="+",
        choices=list(IMPLEMENTATIONS),
        default=list(IMPLEMENTATIONS),
        metavar="NAME",
        help=f"implementations to measure, of {', '.join(IMPLEMENTATIONS)} (default: all)",
    )
    parser.add_argument(
        "--classes", type=int, default=1000, help="number of classes (default: 1000)"
    )
    parser.add_argument(
        "--at-once",
        type=int,
        metavar="N",
        help="maximum number of processes at the same time (default: all)",
    )
    parser.add_argument("--files", help=argparse.SUPPRESS)
    return parser


def _check(parser, options):
    """Ends the process with an error for unknown networks and missing packages."""
    from alexnet_keras.models.alexnet_config import PRESETS

    harness.check_alexnet_presets(parser, "--networks", options.networks)
    local = [name for name in options.networks if PRESETS[name].local_layers]
    if local:
        parser.error(
            "--networks must have no locally connected layers, which the dense views and the "
            f"network in PyTorch can't have. Received: {', '.join(local)}"
        )
    if options.at_once is not None and options.at_once < 1:
        parser.error(f"--at-once must be at least 1. Received: {options.at_once}")
    needs = {name: IMPLEMENTATIONS[name].backend for name in options.implementations}
    needs["the export of the network"] = "tensorflow"
    if {"onnxruntime", "openvino"} & set(options.implementations):
        needs |= {"the export to ONNX": "tf2onnx", "the check of the ONNX file": "onnxruntime"}
    harness.check_installed(parser, needs, _DISTRIBUTIONS)


def _measure_start_up(options, folder):
    """Returns the seconds of each round by implementation."""
    from tqdm import tqdm

    names = [name for name in _STARTS if name.removesuffix(_ALL) in options.implementations]
    hidden = modules_besides("alexnet_keras", "tensorflow")
    for name in names:
        _seconds_of_start_up(name, folder, hidden)  # not measured; the files are in memory then
    seconds = {name: [] for name in names}
    for _ in tqdm(range(options.rounds), desc="Rounds of the start-up"):
        for name in names:
            seconds[name].append(_seconds_of_start_up(name, folder, hidden))
    return seconds


def _seconds_of_start_up(name, folder, hidden):
    code = _START_RUNTIME if name in runtimes.RUNTIMES else _START_CLASSIFIER
    hidden = hidden if name == "classifier" else []
    variables = {**harness.environment("tensorflow"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return harness.seconds_to_run(code, name, folder, *hidden, env={**os.environ, **variables})


def _measure_group(options, network, batch_size, folder):
    """Measures all implementations with one network and batch size."""
    environments = {name: _environment(name) for name in options.implementations}
    words = harness.as_arguments(
        options, networks=[network], batch_sizes=[batch_size], files=folder
    )
    measured = harness.measure_in_rounds(
        "inference", environments, words, options.rounds, at_once=options.at_once
    )
    figures = {name: _pooled(result, batch_size) for name, result in measured.items()}
    return {"network": network, "batch_size": batch_size, "implementations": figures}


def _environment(name):
    backend = IMPLEMENTATIONS[name].backend
    return harness.environment("torch" if backend == "torch" else "tensorflow")


def _pooled(result, batch_size):
    """Returns the figures of an implementation, without the single latencies."""
    import numpy as np

    calls = [figures["latencies_ms"] for figures in result["rounds"]]
    pooled = np.concatenate(calls)
    return {
        "description": result["description"],
        "calls": len(pooled),
        "latency_ms": float(np.median(pooled)),
        "latency_ms_p99": float(np.percentile(pooled, 99)),
        "peak_memory_mib": max(figures["peak_memory_mib"] for figures in result["rounds"]),
        "rounds": [
            {
                "latency_ms": statistics.median(latencies),
                "images_per_second": 1000 * batch_size * len(latencies) / sum(latencies),
            }
            for latencies in calls
        ],
    }


def _record(options, groups, start_up):
    modules = {IMPLEMENTATIONS[name].backend for name in options.implementations}
    results = {"classes": options.classes, "start_up_seconds": start_up, "groups": groups}
    return harness.record("inference", options, results, modules)


def _work(options):
    """Writes the files, or measures one implementation, in a process of its own."""
    import numpy as np

    from benchmarks import predictors

    name = options.worker
    (network,) = options.networks
    if name == _WRITER:
        count = max(options.batch_sizes)
        predictors.write_files(
            network, options.classes, options.files, options.implementations, count
        )
        return harness.serve(_WRITER, dict)
    batch_size = options.batch_sizes[0]
    images = np.load(Path(options.files) / "images.npy", mmap_mode="r")[:batch_size].copy()
    predict = predictors.load(name, network, options.classes, options.files, batch_size)
    predictors.check_probabilities(name, predict(images), options.files)
    harness.serve(IMPLEMENTATIONS[name].label, Latencies(predict, images, options.seconds))


class Latencies:
    """Measures the duration of each call in milliseconds, and the peak memory of the process.

    Args:
        predict: function of the images.
        images: its argument.
        seconds: approximate duration of a measurement, which has at least one call.
    """

    def __init__(self, predict: Callable, images: "np.ndarray", seconds: float):
        self._predict = predict
        self._images = images
        self._seconds = seconds
        predict(images)  # torch.compile records its graphs in the second call

    def __call__(self) -> dict:
        self._predict(self._images)  # caches are cold after a wait
        latencies = []
        passed = 0.0
        while not latencies or passed < self._seconds:
            start = time.perf_counter()
            self._predict(self._images)
            seconds = time.perf_counter() - start
            latencies.append(1000 * seconds)
            passed += seconds
        return {"latencies_ms": latencies, "peak_memory_mib": harness.peak_memory_mib()}


def table(stored: dict) -> str:
    """Returns the results as Markdown: each network and batch size, then the start-up."""
    lines = []
    for group in stored["groups"]:
        lines += [*_table_of_group(group), "", *_comparisons(group), ""]
    return "\n".join([*lines, *_table_of_start_up(stored["start_up_seconds"])])


def _table_of_group(group):
    rounds = len(next(iter(group["implementations"].values()))["rounds"])
    lines = [
        f"{group['network']}, {_images(group['batch_size'])} in a call, rounds: {rounds}\n",
        "| | latency (ms), median | 99th percentile | images/s, median (range) | "
        "peak memory (MiB) |",
        "|---|---|---|---|---|",
    ]
    for name, figures in group["implementations"].items():
        cells = [
            IMPLEMENTATIONS[name].label,
            f"{figures['latency_ms']:,.2f}",
            f"{figures['latency_ms_p99']:,.2f}",
            harness.median_and_range(figures["rounds"], "images_per_second"),
            f"{figures['peak_memory_mib']:,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _images(count):
    return "1 image" if count == 1 else f"{count} images"


def _comparisons(group):
    """Lines about the classifier beside the others, as far as they are measured."""
    latencies = {name: each["latency_ms"] for name, each in group["implementations"].items()}
    own = latencies.get("classifier")
    if own is None:
        return []
    lines = []
    for label, names in (
        ("the fastest runtime", _RUNTIMES),
        ("PyTorch at its best", ("pytorch", "pytorch_compile")),
    ):
        others = {name: latencies[name] for name in names if name in latencies}
        if others:
            fastest = min(others, key=others.get)
            lines.append(
                f"- Classifier.predict takes {own / others[fastest]:.2f} times the latency of "
                f"{label}, {IMPLEMENTATIONS[fastest].label}."
            )
    for name in _VIEWS:
        if name in latencies:
            views = IMPLEMENTATIONS[name].label.rpartition(", ")[2].capitalize()
            lines.append(f"- {views}: {latencies[name] / own:.2f} times the center crop's time.")
    return lines


def _table_of_start_up(start_up):
    names = next(iter(start_up.values()))
    if not names:
        return []
    lines = [
        "Start-up of a new process to its first prediction, seconds, median (range):\n",
        f"| | {' | '.join(start_up)} |",
        f"|---|{'---|' * len(start_up)}",
    ]
    for name in names:
        cells = [_STARTS[name]]
        for seconds in start_up.values():
            rounds = [{"seconds": each} for each in seconds[name]]
            cells.append(harness.median_and_range(rounds, "seconds", 2))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def plot(stored: dict) -> "Figure":
    """Returns a figure of the latencies, a panel for each network and batch size."""
    from alexnet_keras.plots.style import new_figure

    groups = stored["groups"]
    count = len(groups[0]["implementations"])
    size = (8, 0.8 + len(groups) * (0.8 + 0.28 * count))
    figure, axes = new_figure(len(groups), 1, size, squeeze=False)
    for axis, group in zip(axes[:, 0], groups, strict=True):
        _draw_group(axis, group)
    axes[-1, 0].set_xlabel("latency in ms (bar: median; whisker: 99th percentile)")
    figure.suptitle(f"Predictions on {harness.machine_name(stored)}", x=0.02, ha="left")
    return figure


def _draw_group(axis, group):
    """Draws the implementations of the center crop, the first one at the top."""
    measured = group["implementations"]
    names = [name for name in reversed(measured) if name not in _VIEWS] or list(measured)
    labels = [IMPLEMENTATIONS[name].label for name in names]
    medians = [measured[name]["latency_ms"] for name in names]
    above = [measured[name]["latency_ms_p99"] - measured[name]["latency_ms"] for name in names]
    colors = ["C0" if IMPLEMENTATIONS[name].backend == "tensorflow" else "0.65" for name in names]
    errors = [[0] * len(names), above]
    axis.barh(labels, medians, xerr=errors, color=colors, error_kw={"capsize": 3})
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "bbox": box}
    ends = [median + more for median, more in zip(medians, above, strict=True)]
    for number, (median, end) in enumerate(zip(medians, ends, strict=True)):
        axis.annotate(f"{median:,.2f}", (end, number), **place)
    axis.set_title(f"{group['network']}, {_images(group['batch_size'])} in a call", loc="left")
    axis.set_xlim(0, 1.2 * max(ends))
    axis.xaxis.set_major_formatter("{x:,.4g}")
    axis.grid(False, axis="y")


if __name__ == "__main__":
    main()
