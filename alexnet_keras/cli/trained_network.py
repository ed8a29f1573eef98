"""Shared parts of the commands that measure trained networks: model, data and results."""

import argparse
import contextlib
import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet_keras.checks import check_whole_number, seed_number

if TYPE_CHECKING:
    import keras
    import numpy as np

    from alexnet_keras.data import Dataset

# Options of a training's data set that a measurement of the same set takes over.
_DATA_OPTIONS = ("hold_out_every", "class_subset", "max_images_per_class", "skip_corrupt")


def network_parser(
    name: str,
    description: str | None,
    several: str | None = None,
    flag: str = "--weights",
    prog: str | None = None,
) -> argparse.ArgumentParser:
    """Returns the parser of a command, with its options for the networks and the workdir.

    Args:
        name: name of the command.
        description: docstring of its module.
        several: purpose of several networks; `None` for a command that takes one.
        flag: option of the networks.
        prog: name of the command in messages; `None` for `python -m experiments.NAME`.
    """
    parser = argparse.ArgumentParser(
        prog=prog or f"python -m experiments.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    networks = "a trained network, such as runs/x/best.keras"
    nargs = None
    if several:
        nargs = "+"
        networks = f"trained networks, such as runs/x/best.keras; several {several}"
    parser.add_argument(
        flag,
        dest="weights",
        required=True,
        nargs=nargs,
        metavar="FILE",
        help=networks,
    )
    parser.add_argument(
        "--workdir", help=f"folder of the results (default: {name}, in the folder of the network)"
    )
    return parser


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `open_dataset`."""
    parser.add_argument(
        "--dataset", help="TFDS name, folder or .npz file of the images (default: as in training)"
    )
    parser.add_argument(
        "--image-size",
        type=int,
        help="side of the prepared images, pixels (default: as in training)",
    )


def check_positive(options: argparse.Namespace, *names: str) -> None:
    """Raises a `ValueError` for an option below 1."""
    for name in names:
        check_whole_number(name, getattr(options, name))


def check_seed(options: argparse.Namespace) -> None:
    """Raises a `ValueError` for a seed that not all libraries accept."""
    seed_number("seed", options.seed)


def training_of(path: str | Path) -> dict:
    """Returns the content of the `config.json` beside a model; an empty dict without one."""
    from alexnet_keras.files import read_json

    config = Path(path).parent / "config.json"
    return read_json(config) if config.exists() else {}


def open_dataset(model: "keras.Model", options: argparse.Namespace) -> "Dataset":
    """Returns the data set of the command line, or else of the training, prepared for a model.

    A classifier has its own mean, color order and size of images. For another network, the mean is
    computed as in training. On another data set, the mean is the training's, which the classifier
    beside the network has. If the data set is the training's, so are its options.

    Raises:
        ValueError: if neither gives a data set, or its classes differ from the model's in number or
            in order; for an option that a classifier's own value contradicts.
    """
    from alexnet_keras.data import Dataset

    path = _first(options.weights)
    training = training_of(path)
    name = options.dataset or _dataset_of(training)
    own = _own_preparation(options)
    class_names = own.pop("class_names", None) or (training.get("data") or {}).get("class_names")
    image_size = own.pop("image_size", options.image_size)
    if image_size is None:
        image_size = training.get("image_size")
    if name is None or image_size is None:
        raise ValueError(
            "`dataset` and `image_size` must be given for a model without the config.json of its "
            f"training. Received: dataset={options.dataset!r}, image_size={options.image_size}"
        )
    check_classifier(model, path)
    is_of_training = is_dataset_of(name, training)
    if not is_of_training:
        _print_options_left_out(name, training)
    taken = ["mean_subtraction", *(_DATA_OPTIONS if is_of_training else ())]
    data_options = {option: training[option] for option in taken if option in training}
    if getattr(options, "mean_subtraction", None):
        data_options["mean_subtraction"] = options.mean_subtraction
    elif not own and training and not is_of_training:
        data_options |= _means_of_training(options, image_size)
    check_classes = functools.partial(_check_classes, name, model.output_shape[-1], class_names)
    return Dataset(
        name,
        image_size,
        model.input_shape[1],
        check_classes=check_classes,
        **(data_options | own),
    )


def _print_options_left_out(name, training):
    """Prints the options of a training's data set that do not count for another set."""
    from alexnet_keras.data.options import ImageSelection
    from alexnet_keras.record import as_stored

    defaults = as_stored({option: getattr(ImageSelection, option) for option in _DATA_OPTIONS})
    changed = [
        f"{option}={training[option]}"
        for option, default in defaults.items()
        if training.get(option, default) != default
    ]
    if changed:
        print(
            f"{name!r} is not the data set of the training, whose options do not count here: "
            f"{', '.join(changed)}",
            flush=True,
        )


def _means_of_training(options, image_size):
    """Returns the mean with which networks were trained, as options of a data set.

    It is in the classifier beside each network. Without one, the mean is the data set's own.
    """
    import keras
    import numpy as np

    from alexnet_keras.models.saved import preparation_in

    paths = [options.weights] if isinstance(options.weights, str) else options.weights
    files = [Path(path).parent / "classifier.keras" for path in paths]
    found = [preparation_in(file) if file.exists() else None for file in files]
    first = found[0]
    if first is None or first.image_size != image_size:
        print("The mean is the one of this data set, not of the training's images", flush=True)
        return {}
    mean = keras.ops.convert_to_numpy(first.mean)
    for path, other in zip(paths, found, strict=True):
        if other is None or not np.array_equal(keras.ops.convert_to_numpy(other.mean), mean):
            raise ValueError(
                "`models` must be trained with one mean for another data set than the training's. "
                f"Received: {paths[0]!r} and {path!r}"
            )
    return {"mean": mean, "mean_subtraction": first.mean_subtraction}


def _check_classes(name, count, trained, class_names):
    """Raises a `ValueError` for other classes than the model's.

    Args:
        name: name of the data set.
        count: number of the model's classes.
        trained: names of the classes of its training; `None` if they are not known.
        class_names: names of the classes of the data set.
    """
    if len(class_names) != count:
        raise ValueError(
            f"`dataset` must have the classes of the model, {count}. "
            f"Received: dataset={name!r} with {len(class_names)}"
        )
    if trained:
        _check_class_names(name, class_names, trained)


def _check_class_names(name, class_names, trained):
    """Raises a `ValueError` for a class of a training under another label; prints other names."""
    label = first_other_class(trained, class_names)
    if label is None or len(trained) != len(class_names):  # of another network
        return
    moved = _first_moved_class(trained, class_names)
    if moved is not None:
        label = moved
    difference = f"class {label} is {class_names[label]!r}, and {trained[label]!r} in the training"
    if moved is not None:
        raise ValueError(
            "`dataset` must have the classes in the order of the training. "
            f"Received: dataset={name!r}, whose {difference}"
        )
    print(f"The classes have other names than in the training: {difference}", flush=True)


def _first_moved_class(trained, class_names):
    """Returns the first label of a name with other labels in the training; `None` without one.

    A name of several labels, such as ImageNet's crane, may have another name under some of them.
    """
    labels = _labels_by_name(class_names)
    labels_in_training = _labels_by_name(trained)
    for name, found in labels.items():
        expected = labels_in_training.get(name, found)
        if not (found <= expected or expected <= found):
            return min(found - expected)
    return None


def _labels_by_name(class_names):
    """Returns a dict from class names, whatever their case, to the sets of their labels."""
    labels = {}
    for label, name in enumerate(class_names):
        labels.setdefault(name.casefold(), set()).add(label)
    return labels


def first_other_class(names: Iterable[str], other_names: Iterable[str]) -> int | None:
    """Returns the first label with two class names, whatever their case; `None` without one."""
    for label, (name, other) in enumerate(zip(names, other_names, strict=False)):
        if name.casefold() != other.casefold():
            return label
    return None


def _own_preparation(options):
    """Returns the options that classifiers fix: mean, color order, image size and class names.

    A network that was trained from scratch has the mean of its data set.
    """
    import numpy as np

    paths = [options.weights] if isinstance(options.weights, str) else options.weights
    found = [_preparation_of(path) for path in paths]
    first = found[0]
    for path, preparation in zip(paths, found, strict=True):
        same_names = preparation.keys() == first.keys()
        if not same_names or not all(np.array_equal(preparation[n], first[n]) for n in first):
            raise ValueError(
                "`models` must have one mean, color order and image size, and the same class "
                f"names. Received: {paths[0]!r} and {path!r}. Give classifiers only, or networks "
                "only"
            )
    for option in ("image_size", "mean_subtraction"):
        given = getattr(options, option, None)
        if first and given is not None and given != first[option]:
            raise ValueError(
                f"`{option}` must be left out, as {paths[0]!r} has the preparation of a "
                f"classifier. Received: {option}={given!r}, where it has {first[option]!r}"
            )
    return dict(first)


def _preparation_of(path):
    """Returns the options that the classifier of a network fixes; an empty dict without one."""
    import keras

    from alexnet_keras.models.saved import preparation_in

    preparation = preparation_in(path)
    if preparation is not None:
        return {
            "mean": keras.ops.convert_to_numpy(preparation.mean),
            "mean_subtraction": preparation.mean_subtraction,
            "color_order": preparation.color_order,
            "image_size": preparation.image_size,
            "class_names": preparation.class_names,
        }
    return preparation_of_training(path)


def preparation_of_training(path: str | Path) -> dict:
    """Returns the options of a data set that the classifier fixes from which a training started.

    Args:
        path: path of a file or folder in the training's folder.

    Returns:
        dict of mean, mean subtraction, color order and image size; empty for other trainings.
    """
    from alexnet_keras.training.run_folder import read_preparation

    training = training_of(path)
    if not training.get("pretrained"):
        return {}
    taken = {name: training[name] for name in ("mean_subtraction", "image_size")}
    return read_preparation(Path(path).parent) | taken


@contextlib.contextmanager
def kernels_in_rgb(model: "keras.Model", path: str | Path) -> Iterator[None]:
    """Context in which the first convolution's kernels have their colors in the order RGB.

    Figures show these kernels as images. Networks that take BGR have them in this order.

    Args:
        model: a network.
        path: path of its file.
    """
    import keras

    from alexnet_keras.analysis.kernels import first_convolution

    is_bgr = _preparation_of(path).get("color_order") == "BGR"
    kernel = model.get_layer(first_convolution(model)).kernel
    if is_bgr:
        kernel.assign(keras.ops.flip(kernel, axis=2))
    try:
        yield
    finally:
        if is_bgr:
            kernel.assign(keras.ops.flip(kernel, axis=2))


def is_dataset_of(name: str, training: dict) -> bool:
    """Returns whether a training used the data set; its path may be written in another way.

    Args:
        name: TFDS name or path.
        training: content of the training's `config.json`.
    """
    from alexnet_keras.training.run_folder import absolute_path

    trained = training.get("dataset")
    if trained is None:
        return False
    path = training["dataset_path"] if "dataset_path" in training else absolute_path(trained)
    if path is None or not Path(path).exists():  # the data may have moved with the training
        return name == trained
    return absolute_path(name) == path


def _dataset_of(training):
    """The data set of a training, which may have run in another folder; `None` for no training."""
    from alexnet_keras.training.run_folder import absolute_path

    name = training.get("dataset")
    path = training.get("dataset_path")
    if path is None or not Path(path).exists() or absolute_path(name) == path:
        return name
    return path


def check_classifier(model: "keras.Model", path: str | Path, argument: str = "weights") -> None:
    """Raises a `ValueError` for a model that is not a classifier of square RGB images."""
    received = "not one input and one output"
    if len(getattr(model, "inputs", None) or ()) == 1 and len(model.outputs) == 1:
        if _takes_square_images(model.input_shape) and _gives_one_vector(model.output_shape):
            return
        received = f"input {model.input_shape} and output {model.output_shape}"
    raise ValueError(
        f"`{argument}` must be a classifier of square RGB images. "
        f"Received: {argument}={str(path)!r} with {received}"
    )


def _takes_square_images(shape):
    return len(shape) == 4 and shape[1] is not None and shape[1:] == (shape[1], shape[1], 3)


def _gives_one_vector(shape):
    return len(shape) == 2 and shape[1] is not None


def images_at(dataset: "Dataset", numbers: list[int], split: str = "validation") -> "np.ndarray":
    """Returns the center crops of images, RGB, uint8 `(count, crop_size, crop_size, 3)`.

    Args:
        dataset: a `Dataset`.
        numbers: indices of images.
        split: `"validation"` or `"train"`.
    """
    import numpy as np

    from alexnet_keras.data.info import center

    batches = dataset.validation_images() if split == "validation" else dataset.training_images()
    wanted = set(numbers)
    found = {}
    first = 0
    for images, labels in batches.as_numpy_iterator():
        for number in wanted.intersection(range(first, first + len(labels))):
            found[number] = center(images[number - first], dataset.info.crop_size)
        first += len(labels)
        if len(found) == len(wanted):
            break
    return swap_colors(np.stack([found[number] for number in numbers]), dataset)


def swap_colors(images: "np.ndarray", dataset: "Dataset") -> "np.ndarray":
    """Returns images of a data set with their colors in the order RGB, or RGB images in its order.

    Args:
        images: `(..., 3)`.
        dataset: a `Dataset`.
    """
    return images[..., ::-1] if dataset.info.color_order == "BGR" else images


def check_results_folder(options: argparse.Namespace, name: str, known: dict) -> None:
    """Checks the folder of the results before the data set is opened, which can take minutes.

    Args:
        options: parsed command line.
        name: name of the command.
        known: the settings that do not depend on the data set.

    Raises:
        ValueError: as `claim_workdir`.
    """
    known = {"experiment": name, **known}
    _check_workdir(_workdir(options, name), known, names=known)


def claim_workdir(options: argparse.Namespace, name: str, settings: dict) -> Path:
    """Returns the folder of the results with its `config.json`, after creating what is missing.

    Args:
        options: parsed command line.
        name: name of the command.
        settings: everything that the results depend on.

    Raises:
        ValueError: if the folder can't be written, or holds anything but results of the same
            command with the same settings.
    """
    from alexnet_keras.files import write_text

    workdir = _workdir(options, name)
    settings = {"experiment": name, **settings}
    path = _check_workdir(workdir, settings)
    if not path.exists():
        write_text(path, json.dumps(settings, indent=1) + "\n")
    return workdir


def _workdir(options, name):
    """Returns the folder of the results."""
    return Path(options.workdir or folder_of(_first(options.weights), "workdir") / name)


def _check_workdir(workdir, settings, names=None):
    """Returns the path of the folder's settings; raises a `ValueError` if it can't be used."""
    from alexnet_keras.files import check_writable
    from alexnet_keras.record import check_folder

    check_writable(workdir)
    path = workdir / "config.json"
    expected = "a new folder, or one of the same command and model"
    check_folder(path, settings, names, expected=expected)
    return path


def folder_of(weights: str, argument: str) -> Path:
    """Returns the folder of a network; raises a `ValueError` for an address of Hugging Face.

    Args:
        weights: path of the network.
        argument: option that has a folder there by default.
    """
    from alexnet_keras.models.saved import is_on_hub

    if is_on_hub(weights):
        raise ValueError(
            f"`{argument}` must be given for weights of Hugging Face. Received: weights={weights!r}"
        )
    return Path(weights).parent


def store_results(workdir: Path, command: str | None, results: dict) -> dict:
    """Writes `results.json` with the command, machine and versions; returns its content."""
    from alexnet_keras.files import write_text
    from alexnet_keras.record import provenance

    text = json.dumps({**provenance(command, devices=_devices()), **results}, indent=1)
    write_text(workdir / "results.json", text + "\n")
    print(f"Results and pictures: {workdir}", flush=True)
    return json.loads(text)


def print_summary(
    models: Iterable["keras.Model"],
    options: argparse.Namespace,
    dataset: "Dataset | None" = None,
) -> None:
    """Prints the networks, the data and the device in use."""
    if dataset is not None:
        info = dataset.info
        print(
            f"Data: {info.name}, {info.train_count:,} training and {info.validation_count:,} "
            "validation images"
        )
    paths = [options.weights] if isinstance(options.weights, str) else options.weights
    for path, model in zip(paths, models, strict=True):
        print(f"Network: {path}, {model.count_params():,} parameters")
    print(f"Device: {_devices()}", flush=True)


def _devices():
    """Name of the device that a measurement runs on."""
    from alexnet_keras.distributed import scope_for

    _, name = scope_for(1)
    return name


def _first(weights):
    return weights if isinstance(weights, str) else weights[0]
