"""Kernels of trained networks: figure 3 of the paper, and whether the towers differ in color.

    python -m experiments.kernels --weights runs/x/best.keras
    python -m experiments.kernels --weights runs/seed0/best.keras runs/seed1/best.keras \\
      --workdir results/kernels

Claim (section 6.1): the kernels on GPU 1 are largely color-agnostic, the kernels on GPU 2 largely
color-specific. This holds in every run, whatever the initial weights.

The command measures the share of each kernel's energy off the gray axis. A permutation test
compares the gap between the towers' means with the gaps of random towers of the same kernels.
Spatial frequency and orientation are measured as well. Every training keeps its kernels in a folder
`snapshots`, which --snapshots and --epoch read.
"""

import argparse
import dataclasses
from collections import Counter
from pathlib import Path

from alexnet_keras.cli.command import run_command
from alexnet_keras.cli.trained_network import (
    add_data_options,
    check_positive,
    check_results_folder,
    check_seed,
    claim_workdir,
    kernels_in_rgb,
    network_parser,
    open_dataset,
    preparation_of_training,
    print_summary,
    store_results,
    swap_colors,
    training_of,
)

MEASURES = ("colorfulness", "spatial_frequency", "selectivity")


def kernels(options: argparse.Namespace, command: str | None = None) -> dict:
    """Measures, tests and draws the kernels of networks.

    Args:
        options: parsed command line.
        command: command line as text.

    Returns:
        Content of `results.json`.
    """
    from alexnet_keras.analysis import kernel_measures, layer_kernels
    from alexnet_keras.models import fingerprint

    _check(options)
    models = _load(options)
    _check_layers(options, models)
    settings = {
        "models": [fingerprint(model) for model in models.values()],
        "permutations": options.permutations,
        "seed": options.seed,
        "epoch": options.epoch,
    }
    check_results_folder(options, "kernels", settings)
    measures = {label: kernel_measures(layer_kernels(model)) for label, model in models.items()}
    snapshots = _snapshots_in_rgb(options.snapshots) if options.snapshots else None
    dataset, image = _dataset_and_image(models, options)
    workdir = claim_workdir(options, "kernels", settings)
    print_summary(models.values(), options, dataset)

    _draw_kernels(workdir, models, options)
    _draw_feature_maps(workdir, models, options.feature_maps, image, dataset)
    _draw_snapshots(workdir, snapshots)
    tests = _tests(measures, options)
    comparisons = [_comparison(tests["colorfulness"])] if tests else []
    _draw_tests(workdir, measures, tests, comparisons)
    described = [
        _described(path, measures[label])
        for label, path in zip(models, options.weights, strict=True)
    ]
    results = _results(settings, described, tests, comparisons)
    results = store_results(workdir, command, results)
    print(table(results))
    return results


def _results(settings, described, tests, comparisons):
    metric = "colorfulness of conv1 (share of energy off the gray axis)"
    return {
        "experiment": "kernels",
        "section": "section 6.1",
        "target": None,
        "settings": {"metric": metric, **settings},
        "models": described,
        "tests": tests,
        "variants": {},
        "comparisons": comparisons,
    }


def _check(options):
    """Raises a `ValueError` for options that can't be used, or not together."""
    check_positive(options, "permutations")
    check_seed(options)
    if options.epoch is not None and (options.layers or options.feature_maps):
        raise ValueError(
            "`epoch` can't be combined with `layers` or `feature_maps`, as a training only keeps "
            f"the kernels of conv1. Received: epoch={options.epoch}, layers={options.layers}, "
            f"feature_maps={options.feature_maps}"
        )
    if options.feature_maps:
        return
    for name in ("image", "dataset", "image_size"):
        value = getattr(options, name)
        if value is not None:
            raise ValueError(
                f"`{name}` needs `feature_maps` (--feature-maps), the layers to draw. "
                f"Received: {name}={value!r}"
            )


def _load(options):
    """Returns a dict from labels to the networks, with the kernels of `--epoch` if it is given."""
    from alexnet_keras.models import load_model
    from alexnet_keras.models.inspection import layer_of

    models = dict(zip(_labels(options.weights), map(load_model, options.weights), strict=True))
    for model in models.values():
        layer_of(model, "conv1", "weights")
    if options.epoch is not None:
        for path, model in zip(options.weights, models.values(), strict=True):
            _restore_kernels(model, Path(path).parent / "snapshots", options.epoch)
    return models


def _restore_kernels(model, folder, epoch):
    """Gives a model the kernels that its training kept in a folder after an epoch."""
    from alexnet_keras.analysis import read_snapshots

    snapshots = {snapshot.epoch: snapshot for snapshot in read_snapshots(folder)}
    if epoch not in snapshots:
        raise ValueError(
            f"`epoch` must be one of {sorted(snapshots)}, the epochs in {folder}. "
            f"Received: epoch={epoch}"
        )
    snapshot = snapshots[epoch]
    # The towers one after another.
    kernels = snapshot.kernels.reshape(-1, *snapshot.kernels.shape[2:])
    model.get_layer(snapshot.layer).kernel.assign(kernels.transpose(1, 2, 3, 0))


def _check_layers(options, models):
    """Raises a `ValueError` for layers that the models lack, or that can't be drawn."""
    from alexnet_keras.analysis import layer_kernels
    from alexnet_keras.models.inspection import layer_of

    for layer in ("conv1", *options.layers):
        for model in models.values():
            layer_kernels(model, layer, "weights")
    for layer in options.feature_maps:
        output = layer_of(next(iter(models.values())), layer, "weights").output
        if len(output.shape) != 4:
            raise ValueError(
                "`feature_maps` (--feature-maps) must be layers with output maps. "
                f"Received: {layer!r} of output {output.shape}"
            )


def _draw_kernels(workdir, models, options):
    from alexnet_keras.plots import plot_kernels, save_figure

    for path, (label, model) in zip(options.weights, models.items(), strict=True):
        with kernels_in_rgb(model, path):
            for layer in ("conv1", *options.layers):
                figure = plot_kernels(model, layer=layer)
                save_figure(figure, workdir / f"kernels_{label}_{layer}.png")


def _draw_feature_maps(workdir, models, layers, image, dataset):
    """Draws the first network's maps of an image."""
    from alexnet_keras.plots import plot_feature_maps, save_figure

    model = next(iter(models.values()))
    for layer in layers:
        inputs = image - dataset.info.mean_crop
        original = swap_colors(image, dataset)
        figure = plot_feature_maps(model, inputs, layer, original=original)
        save_figure(figure, workdir / f"feature_maps_{layer}.png")


def _snapshots_in_rgb(folder):
    """Returns the snapshots of a training, whose kernels have their colors in the order RGB."""
    from alexnet_keras.analysis import read_snapshots

    snapshots = read_snapshots(folder)
    if preparation_of_training(folder).get("color_order") != "BGR":
        return snapshots
    return [dataclasses.replace(each, kernels=each.kernels[..., ::-1]) for each in snapshots]


def _draw_snapshots(workdir, snapshots):
    from alexnet_keras.plots import animate_kernels, plot_kernel_strip, save_animation, save_figure

    if not snapshots:
        return
    save_figure(plot_kernel_strip(snapshots), workdir / "kernels_by_epoch.png")
    save_animation(animate_kernels(snapshots), workdir / "kernels_by_epoch.gif")


def _draw_tests(workdir, measures, tests, comparisons):
    from alexnet_keras.plots import plot_comparisons, plot_kernel_measures, save_figure

    p_values = {measure: test["p_each"] for measure, test in tests.items()}
    save_figure(plot_kernel_measures(measures, p_values), workdir / "measures.png")
    if comparisons and comparisons[0]["interval"]:
        save_figure(
            plot_comparisons(comparisons, "kernels: section 6.1"), workdir / "comparisons.png"
        )


def _tests(measures, options):
    """The permutation test of each measure; an empty dict for networks of one tower."""
    from alexnet_keras.analysis import permutation_test

    if any(len(values["colorfulness"]) < 2 for values in measures.values()):
        return {}
    return {
        measure: permutation_test(
            [each[measure] for each in measures.values()], options.permutations, options.seed
        )
        for measure in MEASURES
    }


def _comparison(test):
    """The paper's claim as a comparison of the gap between the towers with the gap by chance."""
    from alexnet_keras.evaluation.statistics import paired_difference

    gaps = [100 * gap for gap in test["gaps"]]
    chance = [100 * gap for gap in test["chance"]]
    return {
        "variant": "the more colorful tower",
        "baseline": "the other, beyond chance",
        "paper": None,
        "side": 1,
        "claim": "One tower color-agnostic, one color-specific",
        **paired_difference(gaps, chance),
        "unit": "percentage points of energy off the gray axis",
        "no_effect": 0.0,
    }


def _described(path, measures):
    """The training of a network, and the measures of its kernels."""
    training = training_of(path)
    return {
        "weights": str(path),
        "data": {"name": training.get("dataset", "unknown data")},
        "seed": training.get("seed"),
        "means": {name: values.mean(-1).tolist() for name, values in measures.items()},
        "kernels": {name: values.tolist() for name, values in measures.items()},
    }


def table(results: dict) -> str:
    """Returns the gaps between the towers as Markdown."""
    if not results["tests"]:
        return "One tower, so no comparison."
    lines = [
        "| measure | network | gap between the towers | by chance | p |",
        "|---|---|---|---|---|",
    ]
    for measure, test in results["tests"].items():
        name = measure.replace("_", " ")
        rows = zip(results["models"], test["gaps"], test["chance"], test["p_each"], strict=True)
        for model, gap, chance, p_value in rows:
            lines.append(
                f"| {name} | {model['weights']} | {gap:.3f} | {chance:.3f} | {p_value:.2g} |"
            )
        if len(results["models"]) > 1:
            lines.append(f"| {name} | all | | | {test['p']:.2g} |")
    return "\n".join(lines)


def _labels(paths):
    """A short label for each network: the name of its folder, with a number if several share it."""
    names = [Path(path).absolute().parent.name or "model" for path in paths]
    counts = Counter(names)
    labels = []
    for number, name in enumerate(names, 1):
        label = f"{name}_{number}" if counts[name] > 1 else name
        while label in labels or (label != name and label in names):
            label = f"{label}_{number}"
        labels.append(label)
    return labels


def _dataset_and_image(models, options):
    """The data set and the image for the feature maps; `None` for both if none are drawn."""
    if not options.feature_maps:
        return None, None
    dataset = open_dataset(next(iter(models.values())), options)
    return dataset, _image(options.image or "0", dataset)


def _image(which, dataset):
    """Returns the center crop of an image, 0-255.

    Args:
        which: number of a validation image, or path of an image file.
        dataset: a `Dataset`.

    Raises:
        ValueError: for a missing file, a file that is not an image, or a number out of range.
    """
    import numpy as np

    from alexnet_keras.data.info import center

    info = dataset.info
    if not which.isdecimal():
        image = swap_colors(_read_image(which, info.image_size), dataset)
    elif int(which) < info.validation_count:
        image = next(dataset.validation_images(1).skip(int(which)).as_numpy_iterator())[0][0]
    else:
        raise ValueError(
            f"`image` must be a file, or a number below {info.validation_count}, the number of "
            f"validation images. Received: image={which}"
        )
    return center(np.asarray(image), info.crop_size)


def _read_image(path, image_size):
    import tensorflow as tf

    from alexnet_keras.data.augmentation import resize_and_crop
    from alexnet_keras.data.decoding import decode_image, reason_against

    reason = reason_against(Path(path))
    if reason:
        raise ValueError(
            "`image` must be an image file, or the number of a validation image. "
            f"Received: image={path!r}: {reason}"
        )
    return resize_and_crop(decode_image(tf.io.read_file(path)), image_size)


def main(arguments=None):
    parser = network_parser("kernels", __doc__, several="for the test over seeds")
    add_data_options(parser)
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="further convolutions whose kernels are drawn",
    )
    parser.add_argument(
        "--feature-maps",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="layers whose maps of --image are drawn",
    )
    parser.add_argument(
        "--image", help="number of a validation image, or an image file (default: 0)"
    )
    parser.add_argument(
        "--snapshots",
        metavar="FOLDER",
        help="folder of a training's snapshots; draws them by epoch",
    )
    parser.add_argument(
        "--epoch",
        type=int,
        help="measure the kernels after this epoch, from the folder snapshots beside each "
        "network, to compare trainings of different lengths (default: the network's own kernels)",
    )
    parser.add_argument(
        "--permutations", type=int, default=10_000, help="permutations of the test (default: 10000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the permutations (default: 0)")
    return run_command(parser, kernels, arguments, resumes=False)


if __name__ == "__main__":
    main()
