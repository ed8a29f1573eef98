"""Errors of trained networks, and of their predictions averaged over views and networks.

    alexnet evaluate --models runs/x/best.keras runs/y/best.keras ... --test-views ten_crop

Claim (section 6, table 2): on ILSVRC-2012 five networks averaged have errors of 38.1 and 16.4
(top-1 and top-5). One network has 40.7 and 18.2.

All networks are measured in one pass over the validation images, so all are in memory. A batch
takes 4 bytes for each class, network and crop.

With N networks, the table also has the errors of fewer networks. They are means over groups of
neighbors in the given order, the last one beside the first. So every network is in the same number
of groups.

Five networks on Imagenette, whose results are stored:

    for seed in 0 1 2 3 4; do alexnet train --preset small --dataset imagenette/320px-v2 \\
      --image-size 64 --crop-size 56 --epochs 40 --batch-size 64 --learning-rate 0.01 \\
      --precision mixed_bfloat16 --validation-freq 8 \\
      --seed $seed --workdir runs/ensemble/$seed; done
    alexnet evaluate --models runs/ensemble/?/last.keras --workdir results/evaluate
"""

import argparse
import dataclasses
import itertools
from typing import Any

from alexnet_keras.checks import MEAN_SUBTRACTIONS
from alexnet_keras.cli.command import import_package, run_command
from alexnet_keras.cli.trained_network import (
    add_data_options,
    check_classifier,
    check_positive,
    check_results_folder,
    claim_workdir,
    first_other_class,
    is_dataset_of,
    network_parser,
    open_dataset,
    print_summary,
    store_results,
    training_of,
)
from alexnet_keras.evaluation.view_names import CROP_LABELS, CROPS, TEST_VIEWS, check_test_views
from alexnet_keras.extras import require

# Table 2: errors of five networks minus errors of one, percentage points, by k of the top-k error.
_PAPER = {5: {1: 38.1 - 40.7, 5: 16.4 - 18.2}}


def evaluate(options: argparse.Namespace, command: str | None = None) -> dict:
    """Measures networks, single and averaged.

    Args:
        options: parsed command line.
        command: command line as text.

    Returns:
        Content of `results.json`.
    """
    import_package()
    if len(options.weights) > 1:
        require("comparing several networks", "scipy", "matplotlib")
    check_test_views(options.test_views, CROPS)
    check_positive(options, "batch_size")
    weights = _normalized_weights(options)
    models, fingerprints = _load(options)
    known = {
        "models": fingerprints,
        "test_views": options.test_views,
        "model_weights": options.model_weights,
    }
    if options.mean_subtraction:
        known["mean_subtraction"] = options.mean_subtraction
    check_results_folder(options, "evaluate", known)
    dataset = open_dataset(max(models, key=lambda model: model.input_shape[1]), options)
    settings = known | {"dataset": dataset.info.name, "image_size": dataset.info.image_size}
    workdir = claim_workdir(options, "evaluate", settings)
    print_summary(models, options, dataset)
    groups = _groups(len(models), weights)
    misses = _misses(models, dataset, groups, options)
    results = _results(options, dataset.info, misses, weights)
    results["settings"] |= settings
    results = store_results(workdir, command, results)
    print(table(results))
    _draw(workdir, dataset.info, misses, options)
    return results


def _load(options):
    """Loads the networks and checks that they go together; returns them with their fingerprints."""
    from alexnet_keras.evaluation.ensemble import check_ensemble
    from alexnet_keras.models import fingerprint, load_model

    models = [load_model(path, "models") for path in options.weights]
    for path, model in zip(options.weights, models, strict=True):
        check_classifier(model, path, "models")
    check_ensemble(models, options.weights)
    fingerprints = [fingerprint(model) for model in models]
    if len(set(fingerprints)) < len(fingerprints):
        raise ValueError(
            "`models` must differ. Received: the same network twice in "
            f"{', '.join(options.weights)}"
        )
    _check_trainings(options)
    return models, fingerprints


def _check_trainings(options):
    """Raises a `ValueError` if known trainings used different classes or images."""
    from alexnet_keras.record import as_stored
    from alexnet_keras.training.config import TrainingConfig

    trainings = {path: training_of(path) for path in options.weights}
    trainings = {path: training for path, training in trainings.items() if training}
    fields = ["class_subset", "mean_subtraction"]
    if options.image_size is None:
        fields.append("image_size")
    defaults = as_stored(dataclasses.asdict(TrainingConfig()))
    for field in fields:
        _check_same(
            field,
            {path: training.get(field, defaults[field]) for path, training in trainings.items()},
        )
    if not options.dataset:
        _check_same(
            "dataset",
            {
                path: training.get("dataset_path") or training.get("dataset", defaults["dataset"])
                for path, training in trainings.items()
            },
        )
    held_out = {
        path: training.get("hold_out_every", defaults["hold_out_every"])
        for path, training in trainings.items()
        if not options.dataset or is_dataset_of(options.dataset, training)
    }
    _check_same("hold_out_every", held_out)
    _check_class_names(trainings)


def _check_class_names(trainings):
    """Raises a `ValueError` if a label has another class in one of the trainings."""
    data = {path: training.get("data") or {} for path, training in trainings.items()}
    names = {path: one["class_names"] for path, one in data.items() if "class_names" in one}
    for (first, expected), (path, found) in itertools.pairwise(names.items()):
        label = first_other_class(expected, found)
        if label is not None:
            raise ValueError(
                "`models` must be trained on the same classes in the same order. Received: class "
                f"{label} is {expected[label]!r} in {first}, and {found[label]!r} in {path}"
            )


def _check_same(field, values):
    """Raises a `ValueError` if the trainings differ in a field; `values` are by path."""
    if len(set(map(str, values.values()))) > 1:
        received = ", ".join(f"{field}={value!r} in {path}" for path, value in values.items())
        raise ValueError(f"`models` must be trained with the same {field}. Received: {received}")


def _normalized_weights(options):
    """Returns the models' weights with a sum of 1, or `None` for equal weights."""
    import numpy as np

    weights = options.model_weights
    if weights is None:
        return None
    are_valid = all(0 <= weight < float("inf") for weight in weights) and any(weights)
    if len(weights) != len(options.weights) or not are_valid:
        raise ValueError(
            f"`model_weights` must be {len(options.weights)} numbers from 0, one for each model, "
            f"not all of them 0. Received: model_weights={weights}"
        )
    weights = np.array(weights) / max(weights)  # keeps the sum of large weights finite
    return (weights / weights.sum()).astype("float32")


def _group_name(count, weights=None):
    name = "1 network" if count == 1 else f"{count} networks"
    return name if weights is None else f"{name}, weighted"


def _groups(count, weights):
    """Returns a dict from names to the weights of all models, `(groups, models)`."""
    import numpy as np

    groups = {}
    for size in range(1, count + 1):
        first = np.arange(count if size < count else 1)
        members = (first[:, None] + np.arange(size)) % count
        members_weights = np.zeros((len(first), count), "float32")
        np.put_along_axis(members_weights, members, 1 / size, axis=1)
        groups[_group_name(size)] = members_weights
    if weights is not None:
        groups[_group_name(count, weights)] = weights[None]
    return groups


def _misses(models, dataset, groups, options):
    """Returns the misses in percent by name and k: float64 `(images, groups)`."""
    import keras
    import numpy as np
    from tqdm import tqdm

    from alexnet_keras.evaluation.ensemble import ensemble_model
    from alexnet_keras.evaluation.errors import top_k_miss

    ensemble = ensemble_model(models, dataset.info, options.test_views)
    misses = {name: {1: [], 5: []} for name in groups}
    with tqdm(total=dataset.info.validation_count, desc="Evaluating", unit="image") as bar:
        batches = dataset.validation_images(
            max(1, options.batch_size // TEST_VIEWS[options.test_views])
        )
        for images, labels in batches.as_numpy_iterator():
            probabilities = np.asarray(ensemble.predict_on_batch(images), "float32")
            _check_finite(probabilities, options.weights)
            for name, weights in groups.items():
                # From (images, models, classes) to (images, groups, classes).
                averaged = np.einsum("nmc,gm->ngc", probabilities, weights)
                for k, parts in misses[name].items():
                    missed = keras.ops.convert_to_numpy(top_k_miss(averaged, labels, k))
                    parts.append(missed)
            bar.update(len(labels))
    return {
        name: {k: 100.0 * np.concatenate(parts).astype("float64") for k, parts in by_k.items()}
        for name, by_k in misses.items()
    }


def _check_finite(probabilities, paths):
    """Raises a `ValueError` that names the models whose predictions are not finite."""
    import numpy as np

    are_finite = np.isfinite(probabilities).all((0, 2))
    if not are_finite.all():
        names = ", ".join(np.array(paths)[~are_finite])
        raise ValueError(
            f"`models` must predict probabilities. Received: {names}, with NaN or infinity for "
            "some images"
        )


def _errors(misses):
    """Returns a dict from a group's name to the errors of each of its groups."""
    errors = {}
    for name, by_k in misses.items():
        count = by_k[1].shape[1]
        errors[name] = [
            {f"top{k}_error": float(by_k[k][:, g].mean()) for k in (1, 5)} for g in range(count)
        ]
    return errors


def _results(options, info, misses, weights):
    from alexnet_keras.evaluation.statistics import summary

    count = len(options.weights)
    errors = _errors(misses)
    main_names = (_group_name(1), _group_name(count, weights))
    means = {
        name: {
            f"top{k}_error": sum(error[f"top{k}_error"] for error in each) / len(each)
            for k in (1, 5)
        }
        for name, each in errors.items()
    }
    variants = {
        name: {**summary([error["top1_error"] for error in each]), "learning_rates": []}
        for name, each in errors.items()
        if name in main_names
    }
    models = [
        {
            "weights": path,
            "data": {
                "name": info.name,
                "validation_count": info.validation_count,
                "splits": list(info.splits),
            },
            "errors": error,
        }
        for path, error in zip(options.weights, errors[_group_name(1)], strict=True)
    ]
    return {
        "experiment": "evaluate",
        "section": "section 6, table 2",
        "target": None,
        "settings": {"metric": _metric_name(1, options.test_views)},
        "models": models,
        "errors": means,
        "variants": variants,
        "comparisons": [_comparison(k, misses, options, weights) for k in (1, 5) if count > 1],
    }


def _metric_name(k, views):
    return f"top-{k} error on {CROP_LABELS[views]} (%)"


def _comparison(k, misses, options, weights):
    """Compares all networks averaged with one network, image by image."""
    from alexnet_keras.evaluation.statistics import paired_difference

    count = len(options.weights)
    averaged = _group_name(count, weights)
    single = _group_name(1)
    paper = None
    if weights is None:
        paper = _PAPER.get(count, {}).get(k)
    metric = _metric_name(k, options.test_views)
    return {
        "variant": averaged,
        "baseline": single,
        "paper": paper,
        "side": -1 if paper is None else 0,
        "claim": "Networks averaged have lower errors than one",
        "metric": metric,
        "baseline_metric": metric,
        **paired_difference(misses[averaged][k].mean(1), misses[single][k].mean(1)),
        "of": f"images, the same {count} networks",
        "unit": "percentage points",
        "no_effect": 0.0,
    }


def _draw(workdir, info, misses, options):
    """Draws the errors by the number of networks, if there are several."""
    from alexnet_keras.plots import plot_ensembles, save_figure

    count = len(options.weights)
    if count == 1:
        return
    errors = _errors(misses)
    curves = {size: errors[_group_name(size)] for size in range(1, count + 1)}
    title = f"{info.name}, {CROP_LABELS[options.test_views]}: predictions averaged over networks"
    save_figure(plot_ensembles(curves, title), workdir / "ensembles.png")


def table(results: dict) -> str:
    """Returns the errors as Markdown."""
    lines = [
        f"| {CROP_LABELS[results['settings']['test_views']]} | top-1 error | top-5 error |",
        "|---|---|---|",
    ]
    rows = {model["weights"]: model["errors"] for model in results["models"]}
    if len(results["models"]) > 1:
        rows |= results["errors"]
    lines += [
        f"| {name} | {row['top1_error']:.2f}% | {row['top5_error']:.2f}% |"
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None, prog: str = "alexnet evaluate") -> Any:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    parser = network_parser("evaluate", __doc__, several="are averaged", flag="--models", prog=prog)
    add_data_options(parser)
    parser.add_argument(
        "--mean-subtraction",
        choices=MEAN_SUBTRACTIONS,
        help="subtract the mean image of the data, or its mean color, which imported weights need "
        "(default: as in training, or else image)",
    )
    parser.add_argument(
        "--test-views", default="ten_crop", help="center, ten_crop or nine_crop (default: ten_crop)"
    )
    parser.add_argument(
        "--model-weights",
        type=float,
        nargs="+",
        metavar="W",
        help="weights of the models in the mean (default: equal)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=250,
        help="crops in a batch, for each network (default: 250)",
    )
    return run_command(parser, evaluate, arguments, resumes=False)
