import argparse
import functools
import json

import numpy as np
import pytest
from PIL import Image

from alexnet_keras.cli.trained_network import open_dataset
from experiments import fine_tune, predictions, train
from experiments.framework import cli
from tests.experiments.conftest import tiny_model


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A network of two classes, as trained on a folder of four with a file that is no image."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for label in "abcd":
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 256, (32, 32, 3)).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{number}.png")
    (tmp_path / "images" / "a" / "6.png").write_text("no image")
    fields = {
        "dataset": "images",
        "image_size": 32,
        "hold_out_every": 3,
        "class_subset": [0, 1],
        "max_images_per_class": 2,
    }
    config = {**fields, "skip_corrupt": True, "mean_subtraction": "color"}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    model = tiny_model(classes=2)
    model.save(tmp_path / "run" / "best.keras")
    return model


@pytest.mark.parametrize("name", [None, "images", "./images/", "run/../images"])
def test_the_images_of_the_training(trained, name):
    options = argparse.Namespace(
        weights="run/best.keras", dataset=name, image_size=None, mean_subtraction=None
    )
    info = open_dataset(trained, options).info
    # Each class has 6 images, one also a file that is no image. Every third image is held out. Of
    # the others, the first two are for training.
    assert (info.train_count, info.validation_count, len(info.skipped)) == (4, 4, 1)
    assert np.ptp(info.mean_image.reshape(-1, 3), axis=0).max() == 0
    options.mean_subtraction = "image"
    assert np.ptp(open_dataset(trained, options).info.mean_image.reshape(-1, 3), axis=0).max() > 0


def test_the_images_of_the_training_are_found_from_another_folder(trained, tmp_path, monkeypatch):
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["dataset_path"] = str(tmp_path / "images")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path.parent)
    for name in (None, str(tmp_path / "images"), f"{tmp_path.name}/images"):
        options = argparse.Namespace(
            weights=str(tmp_path / "run" / "best.keras"), dataset=name, image_size=None
        )
        info = open_dataset(trained, options).info
        assert (info.train_count, info.validation_count) == (4, 4), name


def test_the_images_of_a_training_that_was_moved(trained, tmp_path, monkeypatch):
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["dataset_path"] = str(tmp_path / "before" / "images")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    for name in (None, "images"):
        options = argparse.Namespace(weights="run/best.keras", dataset=name, image_size=None)
        info = open_dataset(trained, options).info
        assert (info.name, info.train_count, info.validation_count) == ("images", 4, 4)


def test_other_data_are_taken_whole_with_the_kind_of_mean(trained, tiny_npz, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("ALEXNET_KERAS_CACHE", str(cache))
    options = argparse.Namespace(
        weights="run/best.keras", dataset=tiny_npz, image_size=None, mean_subtraction=None
    )
    with pytest.raises(ValueError, match="`dataset` must have the classes of the model, 2"):
        open_dataset(trained, options)
    assert not cache.exists()  # the images have not been read for their statistics
    info = open_dataset(tiny_model(), options).info
    assert len(list(cache.glob("statistics-*.npz"))) == 1
    assert info.validation_count == 20
    assert np.ptp(info.mean_image.reshape(-1, 3), axis=0).max() == 0  # of one color, as in training


def test_the_order_of_the_classes_is_the_one_of_the_training(trained, tmp_path, capsys):
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    options = argparse.Namespace(weights="run/best.keras", dataset=None, image_size=None)
    for names in (["A", "b"], ["B", "A"], ["cat", "b"]):
        path.write_text(json.dumps({**config, "data": {"class_names": names}}))
        if names == ["B", "A"]:
            message = "in the order of the training.*class 0 is 'a', and 'B' in the training"
            with pytest.raises(ValueError, match=message):
                open_dataset(trained, options)
            continue
        open_dataset(trained, options)
        other = "other names than in the training: class 0 is 'a', and 'cat' in the training"
        assert (other in capsys.readouterr().out) == (names == ["cat", "b"])


def test_ctrl_c_ends_a_command_in_one_line(capsys, monkeypatch, tmp_path):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("alexnet_keras.training.train.train_and_evaluate", interrupt)
    monkeypatch.setattr("alexnet_keras.models.load_model", interrupt)
    monkeypatch.setattr("experiments.framework.runner.open_training_data", interrupt)
    resumes = ". Rerun the same command to resume"
    for main, arguments, advice in (
        (train.main, [], resumes),
        (predictions.main, ["--weights", "x.keras"], ""),
        (functools.partial(cli.main, fine_tune.EXPERIMENT, ""), ["--epochs", "1"], resumes),
    ):
        with pytest.raises(SystemExit) as end:
            main([*arguments, "--workdir", str(tmp_path / "out")])
        assert end.value.code == 130
        assert capsys.readouterr().err.endswith(f"stopped by Ctrl-C{advice}\n")
