import argparse
import importlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from alexnet_keras import Classifier
from alexnet_keras.cli import evaluate
from alexnet_keras.cli.trained_network import claim_workdir, folder_of, open_dataset
from alexnet_keras.models.saved import check_exists


def test_an_image_size_of_zero_is_not_the_size_of_the_training(tmp_path):
    (tmp_path / "config.json").write_text('{"dataset": "shapes", "image_size": 32}')
    model = keras.Sequential([keras.Input((28, 28, 3)), keras.layers.Flatten()])
    weights = str(tmp_path / "best.keras")
    model.save(weights)
    options = argparse.Namespace(weights=weights, dataset=None, image_size=0)
    with pytest.raises(ValueError, match="Received: crop_size=28, image_size=0"):
        open_dataset(model, options)


def by_the_strongest_color(path, names, mean=(0, 0, 0), color_order="BGR"):
    """A classifier of red, green and blue images, whose network takes BGR."""
    network = keras.Sequential(
        [
            keras.Input((28, 28, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax", use_bias=False, name="fc7"),
        ]
    )
    network.set_weights([np.eye(3)[::-1] / 10])
    options = {"image_size": 32, "color_order": color_order}
    Classifier.from_network(network, mean, names, **options).save(path)
    return str(path)


def test_a_classifier_is_measured_with_its_own_preparation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.zeros((9, 32, 32, 3), "uint8")
    labels = np.arange(9) % 3
    images[np.arange(9), :, :, labels] = 200
    names = ["red", "green", "blue"]
    np.savez(
        "colors.npz", **{"x_train": images, "x_test": images, "y_train": labels, "y_test": labels}
    )
    arrays = dict(np.load("colors.npz")) | {"class_names": names}
    np.savez("colors.npz", **arrays)

    def errors(path, *options):
        arguments = ["--models", path, "--dataset", "colors.npz", "--test-views", "center"]
        return evaluate.main([*arguments, *options])["models"][0]["errors"]["top1_error"]

    own = by_the_strongest_color(tmp_path / "own.keras", names)
    assert errors(own, "--workdir", "own") == 0.0
    # The network takes the colors in the other order, and of equal colors the first one.
    other = by_the_strongest_color(tmp_path / "rgb.keras", names, color_order="RGB")
    assert errors(other, "--workdir", "rgb") == pytest.approx(200 / 3)
    with pytest.raises(SystemExit, match="`image_size` must be left out, as .* it has 32"):
        errors(own, "--image-size", "40")
    with pytest.raises(SystemExit, match="`mean_subtraction` must be left out, as .* 'color'"):
        errors(own, "--mean-subtraction", "image")
    mixed = by_the_strongest_color(tmp_path / "mixed.keras", ["green", "red", "blue"])
    with pytest.raises(SystemExit, match="in the order of the training. .* class 0 is 'red', and"):
        errors(mixed)
    shifted = by_the_strongest_color(tmp_path / "shifted.keras", names, mean=(1, 2, 3))
    with pytest.raises(SystemExit, match="`models` must have one mean, color order and image siz"):
        evaluate.main(["--models", own, shifted, "--dataset", "colors.npz"])


def test_another_data_set_gets_the_mean_of_the_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arrays = {"x_train": np.full((6, 32, 32, 3), 90, "uint8"), "y_train": np.arange(6) % 3}
    for name in ("moved", "other"):
        np.savez(f"{name}.npz", x_test=arrays["x_train"], y_test=arrays["y_train"], **arrays)
    training = {"dataset": "moved.npz", "image_size": 32, "max_images_per_class": 1}
    (tmp_path / "config.json").write_text(json.dumps(training))
    by_the_strongest_color("classifier.keras", list("rgb"), mean=(1, 2, 3), color_order="RGB")
    network = Classifier.load("classifier.keras").network
    network.save("best.keras")

    def opened(dataset):
        options = argparse.Namespace(weights="best.keras", dataset=dataset, image_size=None)
        return open_dataset(network, options).info

    own = opened(None)
    assert (own.train_count, own.mean_image.flat[0]) == (3, 90)
    assert capsys.readouterr().out == ""
    other = opened("other.npz")
    assert other.train_count == 6
    np.testing.assert_array_equal(other.mean_image[0, 0], [1, 2, 3])
    printed = capsys.readouterr().out
    assert "whose options do not count here: max_images_per_class=1" in printed
    Path("classifier.keras").unlink()
    assert opened("other.npz").mean_image.flat[0] == 90
    assert "The mean is the one of this data set" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("alexnet_keras.cli.evaluate", ["--models", "network.keras"]),
        ("alexnet_keras.cli.export", ["--weights", "network.keras", "--formats", "saved_model"]),
        ("experiments.codes", ["--weights", "network.keras"]),
        ("experiments.neighbors", ["--weights", "network.keras"]),
        ("experiments.predictions", ["--weights", "network.keras"]),
    ],
    ids=str,
)
def test_a_foreign_folder_is_found_before_the_data_set_is_opened(
    module, options, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    by_the_strongest_color("network.keras", ["red", "green", "blue"])
    Path("results").mkdir()
    Path("results", "config.json").write_text('{"experiment": "kernels"}')
    message = "`workdir` must be a new folder, .* experiment: stored 'kernels', requested "
    with pytest.raises(SystemExit, match=message):
        importlib.import_module(module).main(
            [*options, "--workdir", "results", "--dataset", "none.npz"]
        )


def test_weights_of_hugging_face_have_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = "hf://user/model"
    check_exists(weights)
    options = argparse.Namespace(weights=weights, workdir=None)
    message = f"`workdir` must be given for weights of Hugging Face. Received: weights={weights!r}"
    with pytest.raises(ValueError, match=message):
        claim_workdir(options, "kernels", {})
    assert not list(tmp_path.iterdir())
    options.workdir = str(tmp_path / "results")
    assert claim_workdir(options, "kernels", {}) == tmp_path / "results"
    with pytest.raises(ValueError, match="`activations` must be given"):
        folder_of(weights, "activations")
    assert folder_of("runs/x/best.keras", "activations") == Path("runs/x")


def open_with_names(names, trained):
    """Opens a data set of three class names with a classifier of three others."""
    arrays = {"x_train": np.zeros((6, 32, 32, 3), "uint8"), "y_train": np.arange(6) % 3}
    arrays |= {"x_test": arrays["x_train"], "y_test": arrays["y_train"], "class_names": names}
    np.savez("named.npz", **arrays)
    path = by_the_strongest_color("classifier.keras", trained)
    options = argparse.Namespace(weights=path, dataset="named.npz", image_size=None)
    return open_dataset(Classifier.load(path).network, options)


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        (["bird", "cat", "dog"], "class 1 is 'cat', and 'dog' in the training"),
        (["Dog", "bird", "horse"], "class 0 is 'Dog', and 'cat' in the training"),
        (["cat", "horse", "dog"], "class 1 is 'horse', and 'dog' in the training"),
    ],
)
def test_a_class_under_another_label_is_refused(names, difference, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = (
        f"`dataset` must have the classes in the order .*dataset='named.npz', whose {difference}"
    )
    with pytest.raises(ValueError, match=message):
        open_with_names(names, ["cat", "dog", "horse"])


@pytest.mark.parametrize(
    ("names", "trained"),
    [
        (["cat", "bird", "horse"], ["cat", "dog", "horse"]),
        (["crane", "dog", "heron"], ["crane", "dog", "crane"]),
    ],
)
def test_another_name_of_a_class_is_printed(names, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert open_with_names(names, trained).info.class_names == tuple(names)
    assert "The classes have other names than in the training: class" in capsys.readouterr().out
