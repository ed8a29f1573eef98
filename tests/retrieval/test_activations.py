import functools

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.data import Dataset
from alexnet_keras.retrieval import Activations, write_activations
from alexnet_keras.retrieval import activations as activations_module

TINY = {"filters": (4,) * 6, "units": (8, 12), "input_shape": (28, 28, 3)}


@pytest.fixture
def dataset(tiny_npz):
    return Dataset(tiny_npz, 32, 28)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return AlexNet("cifar", classes=4, **TINY)


def write(model, dataset, folder, **options):
    return write_activations(model, dataset, folder, **{"batch_size": 8, "chunk": 32, **options})


def test_activations_are_those_of_the_layer(model, dataset, tiny_npz, tmp_path):
    activations = write(model, dataset, tmp_path / "out", layer="fc6", pixel_size=14)
    network = keras.Model(model.input, model.get_layer("fc6").output)
    with np.load(tiny_npz) as arrays:
        crops = arrays["x_test"][:, 2:30, 2:30].astype("float32")
        assert activations.labels("validation").tolist() == arrays["y_test"].tolist()
    expected = np.asarray(network(crops - dataset.info.mean_crop))
    (chunk,) = activations.chunks("validation")
    np.testing.assert_allclose(chunk, expected, atol=1e-4)
    (pixels,) = activations.chunks("validation", "pixels")
    # Away from the border, half the size is a weighted mean of four by four pixels.
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    mean = (crops[3, 9:13, 5:9] * weights[..., None]).sum((0, 1))
    np.testing.assert_allclose(pixels[3].reshape(14, 14, 3)[5, 3], mean, atol=0.51)
    assert [len(part) for part in activations.chunks("train")] == [32, 32, 16]
    stored = np.concatenate(
        [labels for _, labels in dataset.training_images(8).as_numpy_iterator()]
    )
    np.testing.assert_array_equal(activations.labels("train"), stored)
    whole = np.concatenate(list(activations.chunks("train")))
    np.testing.assert_array_equal(activations.rows("train", [70, 3, 40, 3]), whole[[70, 3, 40, 3]])


def test_progress_bars_may_be_off(model, dataset, tmp_path, monkeypatch):
    """A bar that TQDM_DISABLE=1 turns off does not count."""
    silent = functools.partial(activations_module.tqdm, disable=True)
    monkeypatch.setattr(activations_module, "tqdm", silent)
    activations = write(model, dataset, tmp_path / "out")
    assert [len(part) for part in activations.chunks("train")] == [32, 32, 16]
    assert [len(part) for part in activations.chunks("validation")] == [20]


def test_goes_on_where_it_was_stopped(model, dataset, tmp_path):
    whole = write(model, dataset, tmp_path / "whole")
    write(model, dataset, tmp_path / "parts")
    before = (tmp_path / "parts" / "train-00000.npz").stat().st_mtime_ns
    for name in ("train-00001.npz", "train-00002.npz", "validation-00000.npz"):
        (tmp_path / "parts" / name).unlink()
    with pytest.raises(
        ValueError,
        match=r"`folder` must have all activations.* without train-00001.npz, train-00002",
    ):
        Activations(tmp_path / "parts")
    parts = write(model, dataset, tmp_path / "parts")
    assert (tmp_path / "parts" / "train-00000.npz").stat().st_mtime_ns == before
    for split in ("train", "validation"):
        for ours, theirs in zip(parts.chunks(split), whole.chunks(split), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        np.testing.assert_array_equal(parts.labels(split), whole.labels(split))


def test_only_a_missing_file_is_computed_again(model, dataset, tmp_path):
    folder = tmp_path / "out"
    activations = write(model, dataset, folder)
    whole = list(activations.chunks("train"))
    last = folder / "train-00002.npz"
    before = last.stat().st_mtime_ns
    (folder / "train-00001.npz").unlink()
    again = write(model, dataset, folder)
    assert last.stat().st_mtime_ns == before
    for repeated, expected in zip(again.chunks("train"), whole, strict=True):
        np.testing.assert_allclose(repeated, expected, atol=1e-5)


def test_another_model_leaves_the_folder_alone(model, dataset, tmp_path):
    folder = tmp_path / "out"
    mine = tmp_path / "mine"
    write(model, dataset, folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    other = AlexNet("cifar", classes=4, **TINY)
    with pytest.raises(
        ValueError, match="other settings: model: stored '[0-9a-f]{16}', requested '[0-9a-f]{16}'"
    ):
        write(other, dataset, folder)
    with pytest.raises(
        ValueError,
        match="other settings: layer: stored 'fc7', requested 'fc6'; units: stored 12, requested 8",
    ):
        write(model, dataset, folder, layer="fc6")
    with_mean_color = Dataset(dataset.info.name, 32, 28, mean_subtraction="color")
    assert not np.array_equal(with_mean_color.info.mean_image, dataset.info.mean_image)
    with pytest.raises(ValueError, match="other settings: mean: stored"):
        write(model, with_mean_color, folder)
    mine.mkdir()
    (mine / "letter.txt").write_text("keep me")
    with pytest.raises(
        ValueError,
        match="`folder` must be a new folder, .* which holds other files and no activations.json",
    ):
        write(model, dataset, mine)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in mine.iterdir()] == ["letter.txt"]


def test_bad_arguments(model, dataset, tiny_npz, tmp_path):
    for options, words in (
        (
            {"layer": "fc9"},
            "`layer` must be a layer of the network, image, .*drop7, fc8. Received: layer='fc9'",
        ),
        ({"layer": "conv1"}, "`layer` must be fully connected. Received: layer='conv1'"),
        (
            {"pixel_size": 29},
            "`pixel_size` must be a whole number from 1 to 28, the side of the crops",
        ),
        (
            {"batch_size": 5},
            "`chunk` must be a multiple of `batch_size`. Received: chunk=32, batch_size=5",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            write(model, dataset, tmp_path / "none", **options)
    with pytest.raises(
        ValueError, match="`model` must take crops of 24 pixels. Received: a model of input"
    ):
        write(model, Dataset(tiny_npz, 32, 24), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="`folder` must be one that write_activations wrote"):
        Activations(tmp_path / "none")
