import dataclasses

import numpy as np
import pytest

from alexnet_keras.training.config import training_config
from alexnet_keras.training.training_data import open_training_data

OTHER_CLASSES = "`classes` must be the number of classes of the data, 4 .* classes=10"


@pytest.fixture
def config(tiny_npz):
    return training_config(
        "cifar",
        dataset=tiny_npz,
        epochs=4,
        batch_size=16,
        pca_noise_end=0.5,
        conv1_milestones=(0.5, 0.75),
    )


def test_trainings_on_the_same_images_share_a_data_set(config, tiny_npz):
    first = open_training_data(config)
    other_training = dataclasses.replace(config, epochs=9, seed=3, random_crop=False)
    assert open_training_data(other_training).dataset is first.dataset
    smaller = open_training_data(dataclasses.replace(config, crop_size=24))
    assert smaller.dataset is not first.dataset
    assert smaller.info.crop_size == 24
    # A file that has been written anew is read anew.
    again = open_training_data(config)
    with np.load(tiny_npz) as file:
        arrays = dict(file)
    np.savez(
        tiny_npz, **arrays | {"x_train": arrays["x_train"][:64], "y_train": arrays["y_train"][:64]}
    )
    assert (again.info.train_count, open_training_data(config).info.train_count) == (80, 64)


def test_a_data_set_that_cannot_be_opened_is_not_kept(config, tmp_path):
    first = open_training_data(config)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"`dataset` must be an \.npz file"):
            open_training_data(dataclasses.replace(config, dataset=str(tmp_path / "none.npz")))
    assert open_training_data(config).info.fingerprint == first.info.fingerprint


def test_describes_its_data(config):
    data = open_training_data(config, classes=4)
    assert data.steps == 5  # 80 images in batches of 16
    assert data.identity == {
        "classes": 4,
        "train_count": 80,
        "class_names": ["dark", "red", "green", "yellow"],
    }
    images, labels = next(data.batches(1, 3).as_numpy_iterator())
    assert images.shape == (16, 28, 28, 3)
    assert labels.shape == (16,)
    with pytest.raises(ValueError, match=OTHER_CLASSES):
        open_training_data(config, classes=10)


def test_other_classes_are_found_before_the_images_are_read(config, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_KERAS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=OTHER_CLASSES):
        open_training_data(config, classes=10)
    assert not (tmp_path / "cache").exists()  # where the statistics of the images are kept
    open_training_data(config, classes=4)
    assert len(list((tmp_path / "cache").glob("statistics-*.npz"))) == 1
