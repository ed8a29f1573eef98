"""Errors of trained networks, alone and together: predictions averaged over views of each image, and over networks.

    python -m experiments.evaluate --models runs/x/best.keras runs/y/best.keras ... --views 10

The claim (section 6, table 2): on ILSVRC-2012 five networks averaged have errors of 38.1 and 16.4 (top-1 and top-5),
one has 40.7 and 18.2: 2.6 and 1.8 points more. All networks are measured in one pass over the validation images, so
that they lie in memory together: 244 MB for one of the paper's, and 4 bytes for each class of each network and crop of
a batch (109 MB for five networks of 21,841 classes).

Errors of fewer networks than there are (table, picture): the mean over groups of neighbours in the order they are
given in, the last beside the first, so that each network is in as many groups as any other.

Five networks as the ablations start from, two minutes and a half each on two cores:

    for seed in 0 1 2 3 4; do python -m experiments.train --config cifar --epochs 16 --overrides \\
      "filters=(16, 32, 48, 48, 32, 32)" "units=(256, 256)" normalization_alpha=0.4096 \\
      conv1_kernel_stddev=None \\
      --seed $seed --workdir runs/ensemble/$seed; done
    python -m experiments.evaluate --models runs/ensemble/?/last.keras --workdir results/evaluate

Figures, of CIFAR-10 (JPEG 80): one network has errors of 31.60% and 2.37% on ten crops, five averaged of 30.16% and
2.03%: 1.44 points less [1.09, 1.78] and 0.34 less [0.20, 0.48]; three do as well as five.
"""

import dataclasses
import json

from experiments.framework.cli import run
from experiments.framework.trained_network import (
    add_data_options,
    check_classifier,
    claim_workdir,
    open_dataset,
    parser,
    say,
    store,
    training_of,
)

# Table 2: five networks less one, percentage points.
_PAPER = {5: {1: 38.1 - 40.7, 5: 16.4 - 18.2}}


def evaluate(options, command=None):
    """Measures the networks; the arguments are those of the command line.

    Returns:
        What is in `results.json`.
    """
    import numpy as np
    from tqdm import tqdm

    from alexnet_keras.evaluation.ensemble import check_ensemble, ensemble_model
    from alexnet_keras.evaluation.errors import top_k_miss
    from alexnet_keras.models import fingerprint, load_model
    from alexnet_keras.plots import plot_ensembles, save_figure

    if options.views not in (1, 10):
        raise ValueError(f"`views` must be 1 or 10. Received: views={options.views}")
    if options.batch_size < 1:
        raise ValueError(f"`batch_size` must be positive. Received: batch_size={options.batch_size}")
    shares = _shares(options)
    models = [load_model(path, "models") for path in options.weights]
    for path, model in zip(options.weights, models, strict=True):
        check_classifier(model, path, "models")
    check_ensemble(models, options.weights)
    prints = [fingerprint(model) for model in models]
    if len(set(prints)) < len(prints):
        raise ValueError(f"`models` must differ. Received: the same network twice in {', '.join(options.weights)}")
    _check_trainings(options)
    dataset = open_dataset(max(models, key=lambda model: model.input_shape[1]), options)
    info = dataset.info
    settings = {
        **{"models": prints, "dataset": info.name, "image_size": info.image_size, "views": options.views},
        "model_weights": options.model_weights,
        **({"mean": options.mean} if options.mean else {}),
    }
    workdir = claim_workdir(options, "evaluate", settings)
    say(models, options, dataset)

    whole = ensemble_model(models, info, options.views)
    count, groups = len(models), _groups(len(models), shares)
    misses = {name: {1: [], 5: []} for name in groups}
    with tqdm(total=info.validation_count, desc="Evaluating", unit="image") as bar:
        batches = dataset.validation_images(max(1, options.batch_size // options.views))
        for images, labels in batches.as_numpy_iterator():
            probabilities = np.asarray(whole.predict_on_batch(images), "float32")
            numbers = np.isfinite(probabilities).all((0, 2))
            if not numbers.all():
                raise ValueError(
                    "`models` must predict probabilities. Received: "
                    f"{', '.join(np.array(options.weights)[~numbers])}, of some images something that is no number"
                )
            for name, weights in groups.items():
                # (images, models, classes) to (images, groups of so many models, classes)
                averaged = np.einsum("nmc,gm->ngc", probabilities, weights)
                for k, parts in misses[name].items():
                    parts.append(np.asarray(top_k_miss(averaged, labels, k)))
            bar.update(len(labels))
    wrong = {
        name: {k: 100.0 * np.concatenate(parts).astype("float64") for k, parts in of_k.items()}
        for name, of_k in misses.items()
    }  # (images, groups), percent
    errors = {
        name: [{f"top{k}_error": float(wrong[name][k][:, g].mean()) for k in (1, 5)} for g in range(len(weights))]
        for name, weights in groups.items()
    }
    all_together = _words(count, shares)
    results = _results(options, info, errors, wrong, all_together, shares)
    if count > 1:
        curves = {size: errors[_words(size)] for size in range(1, count + 1) if _words(size) in errors}
        title = f"{info.name}, {_view_words(options.views)}: predictions averaged over networks"
        save_figure(plot_ensembles(curves, title), workdir / "ensembles.png")
    results = store(workdir, command, {**results, "settings": {**results["settings"], **settings}})
    print(table(results))
    return results


def _check_trainings(options):
    """Raises a `ValueError` where the models' trainings, as far as they are known, saw other classes or images."""
    from alexnet_keras.training.config import TrainingConfig

    fields = ["only_classes", "mean"]
    fields += [] if options.dataset else ["dataset", "held_out"]
    fields += [] if options.image_size else ["image_size"]
    defaults = json.loads(json.dumps(dataclasses.asdict(TrainingConfig())))
    known = {path: training for path in options.weights if (training := training_of(path))}
    for field in fields:
        values = {path: training.get(field, defaults[field]) for path, training in known.items()}
        if len(set(map(str, values.values()))) > 1:
            raise ValueError(
                f"`models` must be trained with the same {field}. Received: "
                + ", ".join(f"{field}={value!r} in {path}" for path, value in values.items())
            )


def _shares(options):
    """The models' weights as parts of one, or `None` where all count the same."""
    import numpy as np

    weights = options.model_weights
    if weights is None:
        return None
    if len(weights) != len(options.weights) or not all(0 <= w < float("inf") for w in weights) or not any(weights):
        raise ValueError(
            f"`model_weights` must be {len(options.weights)} numbers from 0, one for each model, not all of them 0. "
            f"Received: model_weights={weights}"
        )
    weights = np.array(weights) / max(weights)  # whose sum is a number, however large they are
    return (weights / weights.sum()).astype("float32")


def _words(count, shares=None):
    return f"{count} network{'s' * (count > 1)}" + (", weighted" if shares is not None else "")


def _view_words(views):
    return "ten crops" if views == 10 else "the centre crop"


def _groups(count, shares):
    """By name, the shares of the models in each of the groups of one size, `(groups, models)`."""
    import numpy as np

    groups = {}
    for size in range(1, count + 1):
        first = np.arange(count if size < count else 1)
        members = (first[:, None] + np.arange(size)) % count
        weights = np.zeros((len(first), count), "float32")
        np.put_along_axis(weights, members, 1 / size, axis=1)
        groups[_words(size)] = weights
    if shares is not None:
        groups[_words(count, shares)] = shares[None]
    return groups


def _results(options, info, errors, wrong, all_together, shares):
    from experiments.framework.statistics import paired_difference, summary

    count = len(options.weights)
    metric = f"top-{{}} error on {_view_words(options.views)} (%)"
    comparisons = []
    for k in (1, 5):
        if count == 1:
            break
        paper = None if shares is not None else _PAPER.get(count, {}).get(k)
        comparisons.append(
            {
                "variant": all_together,
                "baseline": _words(1),
                "paper": paper,
                "side": -1 if paper is None else 0,
                "claim": "Networks averaged have lower errors than one",
                "metric": metric.format(k),
                "baseline_metric": metric.format(k),
                **paired_difference(wrong[all_together][k].mean(1), wrong[_words(1)][k].mean(1)),
                "of": f"images, the same {count} networks",
                "unit": "percentage points",
                "no_effect": 0.0,
            }
        )
    variants = {
        name: {**summary([error["top1_error"] for error in each]), "learning_rates": []}
        for name, each in errors.items()
        if name in (_words(1), all_together)
    }
    return {
        "experiment": "evaluate",
        "section": "section 6, table 2",
        "target": None,
        "settings": {"metric": metric.format(1)},
        "models": [
            {"weights": path, "data": {"name": info.name}, "errors": error}
            for path, error in zip(options.weights, errors[_words(1)], strict=True)
        ],
        "errors": {
            name: {f"top{k}_error": sum(e[f"top{k}_error"] for e in each) / len(each) for k in (1, 5)}
            for name, each in errors.items()
        },
        "variants": variants,
        "comparisons": comparisons,
    }


def table(results):
    """The errors as Markdown."""
    lines = [f"| {_view_words(results['settings']['views'])} | top-1 error | top-5 error |", "|---|---|---|"]
    rows = {model["weights"]: model["errors"] for model in results["models"]}
    rows |= {name: errors for name, errors in results["errors"].items() if len(results["models"]) > 1}
    lines += [f"| {name} | {row['top1_error']:.2f}% | {row['top5_error']:.2f}% |" for name, row in rows.items()]
    return "\n".join(lines)


def main(arguments=None):
    made = parser("evaluate", __doc__, several="whose predictions are averaged", flag="--models")
    add_data_options(made)
    made.add_argument(
        "--mean",
        choices=("image", "colour"),
        help="what is subtracted: the mean image of the data, or its mean colour, as for weights from elsewhere "
        "(default: as in training, else image)",
    )
    made.add_argument("--views", type=int, default=10, help="1 for the centre crop, 10 for ten crops (default: 10)")
    made.add_argument(
        "--model-weights", type=float, nargs="+", metavar="W", help="how much each model counts (default: the same)"
    )
    made.add_argument("--batch-size", type=int, default=250, help="crops at a time, of each network (default: 250)")
    return run(made, evaluate, arguments)


if __name__ == "__main__":
    main()
