"""`tests/test_backends.py` runs these on JAX and PyTorch."""

import dataclasses
import importlib.abc
import itertools
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from alexnet_keras import AlexNet
from alexnet_keras.data import InMemoryDataset, drawing
from alexnet_keras.extras import MissingExtraError
from alexnet_keras.training.config import training_config
from alexnet_keras.training.device_augmentation import augmenting_model
from alexnet_keras.training.train import compile_for_training, train_and_evaluate
from experiments.train import main
from tests.conftest import TINY

BACKEND = keras.backend.backend()
if BACKEND not in ("jax", "torch"):
    pytest.skip("needs JAX or PyTorch", allow_module_level=True)


class OneBackend(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in {"tensorflow", "tensorflow_datasets", "jax", "torch"} - {BACKEND}:
            raise ModuleNotFoundError(f"{name} is not there", name=name)


@pytest.fixture(autouse=True)
def one_backend(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [OneBackend(), *sys.meta_path])


def augmented(dataset, batch):
    return keras.ops.convert_to_numpy(dataset.augment(batch))


def epoch(dataset, steps, **options):
    """Images and labels of so many batches, as a network sees them."""
    batches = list(itertools.islice(dataset.train(16, **options), steps))
    return np.stack([augmented(dataset, batch) for batch, _ in batches]), np.stack(
        [labels for _, labels in batches]
    )


def test_crops_are_the_definition(tiny_npz):
    dataset = InMemoryDataset(tiny_npz, 32, 28)
    x = keras.ops.convert_to_numpy(dataset._images["train"]).astype("float32")
    mean = x.mean(0)[2:30, 2:30]
    batch, labels = next(dataset.train(80, pca_noise="eigenvalue", seed=3))
    assert sorted(batch["index"]) == list(range(80))
    corners = {tuple(corner) for corner in batch["corners"]}
    assert {row for row, _ in corners} == {column for _, column in corners} == {0, 1, 2, 3, 4}
    assert 20 <= batch["mirrored"].sum() <= 60
    for crop, index, (top, left), mirrored, shift in zip(
        augmented(dataset, batch),
        *(batch[name] for name in ("index", "corners", "mirrored", "shift")),
        strict=True,
    ):
        cut = x[index, top : top + 28, left : left + 28]
        np.testing.assert_allclose(
            crop, (cut[:, ::-1] if mirrored else cut) - mean + shift, atol=1e-3
        )
    # Along the eigenvectors the noise has 0.1 times the eigenvalues as its standard deviation.
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(x.reshape(-1, 3).T, bias=True))
    alpha = batch["shift"] @ eigenvectors / eigenvalues
    np.testing.assert_allclose(alpha.std(0), 0.1, rtol=0.25)
    with np.load(tiny_npz) as arrays:
        colors = {
            image.tobytes(): label
            for image, label in zip(arrays["x_train"], arrays["y_train"], strict=True)
        }
    assert [colors[x[i].astype("uint8").tobytes()] for i in batch["index"]] == labels.tolist()


def test_a_compiled_step_trains_on_augmented_images(tiny_npz):
    config = training_config("cifar", epochs=1, overrides={**TINY, "dropout": 0.0})

    def trained(device_augmentation):
        keras.utils.set_random_seed(0)
        dataset = InMemoryDataset(tiny_npz, 32, 28)
        model = AlexNet(config.network, input_shape=(28, 28, 3), classes=4)
        compile_for_training(model, config)
        if device_augmentation:
            model = augmenting_model(model, dataset)
        for batch, labels in itertools.islice(dataset.train(16, seed=1), 3):
            model.train_on_batch(batch if device_augmentation else dataset.augment(batch), labels)
        return model.get_weights()

    for ours, expected in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_noise_of_the_source_and_its_end(tiny_npz):
    dataset = InMemoryDataset(tiny_npz, 32, 28)
    plain, _ = epoch(dataset, 10, pca_noise="none")
    noisy, _ = epoch(dataset, 10, pca_noise="standard_deviation", pca_noise_epochs=1)
    shift = (noisy * 1.1 - plain)[:5]
    assert shift.std((0, 1, 2, 3)).min() > 1
    np.testing.assert_allclose(
        shift.std((2, 3)), 0, atol=1e-3
    )  # one color to all pixels of an image
    np.testing.assert_array_equal(noisy[5:], plain[5:])


def test_resumes_inside_an_epoch(tiny_npz):
    dataset = InMemoryDataset(tiny_npz, 32, 28)
    images, labels = epoch(dataset, 12, seed=1)
    rest = epoch(dataset, 5, seed=1, first_epoch=1, first_step=2)
    np.testing.assert_array_equal(rest[0], images[7:])
    np.testing.assert_array_equal(rest[1], labels[7:])
    assert not np.array_equal(images[:5], images[5:10])
    assert not np.array_equal(images[:5], epoch(dataset, 5, seed=2)[0])


def test_without_crops(tiny_npz):
    dataset = InMemoryDataset(tiny_npz, 32, 28)
    batch, _ = next(dataset.train(80, random_crop=False, pca_noise="none"))
    x = keras.ops.convert_to_numpy(dataset._images["train"])[batch["index"]].astype("float32")
    np.testing.assert_allclose(augmented(dataset, batch), (x - x.mean(0))[:, 2:30, 2:30], atol=1e-3)


def test_validation_weights_count_every_image_once(tiny_npz):
    dataset = InMemoryDataset(tiny_npz, 32, 28)
    batches = dataset.validation(8)
    images, labels, weights = (
        np.concatenate([keras.ops.convert_to_numpy(x) for x in part])
        for part in zip(*(batches[i] for i in range(3)), strict=True)
    )
    with np.load(tiny_npz) as arrays:
        x, y, mean = arrays["x_test"].astype("float32"), arrays["y_test"], arrays["x_train"].mean(0)
    np.testing.assert_allclose(images[:20], (x - mean)[:, 2:30, 2:30], atol=1e-3)
    np.testing.assert_array_equal(labels[:20], y)
    np.testing.assert_allclose(weights, [24 / 20] * 20 + [0] * 4)


def test_scales_and_cuts_as_pillow_does(tmp_path, random):
    images = random.randint(0, 256, (6, 48, 60, 3)).astype("uint8")
    np.savez(
        tmp_path / "a.npz", x_train=images, y_train=[0, 1] * 3, x_test=images, y_test=[0, 1] * 3
    )
    dataset = InMemoryDataset(tmp_path / "a.npz", 32, 32)
    for image, original in zip(dataset.validation_images(6)[0][0], images, strict=True):
        expected = np.asarray(
            Image.fromarray(original).resize((40, 32), Image.Resampling.BILINEAR)
        )[:, 4:36]
        np.testing.assert_allclose(image, expected.astype(int), atol=1)


def test_thin_images_take_no_more_memory_than_their_center(tmp_path):
    images = np.zeros((2, 1, 100_000, 3), "uint8")
    images[:, 0, 50_000] = 200  # pixel 0.5 to the right of the middle
    np.savez(tmp_path / "a.npz", x_train=images, y_train=[0, 1], x_test=images, y_test=[0, 1])
    image = InMemoryDataset(tmp_path / "a.npz", 256, 256).validation_images(2)[0][0][0]
    # Scaled 256 times, the pixel's middle is 128 to the right of the square's middle, 127.5.
    expected = 200 * np.maximum(1 - np.abs(np.arange(256) - 255.5) / 256, 0)
    np.testing.assert_allclose(np.asarray(image)[0, :, 0], expected, atol=1)


def test_trains_and_resumes(tiny_npz, tmp_path, capsys):
    run = [
        "--in-memory",
        "--dataset",
        tiny_npz,
        "--preset",
        "cifar",
        "--batch-size",
        "16",
        "--lr-milestones",
    ]
    run += [
        "--pca-noise",
        "none",
        "--overrides",
        *(f"{name}={value}" for name, value in TINY.items()),
        "dropout=0.0",
    ]
    results = main([*run, "--epochs", "15", "--workdir", str(tmp_path / "whole")])
    assert min(row["val_top1_error"] for row in results["history"]) < 40  # of 75% by chance
    assert BACKEND in results["versions"]
    assert not any(name.startswith("tensorflow") for name in results["versions"])
    last = results["history"][-1]
    for metric in ("loss", "top1_error"):
        assert results["errors"]["center"][metric] == pytest.approx(last[f"val_{metric}"], rel=1e-4)
    run += ["--test-views", "center", "--workdir", str(tmp_path / "parts")]
    main([*run, "--epochs", "10"])
    main([*run, "--epochs", "15"])
    assert "epochs 11 to 15" in capsys.readouterr().out
    parts = [
        keras.saving.load_model(tmp_path / name / "last.keras").get_weights()
        for name in ("whole", "parts")
    ]
    for a, b in zip(*parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_reports_missing_requirements(tiny_npz, tmp_path, monkeypatch):
    config = training_config(
        "cifar", dataset=tiny_npz, in_memory=True, epochs=1, batch_size=16, overrides=TINY
    )
    with pytest.raises(
        ValueError,
        match=r"`in_memory` needs a whole \.npz .*or shapes.* Received: dataset='cifar10'",
    ):
        dataclasses.replace(config, dataset="cifar10")
    with pytest.raises(ValueError, match="`in_memory` needs .* devices=2"):
        dataclasses.replace(config, devices=2)
    with pytest.raises(ValueError, match=r"`dataset` must be an \.npz file with x_train"):
        train_and_evaluate(
            dataclasses.replace(config, dataset=str(tmp_path / "none.npz")), tmp_path / "run"
        )
    with pytest.raises(ValueError, match="`crop_size` must be a whole number from 1 to image_size"):
        InMemoryDataset(tiny_npz, 32, 40)
    dataset = InMemoryDataset(tiny_npz, 32, 28)
    with pytest.raises(
        ValueError, match="`batch_size` must be from 1 to the number of training images, 80"
    ):
        dataset.train(81)
    with pytest.raises(ValueError, match="`pca_noise` must be one of"):
        dataset.train(8, pca_noise="some")
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    with pytest.raises(ValueError, match="needs the jax or torch backend. Received: tensorflow"):
        InMemoryDataset(tiny_npz, 32, 28)


def test_a_training_without_tensorflow_names_the_option_that_needs_none(tiny_npz, tmp_path):
    config = training_config("cifar", dataset=tiny_npz, epochs=1, batch_size=16, overrides=TINY)
    words = r"needs TensorFlow: pip install .*, or give `in_memory` \(--in-memory\)"
    for name in (tiny_npz, "shapes"):
        with pytest.raises(MissingExtraError, match=words):
            train_and_evaluate(dataclasses.replace(config, dataset=name), tmp_path / "run")
    with pytest.raises(MissingExtraError, match="pip install 'alexnet_keras.tensorflow.'$"):
        train_and_evaluate(dataclasses.replace(config, dataset="mnist"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_shapes_without_tensorflow(monkeypatch):
    monkeypatch.setattr(drawing, "COUNTS", {"train": 20, "test": 10})
    dataset = InMemoryDataset("shapes", 64, 64)
    assert dataset.info.class_names == drawing.CLASS_NAMES
    assert dataset.info.splits == ("train", "test")
    test = [drawing.draw(i, (2012, 1, i)) for i in range(10)]
    images, labels, _ = dataset.validation_images(10)[0]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(images), test)
    assert labels.tolist() == list(range(10))
    train = [drawing.draw(i % 10, (2012, 0, i)) for i in range(20)]
    batch, labels = next(dataset.train(20, random_crop=False, pca_noise="none"))
    labels = dict(zip(batch["index"].tolist(), labels.tolist(), strict=True))
    stored = keras.ops.convert_to_numpy(dataset._images["train"])
    assert sorted(image.tobytes() for image in stored) == sorted(x.tobytes() for x in train)
    for index, label in labels.items():
        assert any(np.array_equal(stored[index], x) for x in train[label::10])
