"""Trainings that start from a classifier."""

import argparse
import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from alexnet_keras import AlexNet, Classifier
from alexnet_keras.cli import main
from alexnet_keras.cli.trained_network import open_dataset
from alexnet_keras.files import sha256
from alexnet_keras.training.config import TrainingConfig, training_config
from alexnet_keras.training.fine_tuning import PretrainedClassifier
from alexnet_keras.training.train import train_and_evaluate
from alexnet_keras.training.training_data import open_training_data
from tests.test_pretrained import register

SIZE = 32
CROP = 28
OVERRIDES = {"filters": (8,) * 6, "units": (16, 12), "dropout": 0.1}
COLORS = {"dark": (50, 50), "red": (110, 50), "green": (50, 110), "yellow": (110, 110)}
NEW_COLORS = {"lime": (75, 100), "orange": (100, 75)}


def colored(random, red_and_green, count):
    """Noisy images of one color, `(count, 32, 32, 3)`."""
    images = random.randint(0, 100, (count, SIZE, SIZE, 3))
    return (images + np.array([*red_and_green, 50]) - 50).astype("uint8")


@pytest.fixture(scope="module")
def network():
    """A network that tells four colors apart."""
    random = np.random.RandomState(1)
    keras.utils.set_random_seed(1)
    model = AlexNet("cifar", classes=4, input_shape=(CROP, CROP, 3), **OVERRIDES)
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    images = np.concatenate([colored(random, color, 40) for color in COLORS.values()])
    labels = np.repeat(np.arange(4), 40)
    model.fit(images[:, 2:-2, 2:-2] - 80.0, labels, epochs=10, batch_size=16, verbose=0)
    return model


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    """A folder with a classifier of a mean image in `trained`, and with `photos`.

    These are 24 training and 12 validation images in two classes.
    """
    folder = tmp_path_factory.mktemp("fine_tuning")
    mean = np.random.RandomState(2).uniform(60, 100, (SIZE, SIZE, 3)).astype("float32")
    Classifier.from_network(network, mean, tuple(COLORS)).save(
        folder / "trained" / "classifier.keras"
    )
    random = np.random.RandomState(3)
    for split, count in (("train", 12), ("val", 6)):
        for name, color in NEW_COLORS.items():
            images = folder / "photos" / split / name
            images.mkdir(parents=True)
            for number, image in enumerate(colored(random, color, count)):
                Image.fromarray(image).save(images / f"{number}.png")
    return folder


@pytest.fixture
def photos(folder):
    return str(folder / "photos")


@pytest.fixture
def classifier(folder, tmp_path):
    """Path of the folder of a training with its classifier."""
    shutil.copytree(folder / "trained", tmp_path / "trained")
    return str(tmp_path / "trained")


def fine_tuning(classifier, photos, **options):
    options = {"epochs": 4, "learning_rate": 0.003, "test_views": ("center",), **options}
    return training_config(pretrained=classifier, dataset=photos, **options)


class Weights(keras.callbacks.Callback):
    """Keeps the weights by layer at the start of a training."""

    def on_train_begin(self, logs=None):
        layers = [layer for layer in self.model.layers if layer.weights]
        self.by_layer = {layer.name: layer.get_weights() for layer in layers}


class Killed(Exception):
    pass


class Kill(keras.callbacks.Callback):
    """Ends a training in its second epoch, as an error would."""

    def on_train_begin(self, logs=None):
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == 5:
            raise Killed


def test_starts_from_the_classifier_learns_more_than_from_scratch_and_resumes(
    classifier, photos, tmp_path
):
    config = fine_tuning(classifier, photos, checkpoint_minutes=0)
    start = Weights()
    whole = train_and_evaluate(config, tmp_path / "whole", callbacks=[start], verbose=0)
    _check_start(start.by_layer, Classifier.load(classifier), Classifier.load(tmp_path / "whole"))
    _check_record(tmp_path / "whole", whole, classifier)

    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    fields |= {"pretrained": None, "pretrained_sha256": None, "preset": "cifar"}
    fields["overrides"] = OVERRIDES
    scratch = train_and_evaluate(TrainingConfig(**fields), tmp_path / "scratch", verbose=0)
    assert whole["errors"]["center"]["loss"] < 0.8 * scratch["errors"]["center"]["loss"]

    with pytest.raises(Killed):
        train_and_evaluate(config, tmp_path / "parts", callbacks=[Kill()], verbose=0)
    shutil.rmtree(classifier)  # what has begun does not need it any more
    parts = train_and_evaluate(config, tmp_path / "parts", verbose=0)
    assert parts["errors"] == whole["errors"]
    for name in ("last.keras", "classifier.keras"):
        one, other = (keras.saving.load_model(tmp_path / run / name) for run in ("whole", "parts"))
        for weight, again in zip(one.weights, other.weights, strict=True):
            np.testing.assert_array_equal(weight, again)


def _check_start(weights, before, after):
    """Weights and mean are the classifier's to the bit, and the output layer is new."""
    for layer in before.network.layers:
        if layer.weights and layer.name != "fc8":
            for stored, started in zip(layer.get_weights(), weights[layer.name], strict=True):
                np.testing.assert_array_equal(started, stored)
    kernel, bias = weights["fc8"]
    assert kernel.shape == (12, 2) and not bias.any()
    assert 0.005 < kernel.std() < 0.02  # N(0, 0.01)
    assert after.class_names == ("lime", "orange")
    np.testing.assert_array_equal(after.preparation.mean, before.preparation.mean)


def _check_record(workdir, results, classifier):
    for settings in (json.loads((workdir / "config.json").read_text()), results["config"]):
        assert settings["pretrained"] == classifier
        assert settings["pretrained_sha256"] == sha256(f"{classifier}/classifier.keras")
        assert (settings["preset"], settings["image_size"]) == ("pretrained", SIZE)


def test_another_classifier_in_its_place_is_another_training(classifier, photos, tmp_path):
    before = fine_tuning(classifier, photos)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(dataclasses.asdict(before)))
    model = Classifier.load(classifier)
    model.network.get_layer("fc8").set_weights([np.zeros((12, 4)), np.zeros(4)])
    model.save(f"{classifier}/classifier.keras")
    with pytest.raises(ValueError, match="other settings: pretrained_sha256: stored '.*requested"):
        train_and_evaluate(fine_tuning(classifier, photos), tmp_path / "run")
    with pytest.raises(ValueError, match="`pretrained_sha256` must be '.*', as in the classifier"):
        train_and_evaluate(before, tmp_path / "new")


def test_batches_have_the_mean_of_the_classifier(classifier, photos):
    config = fine_tuning(classifier, photos, random_crop=False)
    data = open_training_data(config, preparation=PretrainedClassifier(classifier).preparation)
    batch, _ = next(iter(data.batches(0, 0)))
    mean = np.asarray(Classifier.load(classifier).preparation.mean)
    pixels = np.asarray(batch) + mean[2:-2, 2:-2]
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-4)


def test_the_same_command_resumes_without_the_file_of_the_classifier(classifier, photos, tmp_path):
    arguments = ["--dataset", photos, "--workdir", str(tmp_path / "run"), "--test-views", "center"]
    arguments = ["train", *arguments, "--pretrained", classifier]
    first = main([*arguments, "--epochs", "1"])
    shutil.rmtree(classifier)
    assert main([*arguments, "--epochs", "1"]) == first
    more = main([*arguments, "--epochs", "2"])
    assert len(more["history"]) == 2
    unchanged = ("pretrained", "pretrained_sha256", "layer_learning_rates", "conv1_milestones")
    assert all(more["config"][name] == first["config"][name] for name in unchanged)
    with pytest.raises(SystemExit, match="`workdir` must be a new folder"):
        main([*arguments, "--epochs", "2", "--image-size", "64"])
    with pytest.raises(SystemExit, match="Received: pretrained="):
        main([*arguments[:-1], str(tmp_path / "none"), "--epochs", "2"])


def test_bgr_and_a_mean_color_with_the_command(network, photos, tmp_path):
    path = str(tmp_path / "bgr.keras")
    options = {"image_size": SIZE, "color_order": "BGR"}
    Classifier.from_network(network, (100, 80, 60), tuple(COLORS), **options).save(path)
    arguments = ["--dataset", photos, "--pretrained", path, "--workdir", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match="alexnet train: `image_size` must be 32, as in the"):
        main(["train", *arguments, "--image-size", "64"])
    results = main(["train", *arguments, "--epochs", "1", "--test-views", "center"])
    assert (tmp_path / "run" / "curves.png").exists()
    after = Classifier.load(tmp_path / "run")
    assert after.preparation.color_order == "BGR"
    np.testing.assert_array_equal(after.preparation.mean, (100, 80, 60))
    # The classifier, which reads the files on its own, makes the same errors.
    losses = []
    for name in after.class_names:
        for prediction in after.predict(f"{photos}/val/{name}"):
            found = dict(zip(prediction.names, prediction.probabilities, strict=True))
            losses.append(-np.log(found[name]))
    assert results["errors"]["center"]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    # Commands that measure the network take the classifier's mean, too.
    options = argparse.Namespace(weights=str(tmp_path / "run" / "best.keras"))
    options.dataset = options.image_size = None
    dataset = open_dataset(after.network, options)
    np.testing.assert_array_equal(dataset.info.mean_image[0, 0], (60, 80, 100))
    (tmp_path / "other").mkdir()
    shutil.copy(options.weights, tmp_path / "other")
    options.weights = [options.weights, str(tmp_path / "other" / "best.keras")]
    with pytest.raises(ValueError, match="`models` must have one mean, color order and image size"):
        open_dataset(after.network, options)


@pytest.mark.parametrize("dataset", ["./typo", "typo.npz", "", "folder/"])
def test_a_data_set_that_is_missing_is_named_before_a_classifier_is_read(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("alexnet_keras.training.train._read_start", None)
    config = TrainingConfig(dataset=dataset)
    with pytest.raises(ValueError, match=f"`dataset` must be .*Received: dataset={dataset!r}, "):
        train_and_evaluate(config, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_layers_that_were_frozen_in_the_classifier_learn(network, tmp_path):
    frozen = keras.models.clone_model(network)
    frozen.get_layer("conv1").trainable = False
    path = tmp_path / "frozen.keras"
    mean = np.full((SIZE, SIZE, 3), 80.0)
    Classifier.from_network(frozen, mean, tuple(COLORS)).save(path)
    tuned = PretrainedClassifier(str(path)).new_network(classes=2)
    assert tuned.get_layer("conv1").trainable
    assert len(tuned.trainable_weights) == len(network.trainable_weights)


def test_a_softmax_of_keras_ops_is_replaced(tmp_path):
    inputs = keras.Input((CROP, CROP, 3))
    maps = keras.layers.Conv2D(3, 3, name="conv")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(maps)
    logits = keras.layers.Dense(4, name="dense_4")(pooled)
    network = keras.Model(inputs, keras.ops.softmax(logits))
    mean = np.zeros((SIZE, SIZE, 3), "float32")
    path = tmp_path / "classifier.keras"
    Classifier.from_network(network, mean, tuple(COLORS)).save(path)
    tuned = PretrainedClassifier(str(path)).new_network(classes=2)
    assert tuned.output_shape == (None, 2)
    assert [layer.name for layer in tuned.layers[1:]] == ["conv", "pool", "dense_4"]


def test_weights_with_a_name(photos, tmp_path, monkeypatch):
    (tmp_path / "file.npz").write_bytes(b"")
    overrides = {"filters": (8,) * 6, "hidden_layers": ("fc6",)}
    register(monkeypatch, "named", tmp_path / "file.npz", preset="cifar", overrides=overrides)
    config = fine_tuning("named", photos)
    assert (config.image_size, config.crop_size, config.mean_subtraction) == (256, 32, "color")
    assert config.layer_learning_rates == {"conv1": 0.1, "fc6": 10.0, "fc8": 10.0}


def test_defaults_follow_the_fine_tuning_of_the_source(classifier, photos):
    config = training_config(pretrained=classifier, dataset=photos)
    assert config.layer_learning_rates == {"conv1": 0.1, "fc6": 10.0, "fc7": 10.0, "fc8": 10.0}
    assert config.conv1_milestones == (2 / 3, 2 / 3)
    assert (config.image_size, config.crop_size, config.mean_subtraction) == (SIZE, CROP, "image")
    other = fine_tuning(classifier, photos, image_size=SIZE, layer_learning_rates={"fc8": 1})
    assert other.layer_learning_rates == {"fc8": 1}


def test_the_precision_is_that_of_the_training(classifier, mixed_bfloat16):
    network = PretrainedClassifier(classifier).new_network(3)
    assert network.get_layer("conv2").compute_dtype == "bfloat16"
    assert network.get_layer("fc8").compute_dtype == "float32"


def test_options_that_contradict_the_classifier(classifier, photos, tmp_path):
    for options, words in (
        ({"image_size": 40}, "`image_size` must be 32, as in the classifier.* Received: .*=40"),
        ({"crop_size": 24}, "`crop_size` must be 28, as in the classifier.* Received: .*=24"),
        ({"mean_subtraction": "color"}, "`mean_subtraction` must be 'image', as in the classif"),
        ({"preset": "paper"}, "`preset` must be left out with `pretrained`.* preset='paper'"),
        ({"overrides": {"towers": 1}}, "`overrides` must be left out with `pretrained`"),
        ({"initial_weights": "x.keras"}, "`initial_weights` must be left out with `pretrained`"),
        ({"pretrained_sha256": "0"}, "`pretrained_sha256` must be '.*Received: .*='0'"),
        ({"layer_learning_rates": {"conv9": 1}}, "`layer_learning_rates` must be for layers of"),
        ({"batch_size": 25}, "`batch_size` must be from 1 to the number of training images, 24"),
    ):
        with pytest.raises(ValueError, match=words):
            train_and_evaluate(fine_tuning(classifier, photos, **options), tmp_path / "run")
        assert not (tmp_path / "run").exists()
    for options in ({"preset": "pretrained"}, {"pretrained": classifier}):
        with pytest.raises(ValueError, match="`pretrained` must be given without a preset"):
            TrainingConfig(**options)


def test_files_that_are_no_classifier(network, photos, tmp_path):
    network.save(tmp_path / "network.keras")
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "begun").mkdir()
    inputs = keras.Input((SIZE, SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs))
    headless = keras.Model(inputs, keras.layers.Softmax()(pooled))
    mean = np.zeros((SIZE, SIZE, 3), "float32")
    Classifier.from_network(headless, mean, ["a", "b"]).save(tmp_path / "headless.keras")
    for name, words in (
        ("imagenett", "must be imagenet, tiny_imagenet, a classifier.keras file, or .* not found"),
        ("begun", "`pretrained` must be .* a training that has ended.*classifier.keras not found"),
        ("text.keras", "`pretrained` must be a .keras file of a model.* damaged"),
        ("network.keras", "`pretrained` must be a classifier.*network without preparation"),
        ("headless.keras", "`pretrained` must have a network.* Received: a network that ends in"),
    ):
        with pytest.raises(ValueError, match=words) as raised:
            train_and_evaluate(fine_tuning(str(tmp_path / name), photos), tmp_path / "run")
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "run").exists()


def test_a_training_that_is_killed_between_its_first_files_resumes(
    classifier, photos, tmp_path, monkeypatch
):
    save = np.savez

    def kill(file, **arrays):
        if "color_order" in arrays:  # the preparation
            raise Killed
        save(file, **arrays)

    config = fine_tuning(classifier, photos, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", kill)
        with pytest.raises(Killed):
            train_and_evaluate(config, tmp_path / "out", verbose=0)
    assert [path.name for path in (tmp_path / "out").glob("*.*")] == ["config.json"]
    assert len(train_and_evaluate(config, tmp_path / "out", verbose=0)["history"]) == 1
    assert (tmp_path / "out" / "preparation.npz").exists()
