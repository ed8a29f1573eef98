"""What the commands that look into trained networks share: the model, its data, the folder of the results."""

import argparse
import json
import os
from pathlib import Path


def parser(name, description, several=None, flag="--weights"):
    """The command line that all of them have: `--weights` (or `flag`) and `--workdir`.

    Args:
        name, description: of the command.
        several: what several networks are for, in words; `None` where there is one alone.
        flag: what the networks are called by.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    made = argparse.ArgumentParser(
        prog=f"python -m experiments.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = "a trained network, such as runs/x/best.keras" + (f"; several, {several}" if several else "")
    nargs = "+" if several else None
    made.add_argument(flag, dest="weights", required=True, nargs=nargs, metavar="FILE", help=text)
    made.add_argument("--workdir", help=f"folder of the results (default: {name}, in the folder of the network)")
    return made


def add_data_options(made):
    """The options of `open_dataset`."""
    made.add_argument("--dataset", help="TFDS name, folder or .npz file (default: what the network was trained on)")
    made.add_argument("--image-size", type=int, help="side of the prepared images, pixels (default: as in training)")


def training_of(path):
    """The configuration in the `config.json` that a training has left beside its models; an empty dict if none has."""
    from alexnet_keras.files import read_json

    beside = Path(path).parent / "config.json"
    return read_json(beside) if beside.exists() else {}


def open_dataset(model, options):
    """The data set that the command line names, or that the model was trained on, prepared for the model.

    Raises:
        ValueError: when nothing says which it is, or its images or classes are not the model's.
    """
    from alexnet_keras.data import Dataset

    training = training_of(_first(options.weights))
    name = options.dataset or training.get("dataset")
    image_size = options.image_size or training.get("image_size")
    if name is None or image_size is None:
        raise ValueError(
            "`dataset` and `image_size` must be given for a model that does not lie in the folder of its training. "
            f"Received: dataset={options.dataset!r}, image_size={options.image_size}"
        )
    check_classifier(model, _first(options.weights))
    # The images of the training, where it is the same data.
    parts = {part: training[part] for part in _PARTS if part in training} if _same(name, training) else {}
    if getattr(options, "mean", None):
        parts["mean"] = options.mean
    dataset = Dataset(name, image_size, model.input_shape[1], **parts)
    if model.output_shape[-1] != dataset.info.classes:
        raise ValueError(
            f"`dataset` must have the classes of the model, {model.output_shape[-1]}. Received: dataset={name!r} with "
            f"{dataset.info.classes}"
        )
    return dataset


def check_classifier(model, path, argument="weights"):
    """Raises a `ValueError` for a model that does not take square RGB images and predict one vector of classes."""
    one_each = len(getattr(model, "inputs", None) or ()) == 1 and len(model.outputs) == 1
    inputs = model.input_shape if one_each else ()
    outputs = model.output_shape if one_each else ()
    square = len(inputs) == 4 and inputs[1] == inputs[2] and inputs[3] == 3
    if not square or inputs[1] is None or len(outputs) != 2 or outputs[1] is None:
        shapes = f"input {inputs} and output {outputs}" if one_each else "not one input and one output"
        raise ValueError(
            f"`{argument}` must be a classifier of square RGB images. Received: {argument}={str(path)!r} with {shapes}"
        )


_PARTS = ("held_out", "only_classes", "images_per_class", "skip_corrupt", "mean")


def _same(name, training):
    """Whether a data set is that of a training, however a folder's path is written."""
    trained_on = training.get("dataset")
    return trained_on is not None and (name == trained_on or Path(name).resolve() == Path(trained_on).resolve())


def claim_workdir(options, name, settings):
    """The folder of the results, made if need be, with `config.json` in it.

    Raises:
        ValueError: when the folder can't be written, or holds anything but what the same command has made there of the
            same model.
    """
    from alexnet_keras.files import check_writable, read_json, write_text

    workdir = Path(options.workdir) if options.workdir else Path(_first(options.weights)).parent / name
    check_writable(workdir)
    settings = json.loads(json.dumps({"experiment": name, **settings}))
    path = workdir / "config.json"
    there = read_json(path) if path.exists() else None
    if there != settings and workdir.exists() and any(workdir.iterdir()):
        other = [
            f"{key}: {there.get(key)!r} there, {value!r} here"
            for key, value in settings.items()
            if there and there.get(key) != value
        ]
        raise ValueError(
            "`workdir` must be a new folder, or that of the same command and model. Received: "
            f"workdir={str(workdir)!r}, which holds {'; '.join(other) or 'something else'}"
        )
    if there is None:
        write_text(path, json.dumps(settings, indent=1) + "\n")
    return workdir


def store(workdir, command, results):
    """Writes `results.json`, with the command, machine and versions that made it; returns what is in it."""
    from alexnet_keras.environment import machine, versions
    from alexnet_keras.files import write_text
    from alexnet_keras.training.devices import scope_for

    results = {
        "command": command,
        "machine": {"devices": scope_for(1)[1], **machine()},
        "versions": versions(),
        **results,
    }
    text = json.dumps(results, indent=1)
    write_text(workdir / "results.json", text + "\n")
    print(f"Results and pictures: {workdir}", flush=True)
    return json.loads(text)


def say(models, options, dataset=None):
    """Says which networks, data and device are used."""
    from alexnet_keras.training.devices import scope_for

    if dataset is not None:
        info = dataset.info
        print(f"Data: {info.name}, {info.train_count:,} training and {info.validation_count:,} validation images")
    paths = [options.weights] if isinstance(options.weights, str) else options.weights
    for path, model in zip(paths, models, strict=True):
        print(f"Network: {path}, {model.count_params():,} parameters")
    print(f"Device: {scope_for(1)[1]}", flush=True)


def _first(weights):
    return weights if isinstance(weights, str) else weights[0]
