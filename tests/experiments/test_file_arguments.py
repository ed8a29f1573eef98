"""Every file argument of every command, given files that it can't use."""

import importlib
import os
import shutil
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from alexnet_keras.convert import _caffe_net
from alexnet_keras.data import Dataset
from alexnet_keras.retrieval import write_activations
from alexnet_keras.training.run_folder import read_history
from experiments import fine_tune
from experiments.framework import cli
from tests.conftest import write_tiny_npz
from tests.experiments.conftest import save_as_trained, tiny_model

DATA = ("--dataset", "{npz}", "--image-size", "32")
TRAINING = ("--preset", "cifar", "--epochs", "1", "--batch-size", "16")
NETWORK = ("--weights", "{keras}", "--image-size", "32")
# Command, argument, ending of the files that it takes, and the other arguments.
ARGUMENTS = (
    ("train", "--dataset", ".npz", TRAINING),
    ("train", "--initial-weights", ".keras", (*TRAINING, "--dataset", "{npz}")),
    ("fine_tune", "--dataset", ".npz", ("--epochs", "1")),
    ("evaluate", "--models", ".keras", DATA),
    ("evaluate", "--dataset", ".npz", ("--models", "{keras}", "--image-size", "32")),
    ("kernels", "--weights", ".keras", ()),
    ("kernels", "--image", ".png", ("--weights", "{keras}", "--feature-maps", "conv1", *DATA)),
    ("kernels", "--dataset", ".npz", (*NETWORK, "--feature-maps", "conv1")),
    ("kernels", "--snapshots", ".npz", ("--weights", "{keras}")),
    ("predictions", "--weights", ".keras", DATA),
    ("predictions", "--dataset", ".npz", NETWORK),
    ("neighbors", "--weights", ".keras", DATA),
    ("neighbors", "--dataset", ".npz", NETWORK),
    ("codes", "--weights", ".keras", DATA),
    ("codes", "--dataset", ".npz", NETWORK),
    ("export", "--weights", ".keras", (*DATA, "--formats", "saved_model")),
    ("export", "--dataset", ".npz", (*NETWORK, "--formats", "saved_model")),
    ("convert", None, ".keras", ("{out}.pth",)),
    ("convert", None, ".pth", ("{out}.keras", "--preset", "torchvision")),
    ("convert", None, ".npy", ("{out}.keras", "--preset", "bvlc_alexnet")),
    ("convert", None, ".caffemodel", ("{out}.keras", "--preset", "bvlc_alexnet")),
)
KINDS = ("empty", "text", "truncated", "folder", "other", "missing", "unreadable")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A whole file of each kind, by the ending of its name."""
    folder = tmp_path_factory.mktemp("files")
    network = save_as_trained(tiny_model(), folder / "run")
    Image.new("RGB", (40, 40), "red").save(folder / "image.png")
    np.save(folder / "layers.npy", {"conv1": {"weights": np.ones(9), "biases": np.ones(9)}})
    caffe = _caffe_net()()
    caffe.layer.add(name="conv1").blobs.add(data=[1.0] * 9).shape.dim.append(9)
    (folder / "net.caffemodel").write_bytes(caffe.SerializeToString())
    paths = {
        ".npz": write_tiny_npz(folder / "tiny.npz"),
        ".keras": network,
        ".png": folder / "image.png",
    }
    return {**paths, ".npy": folder / "layers.npy", ".caffemodel": folder / "net.caffemodel"}


def make(kind, path, files):
    """Puts a file of some kind, or what is no file, at a path."""
    whole = files.get(path.suffix)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("<html>404: not found</html>\n")
    elif kind == "truncated":
        if whole is None:
            pytest.skip("PyTorch writes such files")
        content = Path(whole).read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "folder":
        path.mkdir()
    elif kind == "other":
        shutil.copy(files[".png"] if path.suffix != ".png" else files[".npz"], path)
    elif kind == "unreadable":
        if os.geteuid() == 0:
            pytest.skip("root may read everything")
        path.write_bytes(b"")
        path.chmod(0)


def call(name, arguments):
    """Calls a command in this process; returns what it says as it ends."""
    with pytest.raises(SystemExit) as end:
        if name == "fine_tune":
            cli.main(fine_tune.EXPERIMENT, fine_tune.__doc__, arguments)
        else:
            package = "alexnet_keras.cli" if name == "convert" else "experiments"
            importlib.import_module(f"{package}.{name}").main(arguments)
    assert isinstance(end.value.code, str)  # for which the exit code is 1
    return end.value.code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "flag", "ending", "others"),
    ARGUMENTS,
    ids=[f"{row[0]}{row[1] or row[2]}" for row in ARGUMENTS],
)
def test_one_line_says_what_is_wrong(
    name, flag, ending, others, kind, files, tmp_path, monkeypatch
):
    if name == "convert" and ending == ".keras":
        monkeypatch.setitem(
            sys.modules, "torch", types.ModuleType("torch")
        )  # which reading does not need
    path = tmp_path / f"given{ending}"
    out = tmp_path / "out"
    make(kind, path, files)
    arguments = [] if flag is None else [flag]
    arguments.append(str(path))
    arguments += [text.format(npz=files[".npz"], keras=files[".keras"], out=out) for text in others]
    arguments += [] if name == "convert" else ["--workdir", str(out)]
    message = call(name, arguments)
    assert str(path) in message
    assert f"{name}: `" in message
    if not (kind == "folder" and flag == "--dataset"):  # which says what a folder must hold
        assert "\n" not in message
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("content", ["", "hello", "[]", '{"a": 1}'])
@pytest.mark.parametrize(
    ("name", "damaged", "others"),
    [
        ("train", "out/results.json", (*TRAINING, "--dataset", "{npz}")),
        ("train", "out/config.json", (*TRAINING, "--dataset", "{npz}")),
        ("fine_tune", "out/fine_tune/results.json", ("--dataset", "{npz}")),
        (
            "kernels",
            "snapshots/epoch-0000.npz",
            ("--weights", "{keras}", "--snapshots", "{folder}/snapshots"),
        ),
        ("predictions", "run/config.json", ("--weights", "{folder}/run/best.keras")),
        ("predictions", "out/config.json", ("--weights", "{keras}", *DATA)),
        (
            "neighbors",
            "kept/activations.json",
            ("--weights", "{keras}", *DATA, "--activations", "{folder}/kept"),
        ),
        ("report", "results/depth/results.json", ("--root", "{folder}")),
    ],
)
def test_a_damaged_file_in_a_folder_is_named(name, damaged, others, content, files, tmp_path):
    path = tmp_path / damaged
    path.parent.mkdir(parents=True)
    path.write_text(content)
    if damaged == "run/config.json":
        shutil.copy(files[".keras"], path.parent / "best.keras")
    arguments = [
        text.format(npz=files[".npz"], keras=files[".keras"], folder=tmp_path) for text in others
    ]
    if name != "report":  # which writes into its root
        arguments += ["--workdir", str(tmp_path / "out")]
    message = call(name, arguments)
    assert "\n" not in message
    if content != '{"a": 1}':  # a whole file of something else
        assert str(path) in message
    assert path.read_text() == content


@pytest.mark.parametrize(
    "content", [b"epoch,loss\n0,half\n", b"epoch,loss\n0,1,2\n", b"epoch,loss\n\0\xff,1\n"]
)
def test_a_damaged_history_is_named(content, tmp_path):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(
        ValueError, match="history.csv must have a row of numbers for each epoch. It is damaged"
    ):
        read_history(tmp_path)


def test_networks_that_are_no_classifiers_of_images_are_refused(files, tmp_path):
    layers = keras.layers
    image = keras.Input((28, 28, 3))
    flat = layers.Flatten()(image)
    models = {
        "numbers": keras.Sequential([keras.Input((10,)), layers.Dense(4)]),
        "two_outputs": keras.Model(image, [layers.Dense(4)(flat), layers.Dense(4)(flat)]),
        "not_built": keras.Sequential([layers.Dense(4)]),
        "any_size": keras.Sequential(
            [keras.Input((None, None, 3)), layers.GlobalAveragePooling2D()]
        ),
        "maps": keras.Sequential([keras.Input((28, 28, 3)), layers.Conv2D(4, 3, name="conv1")]),
    }
    data = [text.format(npz=files[".npz"]) for text in DATA]
    for name, model in models.items():
        path = str(tmp_path / f"{name}.keras")
        model.save(path)
        for command_name, flag in (("evaluate", "--models"), ("predictions", "--weights")):
            message = call(command_name, [flag, path, *data, "--workdir", str(tmp_path / "out")])
            argument = flag.removeprefix("--")
            assert (
                f"`{argument}` must be a classifier of square RGB images. Received: "
                f"{argument}='{path}'" in message
            )
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_of_activations_is_named(files, tmp_path):
    arguments = (tiny_model(), Dataset(files[".npz"], 32, 28), tmp_path / "kept")
    labels = write_activations(*arguments).labels("train")
    path = tmp_path / "kept" / "train-00000.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        ValueError,
        match=f"{path} must be an .npz file with labels.* Delete it, and run write_activations",
    ):
        write_activations(*arguments).labels("train")
    path.unlink()
    np.testing.assert_array_equal(write_activations(*arguments).labels("train"), labels)
