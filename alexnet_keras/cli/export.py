"""Exports a trained network to other formats, and compares the files with it.

    alexnet export --weights runs/x/best.keras --formats saved_model onnx float16 int8

Each file is loaded by its own runtime (TensorFlow, ONNX Runtime, LiteRT). It gets the same
validation images as the network, one at a time. The table has its size, speed, error, and the
largest difference of a probability.

ONNX and TFLite need `pip install 'alexnet_keras[export]'`.
"""

import argparse
import statistics
import time
from typing import Any

from alexnet_keras.cli.command import import_package, run_command
from alexnet_keras.cli.trained_network import (
    add_data_options,
    check_positive,
    check_results_folder,
    claim_workdir,
    network_parser,
    open_dataset,
    print_summary,
    store_results,
)


def export(options: argparse.Namespace, command: str | None = None) -> dict:
    """Exports a network and compares the files with it.

    Args:
        options: parsed command line.
        command: command line as text.

    Returns:
        Content of `results.json`.
    """
    import_package()
    from alexnet_keras.evaluation.probabilities import ends_in_logits
    from alexnet_keras.export import check_formats
    from alexnet_keras.models import fingerprint, load_model
    from alexnet_keras.models.saved import check_exists

    check_positive(options, "images")
    check_exists(options.weights)
    check_formats(options.formats)
    model = load_model(options.weights)
    ends_in_logits(model, options.weights)  # raises for a model without probabilities
    known = {
        "model": fingerprint(model),
        "formats": options.formats,
        "images": options.images,
    }
    check_results_folder(options, "export", known)
    dataset = open_dataset(model, options)
    info = dataset.info
    settings = known | {"dataset": info.name, "image_size": info.image_size}
    workdir = claim_workdir(options, "export", settings)
    print_summary([model], options, dataset)
    images, labels = next(
        dataset.validation(min(options.images, info.validation_count)).as_numpy_iterator()
    )
    measured = {}
    expected = None
    for kind, (path, predict) in _predictors(model, options, workdir).items():
        probabilities, seconds = _predict_one_by_one(kind, predict, images, model)
        if expected is None:  # the network itself comes first
            expected = probabilities
        measured[kind] = _compared(path, probabilities, seconds, expected, labels)
    results = store_results(
        workdir, command, {"settings": settings, "weights": options.weights, "formats": measured}
    )
    print(table(results))
    return results


def _predictors(model, options, workdir):
    """Writes missing files; returns path and predict function of network and files."""
    import numpy as np

    from alexnet_keras.export import FORMATS, load_exported
    from alexnet_keras.export import export as write

    predictors: dict[str, tuple] = {
        "keras": (options.weights, lambda image: np.asarray(model.predict_on_batch(image)))
    }
    for kind in options.formats:
        path = workdir / f"{kind}{FORMATS[kind][0]}"
        if path.exists():
            print(f"Stored already: {path}", flush=True)
        else:
            print(f"Writing {path}", flush=True)
            write(model, path, kind)
        predictors[kind] = path, load_exported(path, kind)
    return predictors


def _predict_one_by_one(kind, predict, images, model):
    """Returns the probabilities of images, and the seconds that each took."""
    import numpy as np
    from keras import ops
    from tqdm import tqdm

    from alexnet_keras.evaluation.probabilities import as_probabilities

    seconds = []
    predictions = []
    for image in tqdm(images, kind, unit="image"):
        start = time.perf_counter()
        predictions.append(predict(image[None])[0])
        seconds.append(time.perf_counter() - start)
    return ops.convert_to_numpy(as_probabilities(model, np.array(predictions, "float32"))), seconds


def _compared(path, probabilities, seconds, expected, labels):
    """Returns the size, speed and error of a file, and its difference from the network."""
    import numpy as np

    from alexnet_keras.export import size_of

    predicted = probabilities.argmax(1)
    return {
        "megabytes": size_of(path) / 1e6,
        "images_per_second": 1 / statistics.median(seconds),
        "top1_error": 100 * float(np.mean(predicted != labels)),
        "same_top1": 100 * float(np.mean(predicted == expected.argmax(1))),
        "largest_difference": float(np.abs(probabilities - expected).max()),
    }


def table(results: dict) -> str:
    """Returns the measurements as Markdown."""
    lines = [
        "| format | MB | images/s, one at a time | top-1 error | same prediction "
        "| largest difference |",
        "|---|---|---|---|---|---|",
    ]
    for kind, measured in results["formats"].items():
        lines.append(
            f"| {kind} | {measured['megabytes']:.2f} | {measured['images_per_second']:,.0f} | "
            f"{measured['top1_error']:.2f}% | {measured['same_top1']:.1f}% | "
            f"{measured['largest_difference']:.1e} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None, prog: str = "alexnet export") -> Any:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    parser = network_parser("export", __doc__, prog=prog)
    add_data_options(parser)
    parser.add_argument(
        "--formats",
        nargs="+",
        default=["saved_model", "onnx", "float16", "int8"],
        metavar="FORMAT",
        help="saved_model, onnx, and float16 or int8 for TFLite (default: all)",
    )
    parser.add_argument(
        "--images",
        type=int,
        default=1000,
        help="number of validation images to compare on (default: 1000)",
    )
    return run_command(parser, export, arguments)
