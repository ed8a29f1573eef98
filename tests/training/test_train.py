import csv
import dataclasses
import json
import os
import re
import shutil
import tarfile

import keras
import numpy as np
import pytest
from PIL import Image

from alexnet_keras import AlexNet, AlexNetSGD, Classifier
from alexnet_keras.analysis import read_snapshots
from alexnet_keras.data import Dataset, DatasetInfo
from alexnet_keras.data.sources import IMAGENET_FILES
from alexnet_keras.evaluation.evaluate import evaluate
from alexnet_keras.models import alexnet_config
from alexnet_keras.training import train
from alexnet_keras.training.callbacks import DropOnPlateau
from alexnet_keras.training.config import TRAINING_PRESETS, TrainingConfig, training_config
from alexnet_keras.training.run_folder import RunFolder
from alexnet_keras.training.train import compile_for_training, train_and_evaluate
from experiments.train import main
from tests import processes
from tests.conftest import TINY, write_tiny_npz


def small_config(dataset, epochs):
    return training_config(
        "cifar",
        dataset=dataset,
        epochs=epochs,
        batch_size=16,
        overrides=TINY,
        pca_noise_end=0.5,
        conv1_milestones=(0.5, 0.75),
        test_views=("center",),
    )


@pytest.fixture
def config(tiny_npz):
    return small_config(tiny_npz, epochs=4)


@pytest.fixture(scope="module")
def finished_folder(tmp_path_factory):
    """A folder with a data set and with `run`, a training of one epoch that has ended."""
    folder = tmp_path_factory.mktemp("finished")
    write_tiny_npz(folder / "tiny.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ALEXNET_KERAS_CACHE", str(folder / "cache"))
        train_and_evaluate(small_config("tiny.npz", epochs=1), "run", verbose=0)
    return folder


@pytest.fixture
def finished(finished_folder, tmp_path, monkeypatch):
    """Configuration of a finished training, with copies of its data and `run` in `tmp_path`."""
    shutil.copytree(finished_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return small_config("tiny.npz", epochs=1)


class Killed(Exception):
    pass


def read_results(folder):
    return json.loads((folder / "results.json").read_text())


def weights(path):
    return keras.saving.load_model(path).get_weights()


def test_writes_all_that_it_promises(config, tmp_path):
    config = dataclasses.replace(config, epochs=2, test_views=("center", "ten_crop"))
    results = train_and_evaluate(config, tmp_path / "run", command="me", verbose=0)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        *{"config.json", "history.csv", "tensorboard", "best.keras", "last.keras", "results.json"},
        *{"snapshots", "classifier.keras"},
    }
    assert results == json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["command"] == "me"
    assert results["data"]["train_count"] == 80
    speeds = [row["images_per_second"] for row in results["history"]]
    assert results["images_per_second"] == {"training": pytest.approx(np.median(speeds))}
    with open(tmp_path / "run" / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1]
    assert set(rows[0]) == {
        *{
            "epoch",
            "loss",
            "top1_error",
            "top5_error",
            "val_loss",
            "val_top1_error",
            "val_top5_error",
        },
        *{"learning_rate", "seconds", "images_per_second", "left_chance_at_step"},
    }
    assert set(results["errors"]) == {"center", "ten_crop"}
    assert list((tmp_path / "run" / "tensorboard").rglob("events*"))
    first, _, last = read_snapshots(tmp_path / "run" / "snapshots")
    assert not np.array_equal(first.kernels, last.kernels)
    kernel = (
        keras.saving.load_model(tmp_path / "run" / "last.keras").get_layer("conv1").get_weights()[0]
    )
    np.testing.assert_array_equal(np.concatenate(last.kernels), np.moveaxis(kernel, -1, 0))
    _check_classifier(Classifier.load(tmp_path / "run"), config, tmp_path / "run")


def _check_classifier(classifier, config, workdir):
    """Whole images give the probabilities of the best network for the crops of the data set."""
    dataset = Dataset(config.dataset, config.image_size, config.crop_size)
    crops, _ = next(dataset.validation(20).as_numpy_iterator())
    images, _ = next(dataset.validation_images(20).as_numpy_iterator())
    expected = keras.saving.load_model(workdir / "best.keras").predict_on_batch(crops)
    assert classifier.class_names == ("dark", "red", "green", "yellow")
    for prediction, probabilities in zip(classifier.predict(images), expected, strict=True):
        label = probabilities.argmax()
        assert prediction.names[0] == classifier.class_names[label]
        np.testing.assert_allclose(
            prediction.probabilities, np.sort(probabilities)[::-1], atol=1e-6
        )


def test_the_classifier_of_a_mean_color_has_names_for_wordnet_numbers(config, tmp_path):
    names = ("n01440764", "my_class")
    network = AlexNet("cifar", classes=2, input_shape=(28, 28, 3), **TINY)
    network.save(tmp_path / "last.keras")  # without validation there is no best.keras
    mean = np.broadcast_to(np.float32([10, 20, 30]), (32, 32, 3))
    info = DatasetInfo("x", 2, names, 4, 0, ("train", "x"), 32, 28, mean, np.eye(3), "")
    RunFolder(tmp_path, config).write_classifier(info, has_mean_color=True)
    classifier = Classifier.load(tmp_path)
    assert classifier.class_names == ("tench", "my_class")
    assert classifier.preparation.mean_subtraction == "color"
    np.testing.assert_array_equal(classifier.preparation.mean_image, mean)
    assert classifier.image_size == 32


def test_tensorflow_traces_a_step_once(monkeypatch, random):
    """A second trace would take as long as the first, most of the time to the first step."""
    network = AlexNet("cifar", classes=4, input_shape=(28, 28, 3), **TINY)
    compile_for_training(network, training_config("cifar"))
    traces = []
    train_step = network.train_step
    monkeypatch.setattr(network, "train_step", lambda data: traces.append(1) or train_step(data))
    images = random.normal(0, 60, (4, 28, 28, 3))
    network.fit(images, np.arange(4), batch_size=2, epochs=2, verbose=0)
    assert len(traces) == 1


def test_the_command_draws_curves_and_kernels(tiny_npz, tmp_path):
    options = [
        "--dataset",
        tiny_npz,
        "--preset",
        "cifar",
        "--epochs",
        "1",
        "--batch-size",
        "16",
        "--test-views",
        "center",
    ]
    overrides = [f"{name}={value}" for name, value in TINY.items()]
    arguments = [*options, "--workdir", str(tmp_path / "run"), "--overrides", *overrides]
    results = main(arguments)
    figures = {name: tmp_path / "run" / name for name in ("curves.png", "kernels.png")}
    for path in figures.values():
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert len(set(image.convert("L").tobytes())) > 10  # it is not blank
        path.unlink()
    # A training that has ended is drawn again, without kernels if its network is gone.
    (tmp_path / "run" / "last.keras").unlink()
    assert main(arguments) == results
    assert figures["curves.png"].exists()
    assert not figures["kernels.png"].exists()


def test_validates_as_often_as_told(config, tmp_path, capsys):
    config = dataclasses.replace(config, epochs=3)
    every = train_and_evaluate(config, tmp_path / "every", verbose=0)
    assert "not validated" not in capsys.readouterr().out
    config = dataclasses.replace(config, validation_freq=2)
    second = train_and_evaluate(config, tmp_path / "second", verbose=0)
    assert capsys.readouterr().out.count("not validated") == 1
    first, *others = second["history"]
    assert not any(name.startswith("val_") for name in first)
    for row, its in zip(second["history"], every["history"], strict=True):
        assert row["loss"] == its["loss"]
    for row, its in zip(
        others, every["history"][1:], strict=True
    ):  # after two epochs, and after the last
        assert row["val_top1_error"] == its["val_top1_error"]
    assert second["errors"] == every["errors"]
    with pytest.raises(
        ValueError, match="`validation_freq` must be 1 with schedule='plateau'.* validation_freq=2"
    ):
        dataclasses.replace(config, schedule="plateau")


def test_a_training_without_validation_goes_on(config, tmp_path):
    config = dataclasses.replace(config, epochs=2, validation_freq=5, checkpoint_minutes=0)
    whole = train_and_evaluate(config, tmp_path / "whole", verbose=0)

    class Kill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # after the last step, which has been saved
            raise Killed

    with pytest.raises(Killed):
        train_and_evaluate(config, tmp_path / "parts", callbacks=[Kill()], verbose=0)
    assert not (tmp_path / "parts" / "best.keras").exists()
    parts = train_and_evaluate(config, tmp_path / "parts", verbose=0)
    names = [name for name in whole["history"][0] if name not in ("seconds", "images_per_second")]
    assert "val_loss" not in names
    for row, its in zip(parts["history"], whole["history"], strict=True):
        assert [row[name] for name in names] == [its[name] for name in names]
    assert parts["errors"] == whole["errors"]


def test_a_training_that_has_ended_returns_its_results(finished, tmp_path, capsys):
    first = read_results(tmp_path / "run")
    before = (tmp_path / "run" / "last.keras").stat().st_mtime_ns
    assert train_and_evaluate(finished, tmp_path / "run", verbose=0) == first
    assert (tmp_path / "run" / "last.keras").stat().st_mtime_ns == before
    assert "has ended" in capsys.readouterr().out


def test_a_workdir_of_another_configuration_is_left_alone(finished, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    with pytest.raises(
        ValueError,
        match=r"`workdir` must be .* other settings: learning_rate: stored 0.02, requested 0.5$",
    ):
        train_and_evaluate(
            dataclasses.replace(finished, learning_rate=0.5), tmp_path / "run", verbose=0
        )
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == before


def test_a_workdir_in_which_another_training_runs_is_refused(config, tmp_path):
    config = dataclasses.replace(config, epochs=1)
    refused = []

    def train_too(batch, logs):
        with pytest.raises(
            ValueError, match=f"no other process uses. .*run', which process {os.getpid()} on "
        ):
            train_and_evaluate(config, tmp_path / "run", verbose=0)
        refused.append(batch)

    call = keras.callbacks.LambdaCallback(on_train_batch_end=train_too)
    results = train_and_evaluate(config, tmp_path / "run", callbacks=[call], verbose=0)
    assert len(refused) == 80 // 16
    assert train_and_evaluate(config, tmp_path / "run", verbose=0) == results


def test_a_workdir_from_before_a_field_was_added_is_the_same_training(finished, tmp_path):
    path = tmp_path / "run" / "config.json"
    before = json.loads(path.read_text())
    del before["decoupled_weight_decay"]
    path.write_text(json.dumps(before))
    first = read_results(tmp_path / "run")
    assert train_and_evaluate(finished, tmp_path / "run", verbose=0) == first


def test_classes_renamed_under_a_training_are_refused(finished, tmp_path):
    path = tmp_path / "run" / "config.json"
    stored = json.loads(path.read_text())
    assert stored["data"] == {
        "classes": 4,
        "train_count": 80,
        "class_names": ["dark", "red", "green", "yellow"],
    }
    (tmp_path / "run" / "results.json").unlink()
    with np.load(finished.dataset) as file:
        arrays = dict(file)
    np.savez(finished.dataset, **arrays | {"class_names": ["dark", "yellow", "green", "red"]})
    words = (
        "other settings: class name of label 1: stored 'red', requested 'yellow'; "
        "class name of label 3: stored 'yellow', requested 'red'$"
    )
    with pytest.raises(ValueError, match=words):
        train_and_evaluate(finished, tmp_path / "run", verbose=0)
    assert json.loads(path.read_text()) == stored
    # A workdir from before the names were stored gets them.
    old = {"classes": 4, "train_count": 80}
    path.write_text(json.dumps(stored | {"data": old}))
    train_and_evaluate(finished, tmp_path / "run", verbose=0)
    names = ["dark", "yellow", "green", "red"]
    assert json.loads(path.read_text())["data"] == old | {"class_names": names}


def test_class_folders_with_other_files_are_refused(config, tmp_path):
    folder = RunFolder(tmp_path, config)
    data = {"classes": 2, "train_count": 6, "class_names": ["cats", "dogs"]}
    folder.begin({"epoch": 0, "step": 0, "stopped": False}, data | {"content": "of the first call"})
    folder.check_settings(data | {"content": "of the first call"})
    with pytest.raises(
        ValueError, match="other settings: data: the class folders have other files"
    ):
        folder.check_settings(data | {"content": "of classes that have exchanged their names"})
    folder.begin({"epoch": 0, "step": 0, "stopped": False}, data)  # as an earlier version wrote it
    folder.check_settings(data | {"content": "any"})


def test_a_change_that_has_passed_is_named_with_the_options_that_resume(config, tmp_path):
    # Two epochs of the preset: its drops at 0.6 and 0.85 of them come before the second, and after
    # the last.
    few = dataclasses.replace(config, epochs=2, pca_noise_end=0.5, conv1_milestones=(0.5, 1.0))
    assert few.lr_milestones == (0.6, 0.85)
    fields = json.loads(json.dumps(dataclasses.asdict(few)))
    (tmp_path / "config.json").write_text(json.dumps(fields))
    (tmp_path / "history.csv").write_text("epoch,loss\n0,1.0\n1,1.0\n")
    more = dataclasses.replace(few, epochs=10)
    words = (
        "other settings: epochs: stored 2, requested 10; drops of the learning rate: stored "
        "before epoch 2, requested before epoch 7, 9 and end of the color noise: stored before "
        "epoch 2, requested before epoch 6 and changes of conv1's learning rate: stored before "
        "epoch 2, requested before epoch 6; to resume, give `lr_milestones` (--lr-milestones) 0.1 "
        "0.85 and `pca_noise_end` (--pca-noise-end) 0.1 and `conv1_milestones` "
        "(--conv1-milestones) 0.1 1"
    )
    with pytest.raises(ValueError, match=re.escape(words) + "$"):
        train_and_evaluate(more, tmp_path)
    # With these options it would be accepted: what is refused next is the data.
    resumed = dataclasses.replace(
        more,
        lr_milestones=(0.1, 0.85),
        pca_noise_end=0.1,
        conv1_milestones=(0.1, 1.0),
        dataset=str(tmp_path / "no.npz"),
    )
    (tmp_path / "config.json").write_text(json.dumps(fields | {"dataset": resumed.dataset}))
    with pytest.raises(ValueError, match="`dataset` must be an .npz file"):
        train_and_evaluate(resumed, tmp_path)
    with pytest.raises(
        ValueError, match=r"2 epochs are stored, give `epochs` \(--epochs\) of 2 or more"
    ):
        train_and_evaluate(dataclasses.replace(resumed, epochs=1), tmp_path)


def test_goes_on_with_more_epochs(config, tmp_path):
    config = dataclasses.replace(config, pca_noise_end=None, conv1_milestones=())
    few = dataclasses.replace(config, epochs=2, lr_milestones=())
    more = dataclasses.replace(config, epochs=4, lr_milestones=(0.75,))
    whole = train_and_evaluate(more, tmp_path / "whole", verbose=0)
    assert len(train_and_evaluate(few, tmp_path / "parts", verbose=0)["history"]) == 2
    with open(tmp_path / "parts" / "history.csv", "a") as file:
        file.write("2,0.5")  # half a row, of a process that was killed
    parts = train_and_evaluate(more, tmp_path / "parts", verbose=0)
    assert [row["loss"] for row in parts["history"]] == [row["loss"] for row in whole["history"]]
    assert parts["errors"] == whole["errors"]
    assert parts["config"]["epochs"] == 4
    # Not when the epochs that are done would have been others: the drop would have come after the
    # first of them.
    for other in (
        dataclasses.replace(more, lr_milestones=(0.25,)),
        dataclasses.replace(more, epochs=3),
    ):
        with pytest.raises(ValueError, match="other settings: (epochs|lr_milestones)"):
            train_and_evaluate(other, tmp_path / "parts", verbose=0)
    later = dataclasses.replace(more, epochs=5, lr_milestones=(0.6,), conv1_milestones=(0.8, 1.0))
    with pytest.raises(ValueError, match="conv1_milestones: in a new training only"):
        train_and_evaluate(later, tmp_path / "parts", verbose=0)


def test_changes_are_at_shares_of_the_epochs():
    config = training_config("source", epochs=93)
    assert config.changes(93) == {
        "lr_milestones": [23, 51, 78],
        "pca_noise_end": [68],
        "conv1_milestones": [68, 72],
    }
    assert config.changes(60) == {
        "lr_milestones": [23, 51],
        "pca_noise_end": [],
        "conv1_milestones": [],
    }
    assert (config.pca_noise_epochs, config.conv1_epochs) == (68, (68, 72))


def test_conv1_is_frozen_at_the_end(config, tmp_path):
    train_and_evaluate(config, tmp_path / "run", verbose=0)
    model = keras.saving.load_model(tmp_path / "run" / "last.keras")
    assert float(model.optimizer._layer_factors["conv1"]) == 0.0


def test_plateau_lowers_three_times_then_stops():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(AlexNetSGD(1.0), "mse")
    plateau = DropOnPlateau(patience=2)
    plateau.set_model(model)
    plateau.on_train_begin()
    rates = []
    stopped = None
    # Better for three epochs, then never again.
    for epoch, error in enumerate([50, 40, 30] + [30] * 20):
        plateau.on_epoch_end(epoch, {"val_top1_error": error})
        rates.append(round(float(model.optimizer.learning_rate), 6))
        if model.stop_training:
            stopped = epoch
            break
    assert rates == [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001]
    assert stopped == 10


def test_plateau_goes_on_with_its_counters():
    errors = [50, 40, 41, 42, 39, 40, 41, 42, 43, 44, 45, 46]

    def run(cut):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(AlexNetSGD(1.0), "mse")
        rates = []
        for part in (slice(0, cut), slice(cut, None)):
            plateau = DropOnPlateau(patience=2)
            plateau.set_model(model)
            plateau.replay(
                [{"epoch": e, "val_top1_error": x} for e, x in enumerate(errors[: part.start])]
            )
            plateau.on_train_begin()
            for epoch, error in list(enumerate(errors))[part]:
                plateau.on_epoch_end(epoch, {"val_top1_error": error})
                rates.append(float(model.optimizer.learning_rate))
        return rates, model.stop_training

    assert {str(run(cut)) for cut in range(len(errors) + 1)} == {str(run(0))}


@pytest.mark.parametrize("preset", TRAINING_PRESETS)
def test_presets_are_possible(preset):
    config = training_config(preset)
    assert config.network.input_shape == (config.crop_size, config.crop_size, 3)


def test_presets_are_the_paper_and_the_source():
    paper = training_config("paper")
    source = training_config("source")
    for config in (paper, source):
        assert (config.batch_size, config.epochs, config.momentum, config.weight_decay) == (
            128,
            90,
            0.9,
            0.0005,
        )
        assert (config.learning_rate, config.image_size, config.crop_size) == (0.01, 256, 224)
    assert (paper.schedule, paper.pca_noise, paper.decay_biases) == ("plateau", "eigenvalue", True)
    assert (source.pca_noise, source.decay_biases, source.bias_learning_rate) == (
        "standard_deviation",
        False,
        0.02,
    )
    assert [round(93 * share) for share in (*source.lr_milestones, *source.conv1_milestones)] == [
        23,
        51,
        78,
        68,
        72,
    ]


def test_a_stopped_evaluation_keeps_the_measured_views(config, tmp_path, monkeypatch):
    config = dataclasses.replace(config, epochs=1, test_views=("center", "ten_crop", "nine_crop"))
    calls = []

    def measure(network, dataset, views, *arguments, **options):
        calls.append(views)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(network, dataset, views, *arguments, **options)

    monkeypatch.setattr(train, "evaluate", measure)
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(config, tmp_path / "run", verbose=0)
    results = train_and_evaluate(config, tmp_path / "run", verbose=0)
    assert calls == ["ten_crop", "nine_crop", "nine_crop"]  # the validation has measured center
    network = keras.saving.load_model(tmp_path / "run" / "last.keras")
    expected = evaluate(network, Dataset(config.dataset, 32, 28), "ten_crop", verbose=0)
    assert results["errors"]["ten_crop"] == pytest.approx(expected, rel=1e-5)
    assert not (tmp_path / "run" / "errors.json").exists()


def test_a_training_without_its_history_or_best_network(config, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    config = dataclasses.replace(config, lr_milestones=(), pca_noise_end=None, conv1_milestones=())
    train_and_evaluate(dataclasses.replace(config, epochs=2), folder, verbose=0)
    (folder / "best.keras").unlink()
    train_and_evaluate(dataclasses.replace(config, epochs=3), folder, verbose=0)
    assert (folder / "best.keras").exists()  # of the third epoch, whatever its error
    (folder / "history.csv").unlink()
    (folder / "results.json").unlink()
    monkeypatch.setattr(train, "open_training_data", lambda *arguments: pytest.fail("read"))
    with pytest.raises(ValueError, match=r"history\.csv must have a row for each of the 3 epochs"):
        train_and_evaluate(config, folder, verbose=0)


def test_bad_arguments(config, tmp_path):
    with pytest.raises(
        ValueError, match="`classes` must be the number of classes of the data, 4 .* classes=10"
    ):
        train_and_evaluate(config, tmp_path / "run", classes=10)
    with pytest.raises(
        ValueError, match="`devices` must divide `batch_size`. Received: devices=3, batch_size=128"
    ):
        training_config("cifar", devices=3)
    for devices in (
        0,
        -1,
        1.5,
        [],
        ["GPU:0", "GPU:0"],
        ["GPU:0", "CPU:1"],
        ["gpu0"],
        ["2", "3"],
        "2",
    ):
        with pytest.raises(
            ValueError, match="`devices` must be a positive whole number, or different names"
        ):
            training_config("cifar", devices=devices)
    assert training_config("cifar", devices=["2"]).devices == 2
    assert training_config("cifar", devices=["GPU:0", "GPU:2"]).devices == ("GPU:0", "GPU:2")
    with pytest.raises(ValueError, match="`devices` must be among the GPUs here: none. Received"):
        train_and_evaluate(
            dataclasses.replace(config, devices=("GPU:0", "GPU:2")), tmp_path / "run"
        )
    with pytest.raises(ValueError, match="`preset` must be one of paper"):
        training_config("alexnet")
    with pytest.raises(ValueError, match="An option must be one of .* Received: epoch"):
        training_config("cifar", epoch=3)
    with pytest.raises(ValueError, match="at least 52 pixels"):
        training_config("paper", crop_size=40)
    assert not (tmp_path / "run").exists()


def test_dense_views_that_are_not_possible_are_refused_before_the_training(tiny_npz, tmp_path):
    config = training_config(
        "cifar_13pct",
        dataset=tiny_npz,
        batch_size=16,
        overrides={"filters": (4, 4, 4, 4, 4, 4)},
        test_views=("center", "dense"),
    )
    with pytest.raises(
        ValueError, match="`test_views` must be .* dense views need a chain of layers"
    ):
        train_and_evaluate(config, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run" / "history.csv").exists()


@pytest.mark.parametrize("workdir", ["photos", "photos/run"])
def test_a_workdir_among_the_class_folders_is_refused(workdir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "photos" / name / "0.png")
    config = training_config("cifar", dataset="photos", overrides=TINY)
    with pytest.raises(ValueError, match="`workdir` must be outside of the folder of images"):
        train_and_evaluate(config, workdir, verbose=0)
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == ["a", "b"]


def command(*arguments, **kwargs):
    return processes.run(["-m", "experiments.train", *arguments], **kwargs)


@pytest.mark.slow
def test_two_logical_devices_train_the_same_weights(tiny_npz, tmp_path):
    # Both normalizations, two towers, grouped convolutions and the paper's update rule; 20 steps
    # without dropout.
    stages = [list(stage) for stage in alexnet_config("source").stages]
    overrides = {"units": (16, 16), "filters": (8, 8, 8, 8, 8, 8), "dropout": 0.0, "stages": stages}
    options = dict(
        dataset=tiny_npz,
        epochs=4,
        batch_size=16,
        random_crop=False,
        pca_noise="none",
        overrides=overrides,
    )
    config = training_config("cifar", **options)
    alone = train_and_evaluate(config, tmp_path / "alone", verbose=0)
    run = [
        "--dataset",
        tiny_npz,
        "--preset",
        "cifar",
        "--epochs",
        "4",
        "--batch-size",
        "16",
        "--no-random-crop",
    ]
    run += [
        "--pca-noise",
        "none",
        "--workdir",
        str(tmp_path / "run"),
        "--devices",
        "2",
        "--overrides",
    ]
    result = command(*run, *(f"{name}={value}" for name, value in overrides.items()))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no GPU, so 2 logical devices of the CPU" in result.stdout
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["command"].startswith("python -m experiments.train --dataset")
    assert results["config"]["overrides"] == json.loads(json.dumps(overrides))
    for ours, theirs in zip(
        *(weights(tmp_path / n / "last.keras") for n in ("alone", "run")), strict=True
    ):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
    for metric in ("loss", "top1_error", "val_loss", "val_top1_error"):
        assert results["history"][-1][metric] == pytest.approx(
            alone["history"][-1][metric], rel=1e-3
        )
    for views in ("center", "ten_crop"):
        assert results["errors"][views] == pytest.approx(alone["errors"][views], rel=1e-3)


@pytest.mark.slow
def test_imagenet_says_which_files_go_where(tmp_path):
    environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path / "tfds")}
    result = command(
        "--dataset", "imagenet2012", "--workdir", str(tmp_path / "run"), env=environment
    )
    assert result.returncode == 1
    folder = tmp_path / "tfds" / "downloads" / "manual"
    assert (
        f"put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar into {folder}, " in result.stderr
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damaged", IMAGENET_FILES)
def test_a_damaged_file_of_imagenet_is_named(damaged, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tensorflow_datasets.core.utils.file_utils.constants.DATA_DIR", str(tmp_path / "tfds")
    )
    folder = tmp_path / "tfds" / "downloads" / "manual"
    folder.mkdir(parents=True)
    for name in IMAGENET_FILES:
        with tarfile.open(folder / name, "w") as archive:
            archive.addfile(tarfile.TarInfo("ILSVRC2012_val_00000001.JPEG"))
    whole = (folder / damaged).read_bytes()
    for content in (b"", b"<html>404</html>", b"\1" * 2000, whole[:300]):
        (folder / damaged).write_bytes(content)
        with pytest.raises(SystemExit) as end:
            main(["--dataset", "imagenet2012", "--workdir", str(tmp_path / "run")])
        message = str(end.value)
        assert "`dataset` must be made of whole files. Received: dataset='imagenet2012'" in message
        assert message.endswith(f". Download {folder / damaged} again")
        assert "\n" not in message
    assert not (tmp_path / "run").exists()


def test_more_views_for_a_training_that_has_ended(finished, tmp_path):
    first = read_results(tmp_path / "run")["errors"]
    assert set(first) == {"center"}
    more = dataclasses.replace(finished, test_views=("center", "ten_crop"))
    second = train_and_evaluate(more, tmp_path / "run", verbose=0)["errors"]
    assert set(second) == {"center", "ten_crop"}
    assert second["center"] == first["center"]


def test_the_last_validation_measures_the_center_crop(config, tmp_path, monkeypatch):
    config = dataclasses.replace(config, epochs=2, validation_freq=2)
    with monkeypatch.context() as context:
        context.setattr("alexnet_keras.training.train.evaluate", None)  # not called
        errors = train_and_evaluate(config, tmp_path / "run", verbose=0)["errors"]["center"]
    network = keras.saving.load_model(tmp_path / "run" / "last.keras")
    measured = evaluate(network, Dataset(config.dataset, 32, 28), "center", 16, verbose=0)
    assert errors == pytest.approx(measured, rel=1e-4)


def test_center_crops_are_measured_where_the_last_epoch_was_not_validated(config, tmp_path):
    config = dataclasses.replace(config, epochs=3, validation_freq=3)
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", epoch == 1)
    )
    results = train_and_evaluate(config, tmp_path / "run", callbacks=[stop], verbose=0)
    assert [row.get("val_loss") for row in results["history"]] == [None, None]
    network = keras.saving.load_model(tmp_path / "run" / "last.keras")
    measured = evaluate(network, Dataset(config.dataset, 32, 28), "center", 16, verbose=0)
    assert results["errors"]["center"] == pytest.approx(measured, rel=1e-4)


def test_other_data_under_the_same_name(finished, tmp_path):
    with np.load(finished.dataset) as file:
        arrays = dict(file)
    np.savez(
        finished.dataset,
        **arrays | {"x_train": arrays["x_train"][:64], "y_train": arrays["y_train"][:64]},
    )
    (tmp_path / "run" / "results.json").unlink()
    with pytest.raises(
        ValueError, match=r"other settings: data: stored .*'train_count': 80.*, requested"
    ):
        train_and_evaluate(finished, tmp_path / "run", verbose=0)


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(TrainingConfig):
        assert f"--{field.name.replace('_', '-')}" in text
    assert "(default: center ten_crop)" in text
    assert text.count("(default: ") >= len(dataclasses.fields(TrainingConfig))
    assert "source: schedule step" in text


def test_command_says_what_is_wrong(tmp_path):
    result = command("--dataset", "cifar11", "--workdir", str(tmp_path / "run"))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "`dataset` must be the TFDS name" in result.stderr
    assert not (tmp_path / "run").exists()
