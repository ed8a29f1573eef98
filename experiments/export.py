"""A trained network in the formats of other runtimes, each compared with the network itself.

    python -m experiments.export --weights runs/x/best.keras --formats saved_model onnx float16 int8

Every file is loaded by its own runtime (TensorFlow, ONNX Runtime, LiteRT) and sees the same validation images, one at a
time, as the network. Its size, speed, error, and the largest difference of a probability go into a table.

ONNX and TFLite need `pip install -r requirements-export.txt`. Figures: README.md, for the real network.
"""

import statistics
import time

from experiments.framework.cli import run
from experiments.framework.trained_network import add_data_options, claim_workdir, open_dataset, parser, say, store


def export(options, command=None):
    """Exports and compares; the arguments are those of the command line.

    Returns:
        What is in `results.json`.
    """
    import numpy as np
    from keras import ops
    from tqdm import tqdm

    from alexnet_keras.evaluation.probabilities import as_probabilities, ends_in_logits
    from alexnet_keras.export import FORMATS, check_formats, load_exported, size_of
    from alexnet_keras.export import export as write
    from alexnet_keras.models import fingerprint, load_model

    if options.images < 1:
        raise ValueError(f"`images` must be positive. Received: images={options.images}")
    check_formats(options.formats)
    model = load_model(options.weights)
    ends_in_logits(model, options.weights)  # an error for a model that ends in something else
    dataset = open_dataset(model, options)
    info = dataset.info
    settings = {
        **{"model": fingerprint(model), "dataset": info.name, "image_size": info.image_size},
        **{"formats": options.formats, "images": options.images},
    }
    workdir = claim_workdir(options, "export", settings)
    say([model], options, dataset)
    images, labels = next(dataset.validation(min(options.images, info.validation_count)).as_numpy_iterator())
    say_probabilities = {"keras": (options.weights, lambda image: np.asarray(model.predict_on_batch(image)))}
    for kind in options.formats:
        path = workdir / f"{kind}{FORMATS[kind][0]}"
        if not path.exists():
            print(f"Writing {path}", flush=True)
            write(model, path, kind)
        say_probabilities[kind] = path, load_exported(path, kind)
    measured, expected = {}, None
    for kind, (path, probabilities) in say_probabilities.items():
        seconds, said = [], []
        for image in tqdm(images, kind, unit="image"):
            start = time.perf_counter()
            said.append(probabilities(image[None])[0])
            seconds.append(time.perf_counter() - start)
        said = ops.convert_to_numpy(as_probabilities(model, np.array(said, "float32")))
        expected = said if expected is None else expected
        measured[kind] = {
            "megabytes": size_of(path) / 1e6,
            "images_per_second": 1 / statistics.median(seconds),
            "top1_error": 100 * float(np.mean(said.argmax(1) != labels)),
            "same_top1": 100 * float(np.mean(said.argmax(1) == expected.argmax(1))),
            "largest_difference": float(np.abs(said - expected).max()),
        }
    results = store(workdir, command, {"settings": settings, "weights": options.weights, "formats": measured})
    print(table(results))
    return results


def table(results):
    """What was measured as Markdown."""
    lines = [
        "| format | MB | images/s, one at a time | top-1 error | same prediction | largest difference |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {kind} | {m['megabytes']:.2f} | {m['images_per_second']:,.0f} | {m['top1_error']:.2f}% | "
        f"{m['same_top1']:.1f}% | {m['largest_difference']:.1e} |"
        for kind, m in results["formats"].items()
    ]
    return "\n".join(lines)


def main(arguments=None):
    made = parser("export", __doc__)
    add_data_options(made)
    made.add_argument(
        "--formats",
        nargs="+",
        default=["saved_model", "onnx", "float16", "int8"],
        metavar="FORMAT",
        help="saved_model, onnx, float16 and int8, which are TFLite (default: all)",
    )
    made.add_argument("--images", type=int, default=1000, help="validation images to compare on (default: 1000)")
    return run(made, export, arguments)


if __name__ == "__main__":
    main()
