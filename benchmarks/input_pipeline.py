"""Throughput of the input pipeline, against decoding and against training.

    python -m benchmarks.input_pipeline --dataset imagenette/320px-v2

Two kinds of JPEGs are measured. Those of the data set must be scaled to squares of --image-size
pixels. The others are the same images, prepared once as JPEGs of that size, as in the paper. The
stages are reading, decoding, random crops with mirror images in batches, and the whole training
pipeline, which also subtracts the mean and adds color noise. No decoded image stays in memory. The
memory of the process is measured after each round.

For images that fit into memory, the training of the four-layer network is measured: from the
pipeline, and on one batch again and again.

The results are `input_pipeline.json`, `input_pipeline.md` and `input_pipeline.png` in --workdir.
"""

import functools
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH_SIZE = 128
_STAGES = {
    "read": "reading only",
    "decode": "decoding only",
    "crop": "crops and mirror images, in batches",
    "train": "training pipeline",
}
_KINDS = {"stored": "JPEGs of the data set", "prepared": "prepared JPEGs"}
_WARM_UP_BATCHES = 8  # batches prepared during a wait, and the pipeline's choice of its threads


def main(arguments=None):
    options = harness.parse(
        _parser(), arguments, ("image_size", "crop_size", "images", "small_steps")
    )
    # Before TensorFlow, which it tells to use oneDNN's kernels.
    import alexnet_keras  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepare(options, Path(folder))
        stages = {
            "stored": _stages(options.dataset, options),
            "prepared": _stages(str(prepared), options),
        }
        results = {
            kind: [_measure(streams) for _ in range(options.rounds)]
            for kind, streams in stages.items()
        }
    results["small"] = _measure_small(options)
    stored = harness.record("input_pipeline", options, results)
    harness.store("input_pipeline", options.workdir, stored, table(stored), plot(stored))
    return stored


def _parser():
    parser = harness.create_parser("input_pipeline", __doc__)
    parser.add_argument(
        "--dataset",
        default="imagenette/320px-v2",
        help="TFDS name or folder of JPEGs (default: imagenette/320px-v2)",
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
        "--small",
        default="cifar10",
        help="data set of the four-layer network (default: cifar10)",
    )
    parser.add_argument(
        "--small-steps",
        type=int,
        default=100,
        help="training steps of the four-layer network in a round (default: 100)",
    )
    return parser


def _prepare(options, folder):
    """Writes squares of `image_size` pixels as JPEGs into train/CLASS.

    The first image is also in val/CLASS, so that the package holds no image out. It would refuse a
    class whose only image is held out.
    """
    import tensorflow as tf
    from tqdm import tqdm

    from alexnet_keras.data import Dataset

    dataset = Dataset(options.dataset, options.image_size, options.crop_size, memory_gib=0)
    images = dataset.training_images(1).take(options.images)
    for number, (image, label) in enumerate(tqdm(images, desc="Preparing JPEGs")):
        jpeg = tf.io.encode_jpeg(image[0], quality=95).numpy()
        splits = ("train",) if number else ("train", "val")
        for split in splits:
            part = folder / split / str(int(label[0]))
            part.mkdir(parents=True, exist_ok=True)
            (part / f"{number}.jpg").write_bytes(jpeg)
    return folder


def _stages(name, options):
    """Returns a dict from the stages to their measurements."""
    import numpy as np
    import tensorflow as tf

    from alexnet_keras.data import Dataset
    from alexnet_keras.data.options import ImageSelection
    from alexnet_keras.data.sources import open_image_source

    source = open_image_source(ImageSelection(name))
    dataset = Dataset(name, options.image_size, options.crop_size, memory_gib=0)
    examples = source.train.repeat()
    random = np.random.default_rng(0).random((1009, 3), "float32")
    with_random = tf.data.Dataset.zip(examples, tf.data.Dataset.from_tensor_slices(random).repeat())
    streams = {
        "read": _mapped(examples, lambda image, label: tf.strings.length(source.read(image))),
        "decode": _mapped(examples, lambda image, label: tf.shape(source.decode(image))),
        "crop": _mapped(with_random, functools.partial(_crop, source.decode, options)),
        "train": dataset.train(BATCH_SIZE),
    }
    return {stage: Stream(stream, options.seconds) for stage, stream in streams.items()}


def _crop(decode, options, example, random):
    from alexnet_keras.data.augmentation import crop_and_flip_one, resize_and_crop

    image = resize_and_crop(decode(example[0]), options.image_size)
    return crop_and_flip_one(image, random, options.crop_size)


def _mapped(examples, function):
    import tensorflow as tf

    return examples.map(function, tf.data.AUTOTUNE).batch(BATCH_SIZE)


class Stream:
    """Measures the images per second of a `tf.data.Dataset` of batches.

    Args:
        batches: the data set.
        seconds: duration of a measurement.
    """

    def __init__(self, batches, seconds: float):
        self._batches = iter(batches.prefetch(2))
        self._seconds = seconds

    def __call__(self) -> float:
        for _ in range(_WARM_UP_BATCHES):
            next(self._batches)
        start = time.perf_counter()
        steps = 0
        while time.perf_counter() - start < self._seconds:
            next(self._batches)
            steps += 1
        return steps * BATCH_SIZE / (time.perf_counter() - start)


def _measure(streams):
    """One round: images per second of each stage, and the memory of the process."""
    figures = {stage: stream() for stage, stream in streams.items()}
    return {**figures, "memory_mib": _memory()}


def _memory():
    """Resident memory of this process in MiB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _measure_small(options):
    """The rounds of the four-layer network, from the pipeline and on one batch."""
    import tensorflow as tf

    from alexnet_keras import AlexNet
    from alexnet_keras.data import Dataset
    from alexnet_keras.data.loader import NOT_TUNED
    from alexnet_keras.training.config import training_config
    from alexnet_keras.training.train import compile_for_training
    from benchmarks.other_libraries import KerasTraining

    config = training_config("four_layer", dataset=options.small)
    dataset = Dataset(options.small, config.image_size, config.crop_size)
    batches = dataset.train(
        config.batch_size, random_crop=config.random_crop, pca_noise=config.pca_noise
    )
    batch = next(iter(batches))
    model = AlexNet(config.network, classes=dataset.info.classes)
    compile_for_training(model, config)
    one_batch = tf.data.Dataset.from_tensors(batch).repeat().with_options(NOT_TUNED)
    sources = {"pipeline": batches, "one_batch": one_batch}
    rates = {
        name: harness.Rate(KerasTraining(model, source), steps=options.small_steps)
        for name, source in sources.items()
    }
    for rate in rates.values():
        rate()  # warms up
    return [
        {name: config.batch_size * rate() for name, rate in rates.items()}
        for _ in range(options.rounds)
    ]


def table(stored: dict) -> str:
    """Returns the results as Markdown."""
    lines = [
        "Images per second, median (range).\n",
        f"| | {' | '.join(_KINDS.values())} |",
        "|---|---|---|",
    ]
    for stage, label in _STAGES.items():
        cells = [harness.median_and_range(stored[kind], stage, 0) for kind in _KINDS]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    shares = []
    memory = []
    for kind in _KINDS:
        share = statistics.median(
            measured["train"] / measured["decode"] for measured in stored[kind]
        )
        shares.append(f"{100 * share:.0f}%")
        memory.append(", ".join(f"{measured['memory_mib']:,.0f}" for measured in stored[kind]))
    small = stored["small"]
    return "\n".join(
        [
            *lines,
            f"| training pipeline as a share of decoding | {' | '.join(shares)} |",
            f"| memory of the process after each round (MiB) | {' | '.join(memory)} |",
            "",
            f"Four-layer network: {harness.median_and_range(small, 'pipeline', 0)} images/s from "
            f"the pipeline, {harness.median_and_range(small, 'one_batch', 0)} from one batch again "
            "and again.",
        ]
    )


def plot(stored: dict) -> "Figure":
    """Returns a figure of the images per second of each stage, a panel for each kind of JPEG."""
    from alexnet_keras.plots.style import new_figure

    figure, axes = new_figure(1, 2, (11, 3.2), sharey=True)
    for axis, (kind, title) in zip(axes, _KINDS.items(), strict=True):
        _draw_stages(axis, stored[kind])
        axis.set_title(title, fontsize=10)
    figure.suptitle(f"Input pipeline on {harness.machine_name(stored)}", x=0.02, ha="left")
    return figure


def _draw_stages(axis, rounds):
    from matplotlib.ticker import MaxNLocator

    labels = []
    colors = []
    summaries = []
    for stage in reversed(_STAGES):
        labels.append(_STAGES[stage])
        colors.append({"train": "C0"}.get(stage, "0.65"))
        summaries.append(harness.summary(rounds, stage))
    medians, errors = harness.medians_and_errors(summaries)
    axis.barh(labels, medians, xerr=errors, color=colors, error_kw={"capsize": 3})
    highest = [high for _, _, high in summaries]
    for number, (median, high) in enumerate(zip(medians, highest, strict=True)):
        axis.annotate(
            f"{median:,.0f}", (high, number), (4, 0), textcoords="offset points", va="center"
        )
    axis.set_xlim(0, 1.15 * max(highest))
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.grid(False, axis="y")
    axis.set_xlabel("images per second (bar: median; whisker: range)")


if __name__ == "__main__":
    main()
