"""The kernels of trained networks: figure 3 of the paper, and whether the towers differ in colour.

    python -m experiments.kernels --weights runs/x/best.keras
    python -m experiments.kernels --weights runs/seed0/best.keras runs/seed1/best.keras --workdir results/kernels

The claim (section 6.1): the kernels on GPU 1 are largely colour-agnostic, those on GPU 2 largely colour-specific, in
every run, whichever the random start. Measured as the share of each kernel's energy off the grey axis; the gap between
the means of the towers is held against that of towers dealt at random out of the same kernels. Spatial frequency and
orientation are measured, too. What --snapshots reads is in the folder snapshots of every training.

Time: seconds. Figures, of the real network after two epochs of Imagenette from three random starts (results/kernels):
the towers' mean colourfulness differs by 9.3, 6.6 and 5.9 points, where towers dealt at random differ by 2.0 to 2.4
(p < 0.05 in each, 0.0001 over all): 5.06 points beyond chance [0.14, 9.97]. Spatial frequency does not differ
(p = 0.38). In eight epochs of one start the gap grows from 6.3 points to 17.8.
"""

from collections import Counter
from pathlib import Path

from experiments.framework.cli import run
from experiments.framework.trained_network import (
    add_data_options,
    claim_workdir,
    open_dataset,
    parser,
    say,
    store,
    training_of,
)

MEASURES = ("colourfulness", "spatial_frequency", "selectivity")


def kernels(options, command=None):
    """Measures, tests and draws the kernels of some networks; the arguments are those of the command line.

    Returns:
        What is in `results.json`.
    """
    from alexnet_keras.analysis import kernel_measures, layer_kernels, read_snapshots
    from alexnet_keras.analysis.kernels import layer_of
    from alexnet_keras.models import fingerprint, load_model
    from alexnet_keras.plots import (
        animate_kernels,
        plot_comparisons,
        plot_feature_maps,
        plot_kernel_measures,
        plot_kernel_strip,
        plot_kernels,
        save_animation,
        save_figure,
    )

    if options.permutations < 1:
        raise ValueError(f"`permutations` must be positive. Received: permutations={options.permutations}")
    if options.epoch is not None and (options.layers or options.feature_maps):
        raise ValueError(
            "`epoch` can't go with `layers` or `feature_maps`: of earlier epochs a training keeps the kernels of conv1 "
            f"alone. Received: epoch={options.epoch}, layers={options.layers}, feature_maps={options.feature_maps}"
        )
    models = dict(zip(_labels(options.weights), map(load_model, options.weights), strict=True))
    if options.epoch is not None:
        for path, model in zip(options.weights, models.values(), strict=True):
            _go_back(model, Path(path).parent / "snapshots", options.epoch)
    first = next(iter(models.values()))
    measures = {label: kernel_measures(layer_kernels(model)) for label, model in models.items()}
    for layer in options.layers:
        for model in models.values():
            layer_kernels(model, layer)
    for layer in options.feature_maps:
        layer_of(first, layer)
    snapshots = read_snapshots(options.snapshots) if options.snapshots else None
    dataset = open_dataset(first, options) if options.feature_maps else None
    image = _image(options.image, dataset) if dataset else None
    settings = {
        "models": [fingerprint(model) for model in models.values()],
        "permutations": options.permutations,
        "seed": options.seed,
        "epoch": options.epoch,
    }
    workdir = claim_workdir(options, "kernels", settings)
    say(models.values(), options, dataset)

    for label, model in models.items():
        for layer in ("conv1", *options.layers):
            save_figure(plot_kernels(model, layer=layer), workdir / f"kernels_{label}_{layer}.png")
    for layer in options.feature_maps:
        figure = plot_feature_maps(first, image - dataset.info.mean_crop, layer, original=image)
        save_figure(figure, workdir / f"feature_maps_{layer}.png")
    if snapshots:
        save_figure(plot_kernel_strip(snapshots), workdir / "kernels_by_epoch.png")
        save_animation(animate_kernels(snapshots), workdir / "kernels_by_epoch.gif")
    tests, comparisons = _test(measures, options)
    p_values = {measure: test["p_each"] for measure, test in tests.items()}
    save_figure(plot_kernel_measures(measures, p_values), workdir / "measures.png")
    if comparisons and comparisons[0]["interval"]:
        save_figure(plot_comparisons(comparisons, "kernels: section 6.1"), workdir / "comparisons.png")
    trainings = [training_of(path) for path in options.weights]
    results = store(
        workdir,
        command,
        {
            "experiment": "kernels",
            "section": "section 6.1",
            "target": None,
            "settings": {"metric": "colourfulness of conv1 (share of energy off the grey axis)", **settings},
            "models": [
                {
                    "weights": str(path),
                    "data": {"name": training.get("dataset", "unknown data")},
                    "seed": training.get("seed"),
                    "means": {name: values.mean(-1).tolist() for name, values in measures[label].items()},
                    "kernels": {name: values.tolist() for name, values in measures[label].items()},
                }
                for label, path, training in zip(models, options.weights, trainings, strict=True)
            ],
            "tests": tests,
            "variants": {},
            "comparisons": comparisons,
        },
    )
    print(table(results))
    return results


def _go_back(model, folder, epoch):
    """Gives a model the kernels that its training has kept in a folder after an epoch."""
    from alexnet_keras.analysis import read_snapshots

    snapshots = {snapshot.epoch: snapshot for snapshot in read_snapshots(folder)}
    if epoch not in snapshots:
        raise ValueError(f"`epoch` must be one of {sorted(snapshots)}, those in {folder}. Received: epoch={epoch}")
    kept = snapshots[epoch]
    kernels = kept.kernels.reshape(-1, *kept.kernels.shape[2:])  # the towers one after another
    model.get_layer(kept.layer).kernel.assign(kernels.transpose(1, 2, 3, 0))


def _test(measures, options):
    """The permutation tests of every measure, and what the paper claims as a comparison; none of one tower."""
    from alexnet_keras.analysis import permutation_test
    from experiments.framework.statistics import paired_difference

    if any(len(values["colourfulness"]) < 2 for values in measures.values()):
        return {}, []
    tests = {
        measure: permutation_test([each[measure] for each in measures.values()], options.permutations, options.seed)
        for measure in MEASURES
    }
    gaps, chance = ([100 * gap for gap in tests["colourfulness"][key]] for key in ("gaps", "chance"))
    comparison = {
        "variant": "the more colourful tower",
        "baseline": "the other, beyond chance",
        "paper": None,
        "side": 1,
        "claim": "One tower colour-agnostic, one colour-specific",
        **paired_difference(gaps, chance),
        "unit": "percentage points of energy off the grey axis",
        "no_effect": 0.0,
    }
    return tests, [comparison]


def table(results):
    """The gaps between the towers as Markdown."""
    if not results["tests"]:
        return "One tower: there is nothing to compare."
    lines = ["| measure | network | gap between the towers | by chance | p |", "|---|---|---|---|---|"]
    for measure, test in results["tests"].items():
        rows = zip(results["models"], test["gaps"], test["chance"], test["p_each"], strict=True)
        name = measure.replace("_", " ")
        lines += [f"| {name} | {m['weights']} | {gap:.3f} | {by:.3f} | {p:.2g} |" for m, gap, by, p in rows]
        if len(results["models"]) > 1:
            lines.append(f"| {name} | all | | | {test['p']:.2g} |")
    return "\n".join(lines)


def _labels(paths):
    """A short name for each network: that of its folder, with a number where that is not enough."""
    names = [Path(path).absolute().parent.name or "model" for path in paths]
    return [name if Counter(names)[name] == 1 else f"{name}_{i + 1}" for i, name in enumerate(names)]


def _image(which, dataset):
    """An image as its centre crop, 0-255: one of the validation images, by its number, or a file.

    Raises:
        ValueError: for a file that is missing or no image, or a number that no validation image has.
    """
    import numpy as np
    import tensorflow as tf

    from alexnet_keras.data.augmentation import resize_and_crop
    from alexnet_keras.data.decoding import decode_image, reason_against
    from alexnet_keras.data.info import centre

    info = dataset.info
    if not which.isdecimal():
        reason = reason_against(Path(which))
        if reason:
            raise ValueError(
                "`image` must be an image file, or the number of a validation image. "
                f"Received: image={which!r}: {reason}"
            )
        image = resize_and_crop(decode_image(tf.io.read_file(which)), info.image_size)
    elif int(which) < info.validation_count:
        image = next(dataset.validation_images(1).skip(int(which)).as_numpy_iterator())[0][0]
    else:
        raise ValueError(
            f"`image` must be a file or a number below {info.validation_count}, that of the validation images. "
            f"Received: image={which}"
        )
    return centre(np.asarray(image), info.crop_size)


def main(arguments=None):
    made = parser("kernels", __doc__, several="for the test over seeds")
    add_data_options(made)
    made.add_argument("--layers", nargs="+", default=[], metavar="LAYER", help="draw these convolutions' kernels, too")
    made.add_argument(
        "--feature-maps", nargs="+", default=[], metavar="LAYER", help="draw these layers' maps of --image"
    )
    made.add_argument("--image", default="0", help="number of a validation image, or an image file (default: 0)")
    made.add_argument("--snapshots", metavar="FOLDER", help="draw the kernels by epoch that a training has kept here")
    made.add_argument(
        "--epoch",
        type=int,
        help="measure the kernels after this epoch of each training, as kept in the folder snapshots beside its "
        "network, so that trainings of different lengths compare (default: those of the network itself)",
    )
    made.add_argument("--permutations", type=int, default=10_000, help="permutations of the test (default: 10000)")
    made.add_argument("--seed", type=int, default=0, help="fixes the permutations (default: 0)")
    return run(made, kernels, arguments)


if __name__ == "__main__":
    main()
