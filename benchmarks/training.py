"""Training and inference throughput of the full-size network, beside other libraries.

    python -m benchmarks.training

On a GPU without TensorFlow:

    KERAS_BACKEND=jax python -m benchmarks.training --limit-backend jax --precisions bfloat16 \\
        --batch-sizes 128 512 2048 --implementations alexnet_keras_jax \\
        alexnet_keras_jax_in_memory pytorch pytorch_compile

All implementations have the paper's network with 60,965,224 parameters, normalization across the
towers, and the paper's update rule. Each trains in a process of its own, on one batch that is in
memory. The processes take turns.

The limit is the rate of a 4096-cube matrix product in the same rounds. The memory bandwidth is
measured as well. The operations of an image are counted by the network's definition. Winograd's
method, by which alexnet_keras trains on a CPU, needs fewer, and can exceed the limit.

Two implementations are for GPUs. `alexnet_keras_jax_in_memory` trains from arrays in the GPU's
memory, `alexnet_keras_jax_pipeline` from the JPEGs of --dataset, which TensorFlow reads. Both crop,
mirror and add color noise.

PyTorch is only needed to compare with it: `pip install 'alexnet_keras[torch]'`. While a process
waits, it keeps its memory. --at-once limits the number of processes. One of them measures the
limit, which each group of processes measures again.

The results are `training.json`, `training.md` and `training.png` in --workdir.
"""

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.harness import Implementation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMPLEMENTATIONS = {
    "alexnet_keras": Implementation("tensorflow", "alexnet_keras, TensorFlow"),
    "alexnet_keras_without_normalization": Implementation(
        "tensorflow", "alexnet_keras without normalization"
    ),
    "pytorch": Implementation("torch", "PyTorch, eager"),
    "pytorch_compile": Implementation("torch", "PyTorch, torch.compile"),
    "tensorflow_split": Implementation("tensorflow", "TensorFlow, one convolution per group"),
    "tensorflow": Implementation("tensorflow", "TensorFlow, native groups"),
    "keras": Implementation("tensorflow", "Keras, Conv2D(groups=2)"),
    "alexnet_keras_jax": Implementation("jax", "alexnet_keras, JAX"),
    "alexnet_keras_jax_in_memory": Implementation(
        "jax", "alexnet_keras, JAX, augmented on the GPU"
    ),
    "alexnet_keras_jax_pipeline": Implementation("jax", "alexnet_keras, JAX, from JPEGs"),
}
_FOR_GPUS = ("alexnet_keras_jax_in_memory", "alexnet_keras_jax_pipeline")
_DEFAULTS = [name for name in IMPLEMENTATIONS if name not in _FOR_GPUS]
_FIGURES = ("training", "inference")


def main(arguments=None):
    parser = _parser()
    options = harness.parse(parser, arguments, ("batch_sizes", "classes"))
    if options.at_once is not None and options.at_once < 2:
        parser.error(
            "--at-once must be at least 2, as one process measures the limit. "
            f"Received: {options.at_once}"
        )
    if options.worker:
        return _work(options)
    _check_installed(parser, options)
    groups = []
    for precision in options.precisions:
        for batch_size in options.batch_sizes:
            measured = _measure_group(options, precision, batch_size)
            groups.append(
                {"precision": precision, "batch_size": batch_size, "implementations": measured}
            )
            stored = harness.record("training", options, _results(groups))
            harness.store("training", options.workdir, stored, table(stored), plot(stored))
    return stored


def _parser():
    parser = harness.create_parser("training", __doc__)
    parser.add_argument(
        "--batch-sizes",
        nargs="+",
        type=int,
        default=[128, 32],
        help="images in a step (default: 128 32)",
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=list(harness.PRECISIONS),
        default=list(harness.PRECISIONS),
        help="precisions to measure (default: both)",
    )
    parser.add_argument(
        "--implementations",
        nargs="+",
        choices=list(IMPLEMENTATIONS),
        default=_DEFAULTS,
        help=f"implementations to measure (default: {' '.join(_DEFAULTS)})",
    )
    _add_run_options(parser)
    return parser


def _add_run_options(parser):
    parser.add_argument(
        "--classes", type=int, default=1000, help="number of classes (default: 1000)"
    )
    parser.add_argument(
        "--limit-backend",
        choices=("tensorflow", "jax"),
        default="tensorflow",
        help="backend that measures the limit, besides PyTorch if installed (default: tensorflow)",
    )
    parser.add_argument(
        "--dataset",
        default="imagenette/320px-v2",
        help="TFDS name or folder of JPEGs for alexnet_keras_jax_pipeline "
        "(default: imagenette/320px-v2)",
    )
    parser.add_argument(
        "--at-once",
        type=int,
        metavar="N",
        help="maximum number of processes at the same time, 2 or more (default: all)",
    )
    parser.add_argument(
        "--trace",
        metavar="FOLDER",
        help="folder for a profile of each implementation, for TensorBoard or Perfetto",
    )


def _check_installed(parser, options):
    needs = {name: IMPLEMENTATIONS[name].backend for name in options.implementations}
    if "alexnet_keras_jax_pipeline" in needs:
        needs["the input pipeline of alexnet_keras_jax_pipeline"] = "tensorflow"
    needs[f"--limit-backend {options.limit_backend}"] = options.limit_backend
    harness.check_installed(parser, needs)


def _measure_group(options, precision, batch_size):
    """Measures all implementations at one precision and batch size."""
    environments = {
        name: harness.environment(IMPLEMENTATIONS[name].backend) for name in options.implementations
    }
    environments["limit"] = harness.environment(options.limit_backend)
    arguments = harness.as_arguments(options, batch_sizes=[batch_size], precisions=[precision])
    return harness.measure_in_rounds(
        "training",
        environments,
        arguments,
        options.rounds,
        at_once=options.at_once,
        always=("limit",),
    )


def _results(groups):
    limit = groups[-1]["implementations"]["limit"]
    figures = limit["rounds"][0]
    return {
        "device": limit["description"],
        "flops_per_image": {f"{name}_flops": figures[f"{name}_flops"] for name in _FIGURES},
        "groups": groups,
    }


def _work(options):
    """Measures one implementation, or the limit, in its process."""
    import numpy as np

    name = options.worker
    precision = options.precisions[0]
    batch_size = options.batch_sizes[0]
    if name == "limit":
        return _measure_limit(precision, options)
    random = np.random.default_rng(0)
    images = random.normal(0, 60, (min(batch_size, 128), 224, 224, 3)).astype("float32")
    images = np.resize(images, (batch_size, *images.shape[1:]))  # a large batch repeats them
    labels = random.integers(0, options.classes, batch_size).astype("int32")
    training, inference, description = _build(name, precision, images, labels, options)
    if options.trace:
        training(2)  # warms up
        with _profile(name, f"{options.trace}/{name}_{precision}_{batch_size}"):
            training(3)
    # The pipeline has prepared batches during its wait.
    warm_up_steps = 8 if name == "alexnet_keras_jax_pipeline" else 1
    rates = {"training": harness.Rate(training, options.seconds, warm_up_steps=warm_up_steps)}
    if inference:
        rates["inference"] = harness.Rate(inference, options.seconds / 2)
    harness.serve(
        description, lambda: {figure: batch_size * rate() for figure, rate in rates.items()}
    )


def _measure_limit(precision, options):
    from alexnet_keras import AlexNet
    from benchmarks import roofline

    limits = roofline.MachineLimits(precision, options.seconds)
    model = AlexNet(classes=options.classes)
    flops = {
        "training_flops": roofline.training_flops(model),
        "inference_flops": roofline.inference_flops(model),
    }
    harness.serve(roofline.device_name(), lambda: {**limits(), **flops})


def _profile(name, folder):
    """A context in which an implementation's library profiles into a folder."""
    backend = IMPLEMENTATIONS[name].backend
    if backend == "jax":
        import jax

        return jax.profiler.trace(folder)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.profiler.experimental.Profile(folder)
    from torch import profiler

    return profiler.profile(on_trace_ready=profiler.tensorboard_trace_handler(folder))


def _build(name, precision, images, labels, options):
    """Builds an implementation.

    Returns:
        Training and inference, functions of a number of steps, and a description. Inference is
        `None` if another implementation measures it.
    """
    from benchmarks import other_libraries

    if name.startswith("alexnet_keras"):
        return _build_alexnet_keras(name, precision, images, labels, options)
    build = {
        "keras": other_libraries.KerasAlexNet,
        "tensorflow": other_libraries.TensorFlowAlexNet,
        "tensorflow_split": functools.partial(other_libraries.TensorFlowAlexNet, split=True),
        "pytorch": other_libraries.PyTorchAlexNet,
        "pytorch_compile": functools.partial(other_libraries.PyTorchAlexNet, compiled=True),
    }[name]
    network = build(options.classes, precision)
    description = IMPLEMENTATIONS[name].label
    if hasattr(network, "device"):
        description += f", {network.device}"
    return network.training(images, labels), network.inference(images), description


def _build_alexnet_keras(name, precision, images, labels, options):
    import keras

    from alexnet_keras import AlexNet
    from alexnet_keras.training.config import training_config
    from alexnet_keras.training.train import compile_for_training
    from benchmarks.other_libraries import KerasInference, KerasTraining, repeated_batch
    from benchmarks.roofline import device_name

    keras.config.set_dtype_policy(harness.PRECISIONS[precision])
    overrides = {
        "normalization_in_towers": False,
        "normalization": name != "alexnet_keras_without_normalization",
    }
    config = training_config("paper", overrides=overrides, precision=harness.PRECISIONS[precision])
    model = AlexNet(config.network, classes=options.classes)
    compile_for_training(model, config)
    inference = None  # `alexnet_keras_jax` measures it
    if name == "alexnet_keras_jax_in_memory":
        training = _training_in_memory(model, len(images), options.classes)
    elif name == "alexnet_keras_jax_pipeline":
        training = _training_from_jpegs(model, len(images), options)
    else:
        training = KerasTraining(model, repeated_batch(images, labels))
        inference = KerasInference(model, images)
    return training, inference, device_name()


def _training_from_jpegs(model, batch_size, options):
    """Training from JPEGs; meanwhile the input pipeline reads, decodes and crops the next ones."""
    from alexnet_keras.data import Dataset
    from alexnet_keras.training.device_augmentation import augmenting_model
    from benchmarks.other_libraries import KerasTraining

    dataset = Dataset(options.dataset, memory_gib=0)
    if dataset.info.classes > options.classes:
        raise SystemExit(
            f"--dataset must have at most {options.classes} classes. "
            f"Received: {options.dataset}, which has {dataset.info.classes}"
        )
    model = augmenting_model(model, dataset)
    batches = dataset.train(batch_size, device_augmentation=True).as_numpy_iterator()
    # A generator for all rounds, as `fit` would restart a data set in each.
    return KerasTraining(model, (batch for batch in batches))


def _training_in_memory(model, batch_size, classes):
    """Training from arrays in the device's memory; the compiled step augments them."""
    import numpy as np

    from alexnet_keras.data import InMemoryDataset
    from alexnet_keras.training.device_augmentation import augmenting_model
    from benchmarks.other_libraries import KerasTraining

    random = np.random.default_rng(0)
    count = max(1024, batch_size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.npz"
        np.savez(
            path,
            x_train=random.integers(0, 256, (count, 256, 256, 3), dtype="uint8"),
            y_train=np.arange(count) % classes,
            x_test=np.zeros((2, 256, 256, 3), "uint8"),
            y_test=np.array([0, classes - 1]),
        )
        dataset = InMemoryDataset(path, cache_dir=folder)
    model = augmenting_model(model, dataset)
    return KerasTraining(model, dataset.train(batch_size))


def table(stored: dict) -> str:
    """Returns the results as Markdown, a table for each precision and batch size."""
    flops = stored["flops_per_image"]
    lines = []
    for group in stored["groups"]:
        lines += [*_table_of_group(group, flops), ""]
    lines.append(
        f"An image costs {flops['training_flops'] / 1e9:.2f} GFLOP in training and "
        f"{flops['inference_flops'] / 1e9:.2f} in inference (convolutions and dense layers only)."
    )
    return "\n".join(lines)


def _table_of_group(group, flops):
    implementations = group["implementations"]
    count = min(len(result["rounds"]) for result in implementations.values())
    product, _, _ = harness.summary(implementations["limit"]["rounds"], "matrix_product")
    bandwidth, _, _ = harness.summary(implementations["limit"]["rounds"], "bandwidth")
    lines = [
        f"{group['precision']}, batch {group['batch_size']}: images/s, median (range), {count} "
        f"rounds. Limit: {product / 1e9:,.0f} GFLOP/s in a 4096-cube matrix product, "
        f"{bandwidth / 1e9:.1f} GB/s of memory.\n",
        "| | training | share of the limit | inference | share of the limit |",
        "|---|---|---|---|---|",
    ]
    for name, result in implementations.items():
        if name == "limit":
            continue
        cells = [IMPLEMENTATIONS[name].label]
        for figure in _FIGURES:
            limit = product / flops[f"{figure}_flops"]
            cells += _throughput_and_share(result["rounds"], figure, limit)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _throughput_and_share(rounds, figure, limit):
    if figure not in rounds[0]:
        return "", ""
    median, _, _ = harness.summary(rounds, figure)
    return harness.median_and_range(rounds, figure), f"{100 * median / limit:.0f}%"


def plot(stored: dict) -> "Figure":
    """Returns a figure of the training throughput, a panel for each precision and batch size."""
    from alexnet_keras.plots.style import new_figure

    groups = stored["groups"]
    count = len(groups[0]["implementations"]) - 1
    size = (8, 0.8 + len(groups) * (0.8 + 0.28 * count))
    figure, axes = new_figure(len(groups), 1, size, squeeze=False)
    for axis, group in zip(axes[:, 0], groups, strict=True):
        _draw_group(axis, group, stored["flops_per_image"]["training_flops"])
    axes[-1, 0].set_xlabel("training, images per second (bar: median; whisker: range)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower right", frameon=False)
    figure.suptitle(f"Training AlexNet on {harness.machine_name(stored)}", x=0.02, ha="left")
    return figure


def _draw_group(axis, group, flops):
    """Draws the implementations, the first one at the top, and the limit as a line."""
    from matplotlib.ticker import MaxNLocator

    names = [name for name in reversed(group["implementations"]) if name != "limit"]
    labels = [IMPLEMENTATIONS[name].label for name in names]
    rounds = {name: result["rounds"] for name, result in group["implementations"].items()}
    summaries = [harness.summary(rounds[name], "training") for name in names]
    medians, errors = harness.medians_and_errors(summaries)
    colors = [_color(name) for name in names]
    axis.barh(labels, medians, xerr=errors, color=colors, error_kw={"capsize": 3})
    limit = harness.summary(rounds["limit"], "matrix_product")[0] / flops
    style = {"color": "black", "linestyle": "--", "linewidth": 1}
    axis.axvline(limit, label="limit: rate of a matrix product", **style)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "bbox": box}
    for number, (median, _, high) in enumerate(summaries):
        axis.annotate(f"{median:,.1f}", (high, number), **place)
    axis.set_title(f"{group['precision']}, batch {group['batch_size']}", loc="left")
    axis.set_xlim(0, 1.2 * max(limit, *medians))
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.grid(False, axis="y")


def _color(name):
    return "C0" if name.startswith("alexnet_keras") else "0.65"


if __name__ == "__main__":
    main()
