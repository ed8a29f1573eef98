"""Training and inference throughput of networks, beside other libraries.

    python -m benchmarks.training

Small networks, with the throughput of whole epochs:

    python -m benchmarks.training --networks cifar small four_layer cifar_13pct --classes 10 \\
        --batch-sizes 128 --precisions float32 --workdir results/benchmarks/small

On a GPU without TensorFlow:

    KERAS_BACKEND=jax python -m benchmarks.training --limit-backend jax --precisions bfloat16 \\
        --batch-sizes 128 512 2048 --implementations alexnet_keras_jax \\
        alexnet_keras_jax_in_memory pytorch pytorch_compile

All implementations of a network have the same layers. Each trains in a process of its own, on one
batch that is in memory. The processes take turns. The default is the paper's network with
60,965,224 parameters, normalization across the towers, and the paper's update rule.

Other networks are presets, with their own normalization, and with the crops of their training. An
implementation that lacks a layer of a network is left out, with a line that says why. For these
networks, alexnet_keras and alexnet_keras_jax_in_memory also train whole epochs of random images in
memory, with the preset's augmentation, as `alexnet train` does. The limit counts no other layers
than convolutions and dense layers, so that small networks stay far below it.

The limit is the rate of a product of 4096x4096 matrices in the same rounds. The memory bandwidth is
measured as well. The operations of an image are counted by the network's definition. Winograd's
method, by which alexnet_keras trains on a CPU, needs fewer, and can exceed the limit.

Two implementations are for GPUs. `alexnet_keras_jax_in_memory` trains from arrays in the GPU's
memory, `alexnet_keras_jax_pipeline` from the JPEGs of --dataset, which TensorFlow reads. Both crop,
mirror and add color noise.

PyTorch is only needed to compare with it: `pip install 'alexnet_keras[torch]'`. While a process
waits, it keeps its memory. --at-once limits the number of processes. One of them measures the
limit, which each group of processes measures again.

The results are `training.json`, `training.md` and `training.png` in --workdir. Until all groups are
measured, the results so far are in `training_partial.json`.
"""

import itertools
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.training_steps import FULL_SIZE, IMPLEMENTATIONS, build_steps, training_setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FOR_GPUS = ("alexnet_keras_jax_in_memory", "alexnet_keras_jax_pipeline")
_TRAINS_EPOCHS = ("alexnet_keras", "alexnet_keras_jax_in_memory")
_DEFAULTS = [name for name in IMPLEMENTATIONS if name not in _FOR_GPUS]
_FIGURES = ("training", "inference")


def main(arguments=None):
    parser = _parser()
    options = harness.parse(parser, arguments, ("batch_sizes", "classes", "epoch_images"))
    if options.at_once is not None and options.at_once < 2:
        parser.error(
            "--at-once must be at least 2, as one process measures the limit. "
            f"Received: {options.at_once}"
        )
    if options.worker:
        return _work(options)
    _check_networks(parser, options)
    _check_installed(parser, options)
    groups = []
    for network, precision, batch_size in itertools.product(
        options.networks, options.precisions, options.batch_sizes
    ):
        groups.append(_measure_group(options, network, precision, batch_size))
        results = {"device": groups[-1]["implementations"]["limit"]["description"]}
        stored = harness.record("training", options, {**results, "groups": groups})
        harness.store_partial("training", options.workdir, stored)
    harness.store("training", options.workdir, stored, table(stored), plot(stored))
    return stored


def _parser():
    parser = harness.create_parser("training", __doc__)
    parser.add_argument(
        "--networks",
        nargs="+",
        default=[FULL_SIZE],
        metavar="PRESET",
        help=f"presets of the networks (default: {FULL_SIZE}, the full-size network)",
    )
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
        "--epoch-images",
        type=int,
        default=10_240,
        metavar="N",
        help="training images of the epochs of other networks than the full-size one "
        "(default: 10,240)",
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


def _check_networks(parser, options):
    """Ends the process with an error for networks that can't be measured."""
    harness.check_alexnet_presets(parser, "--networks", options.networks)
    for network in options.networks:
        reasons = _left_out(network, options.implementations)
        for name, reason in reasons.items():
            print(f"training: {name} is left out of {network}. {reason}", flush=True)
        if len(reasons) == len(options.implementations):
            parser.error(
                f"--implementations must hold one that can build {network}. "
                f"Received: {' '.join(options.implementations)}"
            )
    least = max(*options.batch_sizes, options.classes)
    if options.networks != [FULL_SIZE] and options.epoch_images < least:
        parser.error(
            f"--epoch-images must be at least the batch size and the number of classes, {least}. "
            f"Received: {options.epoch_images}"
        )


def _left_out(network, implementations):
    """Returns a dict from the implementations that can't build a network to the reason."""
    from benchmarks.keras_networks import check_keras_network

    config = training_setting(network).network
    reasons = {}
    for name in implementations:
        if name.startswith("tensorflow") and network != FULL_SIZE:
            reasons[name] = "It has the full-size network only."
        elif name == "alexnet_keras_without_normalization" and not config.normalization:
            reasons[name] = "The network has no normalization."
        elif name == "keras":
            try:
                check_keras_network(config)
            except ValueError as error:
                reasons[name] = f"{error}."
    return reasons


def _check_installed(parser, options):
    needs = {name: IMPLEMENTATIONS[name].backend for name in options.implementations}
    if "alexnet_keras_jax_pipeline" in needs:
        needs["the input pipeline of alexnet_keras_jax_pipeline"] = "tensorflow"
    needs[f"--limit-backend {options.limit_backend}"] = options.limit_backend
    harness.check_installed(parser, needs)


def _measure_group(options, network, precision, batch_size):
    """Measures all implementations of a network at one precision and batch size."""
    left_out = _left_out(network, options.implementations)
    names = [name for name in options.implementations if name not in left_out]
    environments = {name: harness.environment(IMPLEMENTATIONS[name].backend) for name in names}
    environments["limit"] = harness.environment(options.limit_backend)
    arguments = harness.as_arguments(
        options, networks=[network], batch_sizes=[batch_size], precisions=[precision]
    )
    measured = harness.measure_in_rounds(
        "training",
        environments,
        arguments,
        options.rounds,
        at_once=options.at_once,
        always=("limit",),
    )
    figures = measured["limit"]["rounds"][0]
    return {
        "network": network,
        "precision": precision,
        "batch_size": batch_size,
        "flops_per_image": {f"{name}_flops": figures[f"{name}_flops"] for name in _FIGURES},
        "left_out": left_out,
        "implementations": measured,
    }


def measured_groups(stored: dict) -> list[dict]:
    """Returns the groups of stored results, each with its network and its operations.

    Results of earlier versions have the full-size network only, and its operations once.
    """
    common = {"network": FULL_SIZE, "flops_per_image": stored.get("flops_per_image")}
    return [{"left_out": {}, **common, **group} for group in stored["groups"]]


def _work(options):
    """Measures one implementation, or the limit, in its process."""
    import numpy as np

    name = options.worker
    precision = options.precisions[0]
    batch_size = options.batch_sizes[0]
    config = training_setting(
        options.networks[0],
        precision,
        batch_size=batch_size,
        normalization=name != "alexnet_keras_without_normalization",
    )
    if name == "limit":
        return _measure_limit(config.network, precision, options)
    random = np.random.default_rng(0)
    shape = config.network.input_shape
    images = random.normal(0, 60, (min(batch_size, 128), *shape)).astype("float32")
    images = np.resize(images, (batch_size, *shape))  # a large batch repeats them
    labels = random.integers(0, options.classes, batch_size).astype("int32")
    training, inference, description = build_steps(name, config, images, labels, options)
    if options.trace:
        training(2)  # warms up
        with _profile(name, _trace_folder(options)):
            training(3)
    harness.serve(description, _Figures(config, training, inference, options))


class _Figures:
    """Measures the images per second of an implementation, a dict, in each call.

    Args:
        config: `TrainingConfig`.
        training: function of a number of steps.
        inference: function of a number of steps, or `None`.
        options: the options of the command.
    """

    def __init__(self, config, training, inference, options):
        name = options.worker
        # The pipeline has prepared batches during its wait.
        warm_up_steps = 8 if name == "alexnet_keras_jax_pipeline" else 1
        self._batch_size = config.batch_size
        self._rates = {
            "training": harness.Rate(training, options.seconds, warm_up_steps=warm_up_steps)
        }
        if inference:
            self._rates["inference"] = harness.Rate(inference, options.seconds / 2)
        self._epoch = None
        if name in _TRAINS_EPOCHS and options.networks != [FULL_SIZE]:
            from benchmarks.epochs import EpochRate

            in_memory = name == "alexnet_keras_jax_in_memory"
            self._epoch = EpochRate(config, options.classes, options.epoch_images, in_memory)

    def __call__(self) -> dict[str, float]:
        figures = {name: self._batch_size * rate() for name, rate in self._rates.items()}
        return figures | ({"epoch": self._epoch()} if self._epoch else {})


def _measure_limit(network, precision, options):
    from alexnet_keras import AlexNet
    from benchmarks import roofline

    limits = roofline.MachineLimits(precision, options.seconds)
    model = AlexNet(network, classes=options.classes)
    flops = {
        "training_flops": roofline.training_flops(model),
        "inference_flops": roofline.inference_flops(model),
    }
    harness.serve(roofline.device_name(), lambda: {**limits(), **flops})


def _trace_folder(options):
    network = "" if options.networks == [FULL_SIZE] else f"{options.networks[0]}_"
    setting = f"{network}{options.precisions[0]}_{options.batch_sizes[0]}"
    return f"{options.trace}/{options.worker}_{setting}"


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


def table(stored: dict) -> str:
    """Returns the results as Markdown, a table for each network, precision and batch size."""
    lines = []
    flops = {}
    for group in measured_groups(stored):
        lines += [*_table_of_group(group), ""]
        flops[group["network"]] = group["flops_per_image"]
    for network, counts in flops.items():
        image = "An image" if network == FULL_SIZE else f"An image in {network}"
        lines.append(
            f"{image} costs {counts['training_flops'] / 1e9:.2f} GFLOP in training and "
            f"{counts['inference_flops'] / 1e9:.2f} in inference (convolutions and dense layers "
            "only)."
        )
    return "\n".join(lines)


def _table_of_group(group):
    implementations = group["implementations"]
    count = min(len(result["rounds"]) for result in implementations.values())
    product, _, _ = harness.summary(implementations["limit"]["rounds"], "matrix_product")
    bandwidth, _, _ = harness.summary(implementations["limit"]["rounds"], "bandwidth")
    has_epochs = any("epoch" in result["rounds"][0] for result in implementations.values())
    columns = ["training", "share of the limit", "inference", "share of the limit"]
    columns += ["epoch", "share of training"] if has_epochs else []
    lines = [
        f"{_title(group)}: images/s, median (range), {count} "
        f"rounds. Limit: {product / 1e9:,.0f} GFLOP/s in a product of 4096x4096 matrices, "
        f"{bandwidth / 1e9:.1f} GB/s of memory.\n",
        f"| | {' | '.join(columns)} |",
        "|---|" + "---|" * len(columns),
    ]
    for name, result in implementations.items():
        if name == "limit":
            continue
        cells = [IMPLEMENTATIONS[name].label]
        for figure in _FIGURES:
            limit = product / group["flops_per_image"][f"{figure}_flops"]
            cells += _throughput_and_share(result["rounds"], figure, limit)
        if has_epochs:
            steps, _, _ = harness.summary(result["rounds"], "training")
            cells += _throughput_and_share(result["rounds"], "epoch", steps)
        lines.append(f"| {' | '.join(cells)} |")
    reasons = [
        f"Without {IMPLEMENTATIONS[name].label}: {reason}"
        for name, reason in group["left_out"].items()
    ]
    return [*lines, *([""] if reasons else []), *reasons]


def _title(group):
    network = "" if group["network"] == FULL_SIZE else f"{group['network']}, "
    return f"{network}{group['precision']}, batch {group['batch_size']}"


def _throughput_and_share(rounds, figure, limit):
    if figure not in rounds[0]:
        return "", ""
    median, _, _ = harness.summary(rounds, figure)
    return harness.median_and_range(rounds, figure), f"{100 * median / limit:.0f}%"


def plot(stored: dict) -> "Figure":
    """Returns a figure of the training throughput, a panel for each group of `table`."""
    from alexnet_keras.plots.style import new_figure

    groups = measured_groups(stored)
    heights = [0.8 + 0.28 * (len(group["implementations"]) - 1) for group in groups]
    size = (8, 0.8 + sum(heights))
    figure, axes = new_figure(len(groups), 1, size, squeeze=False, height_ratios=heights)
    for axis, group in zip(axes[:, 0], groups, strict=True):
        _draw_group(axis, group)
    axes[-1, 0].set_xlabel("training, images per second (bar: median; whisker: range)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower right", frameon=False)
    networks = _networks(groups)
    figure.suptitle(f"Training {networks} on {harness.machine_name(stored)}", x=0.02, ha="left")
    return figure


def _networks(groups):
    """The names of the measured networks; the full-size one is AlexNet."""
    names = {group["network"]: group["network"] for group in groups}
    if FULL_SIZE in names:
        names[FULL_SIZE] = "AlexNet"
    return ", ".join(names.values())


def _draw_group(axis, group):
    """Draws the implementations from the top, their epochs, and the limit as a line."""
    from matplotlib.ticker import MaxNLocator

    names = [name for name in reversed(group["implementations"]) if name != "limit"]
    labels = [IMPLEMENTATIONS[name].label for name in names]
    rounds = {name: result["rounds"] for name, result in group["implementations"].items()}
    summaries = [harness.summary(rounds[name], "training") for name in names]
    medians, errors = harness.medians_and_errors(summaries)
    colors = [_color(name) for name in names]
    axis.barh(labels, medians, xerr=errors, color=colors, error_kw={"capsize": 3})
    product, _, _ = harness.summary(rounds["limit"], "matrix_product")
    limit = product / group["flops_per_image"]["training_flops"]
    style = {"color": "black", "linestyle": "--", "linewidth": 1}
    axis.axvline(limit, label="limit: rate of a matrix product", **style)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "bbox": box}
    epochs = {
        number: harness.summary(rounds[name], "epoch")[0]
        for number, name in enumerate(names)
        if "epoch" in rounds[name][0]
    }
    for number, (median, _, high) in enumerate(summaries):
        end = max(high, epochs.get(number, 0))
        axis.annotate(f"{median:,.1f}", (end, number), **place)
    if epochs:
        axis.plot(epochs.values(), epochs.keys(), "kD", markersize=4, label="whole epochs")
    axis.set_title(_title(group), loc="left")
    axis.set_xlim(0, 1.2 * max(limit, *medians))
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.grid(False, axis="y")


def _color(name):
    return "C0" if name.startswith("alexnet_keras") else "0.65"


if __name__ == "__main__":
    main()
