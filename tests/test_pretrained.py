import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet, Classifier, pretrained
from alexnet_keras.analysis import high_frequency_energy, layer_kernels
from alexnet_keras.models import alexnet_config
from alexnet_keras.training.config import training_config
from alexnet_keras.training.initial_weights import read_initial_weights
from tests.files import make_torch_files

ORIGINAL = Path(__file__).parent / "files" / "narrow_alexnet.pth"
NARROW = {"filters": (*make_torch_files.FILTERS, 8), "units": make_torch_files.UNITS}
TINY = {"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16)}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The package's folder in an empty cache of Keras."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models" / "alexnet_keras"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A file that `AlexNet(weights="narrow")` downloads, from a `file://` address."""
    path = tmp_path / "server" / "narrow.pth"
    path.parent.mkdir()
    shutil.copy(ORIGINAL, path)
    register(monkeypatch, "narrow", path, url=path.as_uri(), preset="torchvision", overrides=NARROW)
    return path


def register(monkeypatch, name, path, **options):
    content = path.read_bytes()
    entry = {
        "classes": 5,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "license": "none",
        "card": "none",
        "mean": (123.675, 116.28, 103.53),
        "class_names": lambda: "abcde",
        **options,
    }
    monkeypatch.setitem(pretrained.REGISTRY, name, pretrained.Pretrained(**entry))


def message_of(call, *words):
    with pytest.raises(ValueError) as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def narrow(**options):
    return AlexNet(weights="narrow", classifier_activation=None, **options)


def test_the_published_file():
    entry = pretrained.available()["imagenet"]
    assert entry.url == "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
    assert entry.url.endswith(f"-{entry.sha256[:8]}.pth")  # as torchvision names its files
    assert (entry.preset, entry.classes) == ("torchvision", 1000)
    # 61,100,840 numbers of four bytes, and less than 10,000 bytes of names and sizes
    assert 0 < entry.size - 4 * 61_100_840 < 10_000
    mean, names = pretrained.preparation("imagenet")
    np.testing.assert_allclose(mean, 255 * np.array([0.485, 0.456, 0.406]))
    assert (len(names), names[0], names[999]) == (1000, "tench", "toilet tissue")


def test_downloaded_once_and_converted_once(cache, server, capsys):
    expected = json.loads((ORIGINAL.parent / "narrow_alexnet_logits.json").read_text())
    images = make_torch_files.images() - np.array([123.675, 116.28, 103.53], "float32")
    model = narrow()
    np.testing.assert_allclose(np.asarray(model(images)), expected, rtol=1e-4, atol=1e-4)
    assert (cache / "narrow.pth").read_bytes() == server.read_bytes()
    assert capsys.readouterr().out == ""  # the progress bar goes to stderr
    assert len(list(cache.iterdir())) == 2
    server.unlink()
    (cache / "narrow.pth").unlink()
    for again, first in zip(narrow().get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(again, first)


@pytest.mark.usefixtures("server")
def test_the_converted_file_has_float32_whatever_the_process_computes_in(cache):
    keras.config.set_dtype_policy("bfloat16")
    try:
        narrow()
    finally:
        keras.config.set_dtype_policy("float32")
    with np.load(next(cache.glob("*.npz"))) as file:
        kernel = file["conv1/kernel"]
    rounded = np.asarray(keras.ops.cast(keras.ops.cast(kernel, "bfloat16"), "float32"))
    assert not np.array_equal(kernel, rounded)


@pytest.mark.usefixtures("cache", "server")
def test_a_classifier_of_downloaded_weights():
    """A photograph has the probabilities of PyTorch's module after torchvision's preparation."""
    logits = np.array(json.loads((ORIGINAL.parent / "narrow_alexnet_logits.json").read_text()))
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    # The center of 224 of 256 pixels is what PyTorch saw.
    images = np.pad(make_torch_files.images(), ((0, 0), (16, 16), (16, 16), (0, 0)), mode="edge")
    predictions = Classifier.pretrained("narrow").predict(list(images), top=5)
    for prediction, probabilities in zip(predictions, expected, strict=True):
        order = np.argsort(-probabilities)
        assert prediction.names == tuple("abcde"[label] for label in order)
        np.testing.assert_allclose(prediction.probabilities, probabilities[order], atol=1e-4)


def test_a_classifier_of_the_packages_weights(shipped, random):
    _, mean, _ = shipped
    classifier = Classifier.pretrained("tiny")
    image = random.randint(0, 256, (40, 40, 3)).astype("uint8")
    (prediction,) = classifier.predict(image)
    crop = (image - mean)[4:36, 4:36]
    expected = np.asarray(AlexNet(weights="tiny")(crop[None]))[0]
    assert prediction.names[0] == "abc"[expected.argmax()]
    np.testing.assert_allclose(prediction.probabilities, -np.sort(-expected), atol=1e-5)
    message_of(
        lambda: Classifier.pretrained("tinny"),
        "`name` must be one of imagenet, tiny_imagenet, imagenette_conv, tiny. Received: "
        "name='tinny'",
    )


def test_no_network(cache, server):
    server.unlink()
    entry = pretrained.available()["narrow"]
    target = cache / "narrow.pth"
    message_of(
        narrow,
        "`weights` 'narrow' can't be downloaded",
        entry.url,
        str(target),
        entry.sha256,
        f"{entry.size:,}",
    )
    assert not list(cache.iterdir())
    shutil.copy(ORIGINAL, target)  # what the message asks for
    assert narrow().output_shape == (None, 5)


def test_the_server_has_another_file(cache, server):
    server.write_bytes(server.read_bytes().replace(b"features", b"Features"))
    message_of(narrow, "can't be downloaded", "hash does not match")
    assert not list(cache.iterdir())


def test_files_in_the_cache_that_are_wrong_stay(cache, server):
    cache.mkdir(parents=True)
    target = cache / "narrow.pth"
    whole = server.read_bytes()
    for content, found in (
        (whole[:1000], "Received: 1,000 bytes"),
        (whole.replace(b"features", b"Features"), "Received: SHA-256 "),
    ):
        target.write_bytes(content)
        message_of(
            narrow,
            str(target),
            pretrained.available()["narrow"].sha256,
            found,
            "Delete it, or put the right",
        )
        assert target.read_bytes() == content
        assert list(cache.iterdir()) == [target]


def test_a_file_that_runs_code_is_refused_in_spite_of_its_hash(cache, tmp_path, monkeypatch):
    path = tmp_path / "harmful.pth"
    path.write_bytes(b"cbuiltins\nexec\n(S'raise SystemExit'\ntR.")
    register(
        monkeypatch, "harmful", path, url=path.as_uri(), preset="torchvision", overrides=NARROW
    )
    message_of(lambda: AlexNet(weights="harmful"), "it names builtins.exec")


def test_a_converted_file_that_is_damaged(cache, server):
    narrow()
    (converted,) = cache.glob("*.npz")
    content = converted.read_bytes()
    converted.write_bytes(content[: len(content) // 2])
    message_of(narrow, str(converted), "Delete it")


def test_a_cache_that_can_not_be_written(tmp_path, server, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    message_of(narrow, "`KERAS_HOME` must be a folder that can be written")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A network that is registered as the package's, with a mean image and class names."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    keras.utils.set_random_seed(0)
    model = AlexNet("cifar", classes=3, **TINY)
    mean = np.random.RandomState(0).uniform(0, 255, (40, 40, 3)).astype("float32")
    written = pretrained.write_weights(
        tmp_path / "tiny.npz", model, mean=mean, class_names=["a", "b", "c"]
    )
    options = {"preset": "cifar", "overrides": TINY, "classes": 3}
    options |= {"file": "tiny.npz", "image_size": 40, "mean": None, "class_names": None}
    register(monkeypatch, "tiny", tmp_path / "tiny.npz", **options)
    entry = pretrained.available()["tiny"]
    assert written == {"size": entry.size, "sha256": entry.sha256}
    return model, mean, tmp_path / "tiny.npz"


def test_weights_of_the_package(shipped):
    model, mean, path = shipped
    copy = AlexNet(weights="tiny")
    for ours, theirs in zip(copy.get_weights(), model.get_weights(), strict=True):
        assert ours.dtype == "float32"
        np.testing.assert_array_equal(ours, theirs.astype("float16"))
    stored_mean, names = pretrained.preparation("tiny")
    np.testing.assert_array_equal(stored_mean, mean)
    assert names == ("a", "b", "c")
    path.write_bytes(path.read_bytes()[:-1])
    message_of(lambda: AlexNet(weights="tiny"), str(path), "Install alexnet_keras again")


@pytest.mark.usefixtures("shipped")
def test_features_of_pretrained_weights(random):
    images = random.normal(0, 60, (2, 32, 32, 3)).astype("float32")
    features = AlexNet(weights="tiny", include_top=False, pooling="avg", classes=7)
    rounded = AlexNet(weights="tiny")
    maps = np.asarray(keras.Model(rounded.input, rounded.get_layer("pool5").output)(images))
    np.testing.assert_allclose(
        np.asarray(features(images)), maps.mean((1, 2)), rtol=1e-5, atol=1e-6
    )


def test_conv_layers_only(shipped, tmp_path, monkeypatch):
    model, _, _ = shipped
    convs = [f"conv{number}" for number in range(1, 6)]
    pretrained.write_weights(tmp_path / "convs.npz", model, layers=iter(convs))
    with pytest.raises(ValueError, match="No such layer: conv9"):
        pretrained.write_weights(tmp_path / "other.npz", model, layers=["conv9"])
    assert not (tmp_path / "other.npz").exists()
    register(
        monkeypatch,
        "convs",
        tmp_path / "convs.npz",
        preset="cifar",
        overrides=TINY,
        classes=0,
        file="convs.npz",
    )
    features = AlexNet(weights="convs", include_top=False)
    expected = model.get_layer("conv5").get_weights()[0].astype("float16")
    np.testing.assert_array_equal(features.get_layer("conv5").get_weights()[0], expected)
    message_of(lambda: AlexNet(weights="convs"), "`include_top` must be False for weights='convs'")
    message_of(lambda: pretrained.preparation("convs"), "`name` must be weights with classes")
    config = training_config("cifar", overrides=TINY, initial_weights="convs")
    initial = read_initial_weights(config)
    assert list(initial) == convs
    np.testing.assert_array_equal(initial["conv5"][0], expected)


def test_weights_of_another_network(shipped):
    message_of(
        lambda: AlexNet("paper", weights="tiny"),
        "`preset` must be 'cifar' for weights='tiny'. Received: preset='paper'",
    )
    message_of(
        lambda: AlexNet(weights="tiny", classes=4),
        "`classes` must be 3 for weights='tiny'. Received: classes=4",
    )
    message_of(
        lambda: AlexNet(weights="tiny", units=(8, 8)),
        "'tiny' belong to the preset cifar with 3 classes",
        "a model whose fc6 has shapes [(128, 8), (8,)], not [(128, 16), (16,)]",
    )
    message_of(
        lambda: AlexNet("cifar", weights="tinny"),
        "hf://user/model, or one of imagenet, tiny_imagenet, imagenette_conv, tiny. Received: "
        "weights='tinny'",
    )
    message_of(
        lambda: pretrained.read_layers("tinny"),
        "must be one of imagenet, tiny_imagenet, imagenette_conv, tiny. Received: weights='tinny'",
    )


def test_weights_of_another_function(shipped):
    # All these networks have the shapes of the stored weights.
    for overrides, received in (
        ({"activation": "tanh"}, "`activation` must be 'relu' for weights='tiny'. Received: "),
        ({"normalization": False}, "`normalization` must be True for weights='tiny'. Received: "),
        ({"normalization_alpha": 0.4}, "Received: normalization_alpha=0.4"),
        ({"pool_size": 2}, "Received: pool_size=2"),
        ({"input_scale": 0.5}, "Received: input_scale=0.5"),
    ):
        config = alexnet_config("cifar", **{**TINY, **overrides})
        for call in (
            lambda options=overrides: AlexNet(weights="tiny", **options),
            lambda options=overrides: AlexNet("cifar", weights="tiny", **options),
            lambda config=config: AlexNet(config, weights="tiny", include_top=False),
        ):
            message_of(call, received)
    same = alexnet_config("cifar", dropout=0.1, bias=0.0, kernel_stddev=0.1, **TINY)
    AlexNet(same, weights="tiny", classifier_activation=None)
    AlexNet(same, weights="tiny", include_top=False, hidden_layers=(), input_shape=(48, 48, 3))


def test_the_presets_configuration_is_refused_like_its_name():
    # It has no spatial normalization, which the network of these weights has.
    for preset in ("paper", alexnet_config("paper")):
        message = message_of(
            lambda preset=preset: AlexNet(preset, weights="imagenette_conv", include_top=False)
        )
        assert "for weights='imagenette_conv'. Received: " in message
    AlexNet(alexnet_config("source"), weights="imagenette_conv", include_top=False)


def test_a_weight_that_float16_does_not_hold(tmp_path):
    model = AlexNet("cifar", classes=3, **TINY)
    layer = model.get_layer("fc8")
    layer.set_weights([np.full((16, 3), 1e6, "float32"), np.zeros(3, "float32")])
    path = tmp_path / "x.npz"
    message_of(
        lambda: pretrained.write_weights(path, model),
        "weights in the range of float16. Received: fc8/kernel up to 1e+06",
    )
    assert not path.exists()


def test_entries_are_not_changed(cache):
    pretrained.available().clear()
    assert "imagenet" in pretrained.available()
    with pytest.raises(dataclasses.FrozenInstanceError):
        pretrained.available()["imagenet"].classes = 3


def test_the_classifier_that_comes_with_the_package():
    # 1,428,872 numbers of two bytes, a mean image of four-byte numbers, and 200 names
    entry = pretrained.available()["tiny_imagenet"]
    assert 2 * 1_428_872 + 4 * 64 * 64 * 3 < entry.size < 3_000_000
    classifier = Classifier.pretrained("tiny_imagenet")
    assert classifier.network.count_params() == 1_428_872
    assert (classifier.preparation.image_size, classifier.preparation.crop_size) == (64, 56)
    assert len(set(classifier.class_names)) == 200
    assert {"goldfish", "school bus", "pretzel"} <= set(classifier.class_names)
    # White noise has 0.80.
    assert high_frequency_energy(layer_kernels(classifier.network)).mean() < 0.5


def test_the_conv_layers_that_come_with_the_package():
    # 2,334,080 numbers of two bytes, and less than 10,000 bytes of names and sizes
    entry = pretrained.available()["imagenette_conv"]
    assert 0 < entry.size - 2 * 2_334_080 < 10_000
    model = AlexNet("source", weights="imagenette_conv", include_top=False, pooling="avg")
    assert model.count_params() == 2_334_080
    kernels = layer_kernels(model)
    # White noise has 0.80, and edges and blobs about 0.1.
    assert high_frequency_energy(kernels).mean() < 0.2
    message_of(lambda: Classifier.pretrained("imagenette_conv"), "conv layers only")
