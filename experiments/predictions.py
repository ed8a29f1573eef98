"""Images with the five most probable labels of a trained network: figure 4, left, of the paper.

    python -m experiments.predictions --weights runs/x/best.keras --show mistakes

The command classifies all validation images on their center crop. It shows random ones, chosen ones
by their numbers (--show 3 14 15), or the mistakes with the highest probability.
"""

import argparse
from typing import TYPE_CHECKING

from alexnet_keras.cli.command import run_command
from alexnet_keras.cli.trained_network import (
    add_data_options,
    check_classifier,
    check_positive,
    check_results_folder,
    check_seed,
    claim_workdir,
    images_at,
    network_parser,
    open_dataset,
    print_summary,
    store_results,
)

if TYPE_CHECKING:
    import keras
    import numpy as np

    from alexnet_keras.data import Dataset

_TITLES = {"random": "random validation images", "mistakes": "the most confident mistakes"}


def predictions(options: argparse.Namespace, command: str | None = None) -> dict:
    """Classifies the validation images and draws some of them.

    Args:
        options: parsed command line.
        command: command line as text.

    Returns:
        Content of `results.json`.
    """
    from alexnet_keras.evaluation.probabilities import ends_in_logits
    from alexnet_keras.models import fingerprint, load_model

    _check(options)
    model = load_model(options.weights)
    check_classifier(model, options.weights)
    ends_in_logits(model, options.weights)  # raises for a model without probabilities
    known = {
        "model": fingerprint(model),
        "show": options.show,
        "count": options.count,
        "seed": options.seed,
    }
    check_results_folder(options, "predictions", known)
    dataset = open_dataset(model, options)
    info = dataset.info
    _check_numbers(options, info)
    settings = known | {"dataset": info.name, "image_size": info.image_size}
    workdir = claim_workdir(options, "predictions", settings)
    print_summary([model], options, dataset)
    probabilities, labels = classify(model, dataset, options.batch_size)
    numbers = _numbers_to_show(options, probabilities, labels)
    errors = _errors(probabilities, labels)
    print(
        f"Top-1 error {errors['top1_error']:.2f}%, top-5 error {errors['top5_error']:.2f}% "
        "(center crop)"
    )
    results = {
        "settings": settings,
        "weights": options.weights,
        "errors": {"center": errors},
        "images": _described(numbers, probabilities, labels, info),
    }
    results = store_results(workdir, command, results)
    if numbers:
        _draw(workdir, dataset, options, numbers, probabilities, labels)
    return results


def _check(options):
    """Raises a `ValueError` for options that can't be used."""
    check_positive(options, "count", "batch_size")
    check_seed(options)
    are_numbers = all(number.isdecimal() for number in options.show)
    if options.show not in (["random"], ["mistakes"]) and not are_numbers:
        raise ValueError(
            "`show` must be random, mistakes, or numbers of validation images. "
            f"Received: show={' '.join(options.show)}"
        )


def _check_numbers(options, info):
    """Raises a `ValueError` for a number that no validation image has."""
    numbers = [int(number) for number in options.show if number.isdecimal()]
    if max(numbers, default=0) >= info.validation_count:
        raise ValueError(
            f"`show` must be numbers below {info.validation_count}, the number of validation "
            f"images. Received: show={' '.join(options.show)}"
        )


def _numbers_to_show(options, probabilities, labels):
    import numpy as np

    if options.show == ["mistakes"]:
        numbers = confident_mistakes(probabilities, labels)[: options.count]
    elif options.show == ["random"]:
        numbers = np.random.default_rng(options.seed).permutation(len(labels))[: options.count]
    else:
        numbers = options.show
    return [int(number) for number in numbers]


def _draw(workdir, dataset, options, numbers, probabilities, labels):
    from alexnet_keras.plots import in_words, plot_predictions, save_figure

    kind = _TITLES.get(options.show[0], "chosen validation images")
    title = f"{dataset.info.name}: {kind}; the correct label is above each image, and hatched"
    names = in_words(dataset.info.class_names)
    images = images_at(dataset, numbers)
    figure = plot_predictions(images, probabilities[numbers], labels[numbers], names, title=title)
    save_figure(figure, workdir / "predictions.png")


def _errors(probabilities, labels):
    """The top-1 and top-5 error in percent."""
    import keras

    from alexnet_keras.evaluation.errors import top_k_miss

    return {
        f"top{k}_error": 100 * float(keras.ops.mean(top_k_miss(probabilities, labels, k)))
        for k in (1, 5)
    }


def _described(numbers, probabilities, labels, info):
    """The label and the five most probable labels of some images."""
    from alexnet_keras.plots import in_words

    names = in_words(info.class_names)
    described = []
    for number in numbers:
        most_probable = (-probabilities[number]).argsort()[:5]
        described.append(
            {
                "number": number,
                "label": names[labels[number]],
                "probabilities": {
                    names[guess]: float(probabilities[number, guess]) for guess in most_probable
                },
            }
        )
    return described


def classify(
    model: "keras.Model", dataset: "Dataset", batch_size: int = 128
) -> tuple["np.ndarray", "np.ndarray"]:
    """Returns a model's probabilities for the validation images, on their center crop.

    Returns:
        `(probabilities, labels)`: float32 `(images, classes)` and int32 `(images,)`.
    """
    import numpy as np
    from keras import ops
    from tqdm import tqdm

    from alexnet_keras.evaluation.probabilities import as_probabilities

    all_probabilities = []
    all_labels = []
    with tqdm(total=dataset.info.validation_count, desc="Classifying", unit="image") as bar:
        for images, labels in dataset.validation(batch_size).as_numpy_iterator():
            probabilities = as_probabilities(model, model.predict_on_batch(images))
            all_probabilities.append(ops.convert_to_numpy(probabilities))
            all_labels.append(labels)
            bar.update(len(labels))
    return np.concatenate(all_probabilities), np.concatenate(all_labels)


def confident_mistakes(probabilities: "np.ndarray", labels: "np.ndarray") -> "np.ndarray":
    """Returns the numbers of misclassified images, the most probable mistakes first."""
    import numpy as np

    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")]


def main(arguments=None):
    parser = network_parser("predictions", __doc__)
    add_data_options(parser)
    parser.add_argument(
        "--show",
        nargs="+",
        default=["random"],
        help="random, mistakes, or numbers of images (default: random)",
    )
    parser.add_argument(
        "--count", type=int, default=8, help="number of random images or mistakes (default: 8)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the choice of random images (default: 0)"
    )
    parser.add_argument(
        "--batch-size", type=int, default=128, help="images in a batch (default: 128)"
    )
    return run_command(parser, predictions, arguments, resumes=False)


if __name__ == "__main__":
    main()
