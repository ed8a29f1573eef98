import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.analysis import KernelSnapshots, layer_kernels, read_snapshots

TINY = {"filters": (4,) * 6, "units": (8, 8)}


def fit(model, folder, first, last):
    images = np.random.RandomState(0).normal(0, 60, (8, 32, 32, 3)).astype("float32")
    labels = np.arange(8) % 2
    model.fit(
        images,
        labels,
        initial_epoch=first,
        epochs=last,
        callbacks=[KernelSnapshots(folder)],
        verbose=0,
    )


@pytest.fixture
def model():
    model = AlexNet("cifar", classes=2, **TINY)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    return model


def test_every_epoch_is_kept_also_when_training_goes_on(model, tmp_path):
    start = layer_kernels(model)
    fit(model, tmp_path, 0, 2)
    after_two = layer_kernels(model)
    fit(model, tmp_path, 2, 3)
    snapshots = read_snapshots(tmp_path)
    assert [snapshot.epoch for snapshot in snapshots] == [0, 1, 2, 3]
    np.testing.assert_array_equal(snapshots[0].kernels, start)
    np.testing.assert_array_equal(snapshots[2].kernels, after_two)
    np.testing.assert_array_equal(snapshots[3].kernels, layer_kernels(model))
    assert np.abs(after_two - start).max() > 0
    assert snapshots[0].kernels.shape == (2, 2, 5, 5, 3)


def test_the_first_epoch_begun_again_keeps_the_random_start(model, tmp_path):
    start = layer_kernels(model)
    fit(model, tmp_path, 0, 1)
    fit(model, tmp_path, 0, 1)
    np.testing.assert_array_equal(read_snapshots(tmp_path)[0].kernels, start)


def test_another_training_removes_the_epochs_after_its_own(model, tmp_path):
    fit(model, tmp_path, 0, 3)
    fit(model, tmp_path, 0, 2)
    assert [snapshot.epoch for snapshot in read_snapshots(tmp_path)] == [0, 1, 2]


def test_the_folder_may_begin_with_the_home_folder(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fit(model, "~/kernels", 0, 1)
    assert len(list((tmp_path / "kernels").iterdir())) == 2
    assert len(read_snapshots("~/kernels")) == 2


def test_bad_arguments(model, tmp_path):
    with pytest.raises(ValueError, match="`snapshots` must be a folder that KernelSnapshots wrote"):
        read_snapshots(tmp_path)
    fit(model, tmp_path, 0, 1)
    other = AlexNet("cifar", classes=2, filters=(8,) * 6, units=(8, 8))
    other.compile("sgd", "sparse_categorical_crossentropy")
    fit(other, tmp_path, 1, 2)
    with pytest.raises(ValueError, match="`snapshots` must be of one network"):
        read_snapshots(tmp_path)
    with pytest.raises(ValueError, match="`model` must have a layer conv7"):
        model.fit(
            np.zeros((1, 32, 32, 3)),
            np.zeros(1),
            callbacks=[KernelSnapshots(tmp_path, "conv7")],
            verbose=0,
        )
