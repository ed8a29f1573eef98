"""Training and inference of the real network in images per second: ours beside the peers, and the machine's limit.

    python -m benchmarks.training
    KERAS_BACKEND=jax python -m benchmarks.training --ways ours_jax ours_jax_in_memory pytorch pytorch_compile \
        --batch-sizes 128 512 2048 --precisions bfloat16 --limit-backend jax        # a GPU without TensorFlow

Each way trains the same network (the paper's, 60,965,224 parameters, response normalization across all maps) on one
batch that is already in memory, with the paper's update rule, in a process of its own; the processes take turns. The
limit, a 4096-cube matrix product and the memory bandwidth, is measured in the same turns. The operations that are
counted are those of the network's definition: Winograd's method, by which ours trains on a CPU, multiplies less often
and can exceed the limit. Two ways are meant for GPUs and are not among the usual ones: `ours_jax_in_memory` trains from
arrays in the GPU's memory, `ours_jax_pipeline` from the JPEGs of --dataset, which TensorFlow reads; both crop, mirror
and add color noise. PyTorch is needed for the peers alone: `pip install 'alexnet_keras[torch]'`. While one
process works, the others keep their memory: all usual ways together some 15 GB at batch 32 and 25 GB at batch 128. With
--at-once 6 six of them, one of which measures the limit, take turns until they are done, then the others, with the
limit anew.

Writes training.json, training.md (the table) and training.png into --workdir; with --rounds 3 --at-once 6 it takes
about half an hour on two cores.
"""

from benchmarks import turns

WAYS = {
    "ours": ("tensorflow", "ours, TensorFlow"),
    "ours_without_normalization": ("tensorflow", "ours without normalization"),
    "pytorch": ("torch", "PyTorch, eager"),
    "pytorch_compile": ("torch", "PyTorch, torch.compile"),
    "tensorflow_split": ("tensorflow", "TensorFlow, a convolution a group"),
    "tensorflow": ("tensorflow", "TensorFlow, native groups"),
    "keras": ("tensorflow", "Keras, Conv2D(groups=2)"),
    "ours_jax": ("jax", "ours, JAX"),
    "ours_jax_in_memory": ("jax", "ours, JAX, crops and noise in the step"),
    "ours_jax_pipeline": ("jax", "ours, JAX, from JPEGs"),
}
_ON_A_GPU = ("ours_jax_in_memory", "ours_jax_pipeline")


def main(arguments=None):
    parser = turns.parser("training", __doc__)
    parser.add_argument(
        "--batch-sizes", nargs="+", type=int, default=[128, 32], help="images in a step (128 32)"
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=list(turns.PRECISIONS),
        default=list(turns.PRECISIONS),
        help="(both)",
    )
    usual = [way for way in WAYS if way not in _ON_A_GPU]
    parser.add_argument(
        "--ways", nargs="+", choices=list(WAYS), default=usual, help=f"({' '.join(usual)})"
    )
    parser.add_argument(
        "--classes", type=int, default=1000, help="number of classes (default: 1000)"
    )
    parser.add_argument(
        "--limit-backend",
        choices=("tensorflow", "jax"),
        default="tensorflow",
        help="measures the limit, as does PyTorch if installed",
    )
    parser.add_argument(
        "--dataset",
        default="imagenette/320px-v2",
        help="of ours_jax_pipeline: TFDS name or folder of JPEGs",
    )
    parser.add_argument(
        "--at-once", type=int, help="number of processes that the memory has room for (all)"
    )
    parser.add_argument(
        "--trace",
        help="folder for a profile of a few steps of each way, for TensorBoard or Perfetto",
    )
    options = turns.parse(parser, arguments, ("batch_sizes", "classes"))
    if options.at_once is not None and options.at_once < 2:
        parser.error(
            f"--at-once must be at least 2, one of which measures the limit. Received: {options.at_once}"
        )
    if options.work:
        return _work(options)
    needs = {way: WAYS[way][0] for way in options.ways}
    if "ours_jax_pipeline" in options.ways:
        needs["the pipeline of ours_jax_pipeline"] = "tensorflow"
    turns.check_installed(
        parser, {**needs, f"--limit-backend {options.limit_backend}": options.limit_backend}
    )
    groups = []
    for precision in options.precisions:
        for batch_size in options.batch_sizes:
            measured = turns.take_turns(
                "training",
                {way: turns.environment(WAYS[way][0]) for way in options.ways}
                | {"limit": turns.environment(options.limit_backend)},
                turns.as_arguments(options, batch_sizes=[batch_size], precisions=[precision]),
                options.rounds,
                options.at_once,
                always=("limit",),
            )
            groups.append({"precision": precision, "batch_size": batch_size, "ways": measured})
            results = {
                "device": measured["limit"]["words"],
                "flops_per_image": _flops(groups),
                "groups": groups,
            }
            stored = turns.record("training", options, results)
            turns.store("training", options.workdir, stored, table(stored), plot(stored))
    return stored


def _flops(groups):
    figures = next(iter(groups[0]["ways"]["limit"]["turns"]))
    return {name: figures[name] for name in ("training_flops", "inference_flops")}


def _work(options):
    """A process: one way at one batch size and precision."""
    import numpy as np

    way, precision, batch_size = options.work, options.precisions[0], options.batch_sizes[0]
    if way == "limit":
        return turns.work(*_limit(precision, options.classes, options.seconds))
    random = np.random.default_rng(0)
    images = random.normal(0, 60, (min(batch_size, 128), 224, 224, 3)).astype("float32")
    images = np.resize(images, (batch_size, *images.shape[1:]))  # the same again in a large batch
    labels = random.integers(0, options.classes, batch_size).astype("int32")
    training, inference, words = _way(way, precision, images, labels, options)
    if options.trace:
        training(2)  # warm
        with _profile(way, f"{options.trace}/{way}_{precision}_{batch_size}"):
            training(3)
    before = 8 if way == "ours_jax_pipeline" else 1  # it has prepared batches while it waited
    rates = {"training": turns.rate(training, options.seconds, before=before)}
    if inference:
        rates["inference"] = turns.rate(inference, options.seconds / 2)
    turns.work(words, lambda: {name: batch_size * rate() for name, rate in rates.items()})


def _profile(way, folder):
    """A context in which the library of a way writes what it does into a folder."""
    backend = WAYS[way][0]
    if backend == "jax":
        import jax

        return jax.profiler.trace(folder)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.profiler.experimental.Profile(folder)
    from torch import profiler

    return profiler.profile(on_trace_ready=profiler.tensorboard_trace_handler(folder))


def _way(way, precision, images, labels, options):
    from benchmarks import peers

    classes = options.classes
    if way.startswith("ours"):
        return _ours(way, precision, images, labels, options)
    build = {
        "keras": peers.KerasPeer,
        "tensorflow": peers.TensorFlowPeer,
        "tensorflow_split": lambda *args: peers.TensorFlowPeer(*args, split=True),
        "pytorch": peers.PyTorchPeer,
        "pytorch_compile": lambda *args: peers.PyTorchPeer(*args, compiled=True),
    }
    peer = build[way](classes, precision)
    words = WAYS[way][1] + (f", {peer.device}" if hasattr(peer, "device") else "")
    return peer.training(images, labels), peer.inference(images), words


def _ours(way, precision, images, labels, options):
    import keras

    from alexnet_keras import AlexNet
    from alexnet_keras.training.config import training_config
    from alexnet_keras.training.train import compile_for_training
    from benchmarks.limits import device_words
    from benchmarks.peers import fitting, predicting

    keras.config.set_dtype_policy(turns.PRECISIONS[precision])
    overrides = {
        "normalization_in_towers": False,
        "normalization": way != "ours_without_normalization",
    }
    config = training_config("paper", overrides=overrides, precision=turns.PRECISIONS[precision])
    model = AlexNet(config.network, classes=options.classes)
    compile_for_training(model, config)
    inference = None if way in _ON_A_GPU else predicting(model, images)  # that of `ours_jax`
    if way == "ours_jax_in_memory":
        training = _in_memory(model, len(images), options.classes)
    elif way == "ours_jax_pipeline":
        training = _from_jpegs(model, len(images), options)
    else:
        training = fitting(model, images, labels)
    return training, inference, device_words()


def _from_jpegs(model, batch_size, options):
    """Training from JPEGs that the input pipeline reads, decodes and crops meanwhile."""
    from alexnet_keras.data import Dataset
    from alexnet_keras.training.device_augmentation import augmenting_model

    dataset = Dataset(options.dataset, memory_gib=0)
    if dataset.info.classes > options.classes:
        raise SystemExit(
            f"`--dataset` must have at most {options.classes} classes. Received: {options.dataset!r}, which has "
            f"{dataset.info.classes}"
        )
    model = augmenting_model(model, dataset)
    # One iteration for all turns: a data set would start anew in each.
    return _fed(
        model,
        (
            batch
            for batch in dataset.train(batch_size, device_augmentation=True).as_numpy_iterator()
        ),
    )


def _fed(model, batches):
    import numpy as np

    def run(steps):
        model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)
        return np.asarray(model.weights[-1])  # which waits for the last step

    return run


def _in_memory(model, batch_size, classes):
    """Training from arrays in the device's memory, with crops, mirror images and color noise in the compiled step."""
    import tempfile
    from pathlib import Path

    import numpy as np

    from alexnet_keras.data import InMemoryDataset
    from alexnet_keras.training.device_augmentation import augmenting_model

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
    return _fed(model, dataset.train(batch_size))


def _limit(precision, classes, seconds):
    from alexnet_keras import AlexNet
    from benchmarks import limits

    machine = limits.machine(precision, seconds)
    model = AlexNet(classes=classes)
    figures = {
        "training_flops": limits.training_flops(model),
        "inference_flops": limits.inference_flops(model),
    }
    return limits.device_words(), lambda: {**machine(), **figures}


def table(stored):
    """The figures as text."""
    lines = []
    for group in stored["groups"]:
        ways, limit = group["ways"], group["ways"]["limit"]["turns"]
        rounds = min(len(result["turns"]) for result in ways.values())
        product = turns.summary(limit, "matrix_product")[0]
        bandwidth = turns.summary(limit, "bandwidth")[0]
        lines += [
            f"{group['precision']}, batch {group['batch_size']}: images/s, median (range), {rounds} turns. Limit: "
            f"{product / 1e9:,.0f} GFLOP/s in a 4096-cube matrix product, {bandwidth / 1e9:.1f} GB/s of memory.\n",
            "| | training | share of the limit | inference | share of the limit |\n|---|---|---|---|---|",
        ]
        for way, result in ways.items():
            if way == "limit":
                continue
            cells = [WAYS[way][1]]
            for figure in ("training", "inference"):
                if figure not in result["turns"][0]:
                    cells += ["", ""]
                    continue
                flops = stored["flops_per_image"][f"{figure}_flops"]
                share = turns.summary(result["turns"], figure)[0] * flops / product
                cells += [turns.in_words(result["turns"], figure), f"{100 * share:.0f}%"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    flops = stored["flops_per_image"]
    lines.append(
        f"An image costs {flops['training_flops'] / 1e9:.2f} GFLOP in training and "
        f"{flops['inference_flops'] / 1e9:.2f} in inference (convolutions and dense layers alone)."
    )
    return "\n".join(lines)


def plot(stored):
    """Training speed of all ways, a panel for each precision and batch size, with the limit as a line."""
    from alexnet_keras.plots.style import new_figure

    groups = stored["groups"]
    names = [WAYS[way][1] for way in groups[0]["ways"] if way != "limit"][::-1]
    figure, axes = new_figure(
        len(groups), 1, (8, 0.8 + len(groups) * (0.8 + 0.28 * len(names))), squeeze=False
    )
    for axis, group in zip(axes[:, 0], groups, strict=True):
        figures = [
            turns.summary(group["ways"][way]["turns"], "training")
            for way in list(group["ways"])[-2::-1]
        ]
        medians = [median for median, _, _ in figures]
        ranges = [
            [median - low for median, low, _ in figures],
            [high - median for median, _, high in figures],
        ]
        colors = ["C0" if name.startswith("ours") else "0.65" for name in names]
        axis.barh(names, medians, xerr=ranges, color=colors, error_kw={"capsize": 3})
        product = turns.summary(group["ways"]["limit"]["turns"], "matrix_product")[0]
        limit = product / stored["flops_per_image"]["training_flops"]
        axis.axvline(
            limit,
            color="black",
            linestyle="--",
            linewidth=1,
            label="limit: rate of a matrix product",
        )
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        for number, (median, _, high) in enumerate(figures):
            place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
            axis.annotate(f"{median:,.1f}", (high, number), **place, bbox=box)
        axis.set_title(f"{group['precision']}, batch {group['batch_size']}", loc="left")
        axis.set_xlim(0, 1.2 * max(limit, *medians))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.grid(False, axis="y")
    axes[-1, 0].set_xlabel("training, images per second (bar: median; whisker: range)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower right", frameon=False)
    figure.suptitle(f"Training AlexNet on {turns.machine_words(stored)}", x=0.02, ha="left")
    return figure


if __name__ == "__main__":
    main()
