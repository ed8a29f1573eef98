"""The input pipeline in images per second: against decoding alone, and against what training consumes.

    python -m benchmarks.input_pipeline --dataset imagenette/320px-v2

Two kinds of JPEGs: the data set's own, which must be scaled to squares of --image-size pixels, and the same images
prepared once as JPEGs of that size, as the paper prepared its own. For each: reading alone, reading and decoding,
random crops and their mirror images in batches, and all that training does, which takes off the mean and adds color
noise as well. Nothing stays decoded in memory; how much memory the process has is measured after each turn. Then, for
images that fit into it: steps of the four-layer network from the pipeline, and on one batch again and again.

Writes input_pipeline.json, input_pipeline.md (the table) and input_pipeline.png into --workdir; some 6 minutes on two
cores.
"""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import turns

BATCH_SIZE = 128
_STAGES = {
    "read": "reading alone",
    "decode": "decoding alone",
    "crop": "crops and mirror images, in batches",
    "train": "training pipeline",
}


def main(arguments=None):
    parser = turns.parser("input_pipeline", __doc__)
    parser.add_argument(
        "--dataset", default="imagenette/320px-v2", help="TFDS name or folder of JPEGs"
    )
    parser.add_argument(
        "--image-size", type=int, default=256, help="side of prepared images, pixels (default: 256)"
    )
    parser.add_argument(
        "--crop-size", type=int, default=224, help="side of crops, pixels (default: 224)"
    )
    parser.add_argument(
        "--images", type=int, default=2000, help="images to prepare as JPEGs (default: 2000)"
    )
    parser.add_argument(
        "--small", default="cifar10", help="data set of the four-layer network (default: cifar10)"
    )
    parser.add_argument(
        "--small-steps", type=int, default=100, help="steps of a turn there (default: 100)"
    )
    options = turns.parse(parser, arguments, ("image_size", "crop_size", "images", "small_steps"))
    import alexnet_keras  # noqa: F401 - before TensorFlow, which learns from it to use oneDNN's kernels

    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepare(options, Path(folder))
        stages = {
            "stored": _stages(options.dataset, options),
            "prepared": _stages(str(prepared), options),
        }
        results = {
            kind: [_turn(measures) for _ in range(options.rounds)]
            for kind, measures in stages.items()
        }
    results["small"] = _small(options)
    stored = turns.record("input_pipeline", options, results)
    turns.store("input_pipeline", options.workdir, stored, table(stored), plot(stored))
    return stored


def _prepare(options, folder):
    """Writes squares of `image_size` pixels as JPEGs into train/CLASS and val/CLASS."""
    import tensorflow as tf
    from tqdm import tqdm

    from alexnet_keras.data import Dataset

    images = Dataset(
        options.dataset, options.image_size, options.crop_size, memory_gib=0
    ).training_images(1)
    for number, (image, label) in enumerate(
        tqdm(images.take(options.images), desc="Preparing JPEGs")
    ):
        part = folder / ("val" if number % 50 == 0 else "train") / str(int(label[0]))
        part.mkdir(parents=True, exist_ok=True)
        (part / f"{number}.jpg").write_bytes(tf.io.encode_jpeg(image[0], quality=95).numpy())
    return folder


def _stages(name, options):
    """Functions that give the images a second of each stage."""
    import numpy as np
    import tensorflow as tf

    from alexnet_keras.data import Dataset
    from alexnet_keras.data.augmentation import crop_and_flip_one, resize_and_crop
    from alexnet_keras.data.sources import open_image_source

    source = open_image_source(name)
    dataset = Dataset(name, options.image_size, options.crop_size, memory_gib=0)
    stored = source.train.repeat()

    def alone(function):
        return stored.map(lambda image, label: function(image), tf.data.AUTOTUNE).batch(BATCH_SIZE)

    def crop(example, draw):
        image = resize_and_crop(source.decode(example[0]), options.image_size)
        return crop_and_flip_one(image, draw, options.crop_size)

    draws = tf.data.Dataset.from_tensor_slices(
        np.random.default_rng(0).random((1009, 3), "float32")
    ).repeat()
    crops = tf.data.Dataset.zip(stored, draws).map(crop, tf.data.AUTOTUNE)
    streams = {
        "read": alone(lambda image: tf.strings.length(source.read(image))),
        "decode": alone(lambda image: tf.shape(source.decode(image))),
        "crop": crops.batch(BATCH_SIZE),
        "train": dataset.train(BATCH_SIZE),
    }

    def measure(stream):
        batches = iter(stream.prefetch(2))

        def turn():
            for _ in range(
                8
            ):  # what was prepared while others worked; the pipeline finds its number of threads
                next(batches)
            start, steps = time.perf_counter(), 0
            while time.perf_counter() - start < options.seconds:
                next(batches)
                steps += 1
            return steps * BATCH_SIZE / (time.perf_counter() - start)

        return turn

    return {stage: measure(stream) for stage, stream in streams.items()}


def _turn(measures):
    return {stage: measure() for stage, measure in measures.items()} | {"memory_mib": _memory()}


def _memory():
    """Resident memory of this process in MiB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _small(options):
    """Images a second of the four-layer network, from the pipeline and from one batch, in turns."""
    import tensorflow as tf

    from alexnet_keras import AlexNet
    from alexnet_keras.data import Dataset
    from alexnet_keras.data.loader import NOT_TUNED
    from alexnet_keras.training.config import training_config
    from alexnet_keras.training.train import compile_for_training

    config = training_config("four_layer", dataset=options.small)
    dataset = Dataset(options.small, config.image_size, config.crop_size)
    batches = dataset.train(
        config.batch_size, random_crop=config.random_crop, pca_noise=config.pca_noise
    )
    batch = next(iter(batches))
    model = AlexNet(config.network, classes=dataset.info.classes)
    compile_for_training(model, config)
    ways = {
        "pipeline": batches,
        "one_batch": tf.data.Dataset.from_tensors(batch).repeat().with_options(NOT_TUNED),
    }

    def fit(way):
        start = time.perf_counter()
        model.fit(ways[way], steps_per_epoch=options.small_steps, shuffle=False, verbose=0)
        return options.small_steps * config.batch_size / (time.perf_counter() - start)

    for way in ways:
        fit(way)
    return [{way: fit(way) for way in ways} for _ in range(options.rounds)]


def table(stored):
    """The figures as text."""
    lines = [
        "Images per second, median (range).\n",
        "| | the set's own JPEGs | JPEGs of prepared squares |",
    ]
    lines.append("|---|---|---|")
    for stage, words in _STAGES.items():
        lines.append(
            f"| {words} | {' | '.join(turns.in_words(stored[k], stage, 0) for k in ('stored', 'prepared'))} |"
        )
    shares = [
        100 * statistics.median(turn["train"] / turn["decode"] for turn in stored[kind])
        for kind in ("stored", "prepared")
    ]
    lines.append(
        f"| training pipeline as a share of decoding | {shares[0]:.0f}% | {shares[1]:.0f}% |"
    )
    memory = [
        [f"{turn['memory_mib']:,.0f}" for turn in stored[kind]] for kind in ("stored", "prepared")
    ]
    lines.append(
        f"| memory of the process after each turn (MiB) | {' | '.join(map(', '.join, memory))} |"
    )
    small = stored["small"]
    lines += [
        "",
        f"Four-layer network: {turns.in_words(small, 'pipeline', 0)} images/s from the pipeline, "
        f"{turns.in_words(small, 'one_batch', 0)} from one batch again and again.",
    ]
    return "\n".join(lines)


def plot(stored):
    """Images a second of each stage, a panel for each kind of JPEG."""
    from matplotlib.ticker import MaxNLocator

    from alexnet_keras.plots.style import new_figure

    kinds = {"stored": "the set's own JPEGs", "prepared": "JPEGs of prepared squares"}
    figure, axes = new_figure(1, 2, (11, 3.2), sharey=True)
    for axis, (kind, words) in zip(axes, kinds.items(), strict=True):
        figures = [turns.summary(stored[kind], stage) for stage in list(_STAGES)[::-1]]
        medians = [median for median, _, _ in figures]
        ranges = [
            [median - low for median, low, _ in figures],
            [high - median for median, _, high in figures],
        ]
        colors = ["C0" if stage == "train" else "0.65" for stage in list(_STAGES)[::-1]]
        axis.barh(
            list(_STAGES.values())[::-1],
            medians,
            xerr=ranges,
            color=colors,
            error_kw={"capsize": 3},
        )
        for number, (median, _, high) in enumerate(figures):
            axis.annotate(
                f"{median:,.0f}", (high, number), (4, 0), textcoords="offset points", va="center"
            )
        axis.set_xlim(0, 1.15 * max(high for _, _, high in figures))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(False, axis="y")
        axis.set_title(words, fontsize=10)
        axis.set_xlabel("images per second (bar: median; whisker: range)")
    figure.suptitle(f"Input pipeline on {turns.machine_words(stored)}", x=0.02, ha="left")
    return figure


if __name__ == "__main__":
    main()
