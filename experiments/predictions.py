"""Images with the five labels that a trained network finds most probable: figure 4, left, of the paper.

    python -m experiments.predictions --weights runs/x/best.keras --show mistakes

Random validation images, chosen ones by their numbers (--show 3 14 15), or the mistakes that the network is most sure
of. All validation images are classified, on their centre crop.

Time: seconds for CIFAR-10 and a small network.
"""

from experiments.framework.cli import run
from experiments.framework.trained_network import (
    add_data_options,
    check_classifier,
    claim_workdir,
    open_dataset,
    parser,
    say,
    store,
)


def predictions(options, command=None):
    """Classifies the validation images and draws some of them; the arguments are those of the command line.

    Returns:
        What is in `results.json`.
    """
    import numpy as np

    from alexnet_keras.evaluation.errors import top_k_miss
    from alexnet_keras.evaluation.probabilities import ends_in_logits
    from alexnet_keras.models import fingerprint, load_model
    from alexnet_keras.plots import in_words, plot_predictions, save_figure

    for name in ("count", "batch_size"):
        if getattr(options, name) < 1:
            raise ValueError(f"`{name}` must be positive. Received: {name}={getattr(options, name)}")
    if options.show not in (["random"], ["mistakes"]) and not all(number.isdecimal() for number in options.show):
        raise ValueError(
            f"`show` must be random, mistakes, or numbers of validation images. Received: show={' '.join(options.show)}"
        )
    model = load_model(options.weights)
    check_classifier(model, options.weights)
    ends_in_logits(model, options.weights)  # an error for a model that ends in something else
    dataset = open_dataset(model, options)
    info = dataset.info
    chosen = [int(number) for number in options.show if number.isdecimal()]
    if max(chosen, default=0) >= info.validation_count:
        raise ValueError(
            f"`show` must be numbers below {info.validation_count}, that of the validation images. "
            f"Received: show={' '.join(options.show)}"
        )
    settings = {
        **{"model": fingerprint(model), "dataset": info.name, "image_size": info.image_size, "show": options.show},
        **{"count": options.count, "seed": options.seed},
    }
    workdir = claim_workdir(options, "predictions", settings)
    say([model], options, dataset)

    probabilities, labels = classify(model, dataset, options.batch_size)
    if options.show == ["mistakes"]:
        chosen = confident_mistakes(probabilities, labels)[: options.count]
    elif options.show == ["random"]:
        random = np.random.default_rng(options.seed)
        chosen = random.permutation(len(labels))[: options.count]
    chosen = [int(number) for number in chosen]
    errors = {f"top{k}_error": 100 * float(np.mean(top_k_miss(probabilities, labels, k))) for k in (1, 5)}
    names = in_words(info.class_names)
    words = {"random": "random validation images", "mistakes": "the mistakes it is most sure of"}
    what = words.get(options.show[0], "chosen validation images")
    title = f"{info.name}: {what}; the correct label is above each image, and hatched"
    if chosen:
        figure = plot_predictions(images_at(dataset, chosen), probabilities[chosen], labels[chosen], names, title=title)
        save_figure(figure, workdir / "predictions.png")
    results = {
        "settings": settings,
        "weights": options.weights,
        "errors": {"centre_crop": errors},
        "images": [
            {
                "number": number,
                "label": names[labels[number]],
                "probabilities": {
                    names[guess]: float(probabilities[number, guess])
                    for guess in np.argsort(-probabilities[number])[:5]
                },
            }
            for number in chosen
        ],
    }
    print(f"Top-1 error {errors['top1_error']:.2f}%, top-5 error {errors['top5_error']:.2f}% (centre crop)")
    return store(workdir, command, results)


def classify(model, dataset, batch_size=128):
    """A model's probabilities for the validation images, on their centre crop.

    Returns:
        `(probabilities, labels)`: float32 `(images, classes)` and int32 `(images,)`.
    """
    import numpy as np
    from keras import ops
    from tqdm import tqdm

    from alexnet_keras.evaluation.probabilities import as_probabilities

    parts = []
    with tqdm(total=dataset.info.validation_count, desc="Classifying", unit="image") as bar:
        for images, labels in dataset.validation(batch_size).as_numpy_iterator():
            probabilities = as_probabilities(model, model.predict_on_batch(images))
            parts.append((ops.convert_to_numpy(probabilities), labels))
            bar.update(len(labels))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def confident_mistakes(probabilities, labels):
    """Numbers of the images whose most probable label is wrong, the most probable first."""
    import numpy as np

    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")]


def images_at(dataset, numbers, split="validation"):
    """The centre crops of some validation or training images, uint8 `(count, crop_size, crop_size, 3)`, by number."""
    import numpy as np

    from alexnet_keras.data.info import centre

    batches = dataset.validation_images() if split == "validation" else dataset.training_images()
    wanted, found, first = set(numbers), {}, 0
    for images, labels in batches.as_numpy_iterator():
        for number in wanted.intersection(range(first, first + len(labels))):
            found[number] = centre(images[number - first], dataset.info.crop_size)
        first += len(labels)
        if len(found) == len(wanted):
            break
    return np.stack([found[number] for number in numbers])


def main(arguments=None):
    made = parser("predictions", __doc__)
    add_data_options(made)
    made.add_argument(
        "--show", nargs="+", default=["random"], help="random, mistakes, or numbers of images (default: random)"
    )
    made.add_argument("--count", type=int, default=8, help="random images or mistakes that are shown (default: 8)")
    made.add_argument("--seed", type=int, default=0, help="fixes the random images (default: 0)")
    made.add_argument("--batch-size", type=int, default=128, help="images at a time (default: 128)")
    return run(made, predictions, arguments)


if __name__ == "__main__":
    main()
