import h5py
import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from alexnet_keras import AlexNet, Classifier, features
from alexnet_keras.features import write_features
from alexnet_keras.layers import LocallyConnected2D
from tests.test_classifier import CROP, NAMES, SIZE, tiny_network


@pytest.fixture
def images(random):
    return random.randint(0, 256, (5, SIZE, SIZE, 3)).astype("uint8")


@pytest.fixture
def classifier():
    return Classifier.from_network(tiny_network(), (120, 110, 100), NAMES, image_size=SIZE)


@pytest.fixture
def folder(images, tmp_path):
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "2b.png").write_text("no image")
    return tmp_path / "photos"


def outputs_of(classifier, images, layer):
    """Output of a layer of Keras for the center crops."""
    network = classifier.network
    model = keras.Model(network.inputs[0], network.get_layer(layer).output)
    edge = (SIZE - CROP) // 2
    crops = images[:, edge : edge + CROP, edge : edge + CROP] - np.float32([120, 110, 100])
    return ops.convert_to_numpy(model(crops, training=False))


def test_more_images_than_a_batch_are_refused(classifier, images):
    extractor = classifier.feature_extractor("fc6", batch_size=3)
    assert extractor.compute(images[:3])["fc6"].shape == (3, 16)
    message = "`images` must be at most 3, a full batch. Received: 5 images"
    with pytest.raises(ValueError, match=message):
        extractor.compute(images)


def test_layers_before_and_after_their_activation(classifier, images):
    layers = ["conv1", "conv5", "pool5", "fc6", "fc8"]
    after = classifier.features(images, layers)
    before = classifier.features(images, layers, before_activation=True)
    assert set(after) == {*layers, "files", "skipped", "reasons"}
    assert list(after["files"]) == [f"image {number}" for number in range(5)]
    for name in ("conv1", "conv5", "fc6"):
        assert before[name].min() < 0
        np.testing.assert_array_equal(np.maximum(before[name], 0), after[name])
    np.testing.assert_array_equal(before["pool5"], after["pool5"])
    # The layers of Keras: conv5 is linear, relu5 its activation; fc6 and fc8 have theirs inside.
    for values, name, layer in (
        (before, "conv5", "conv5"),
        (after, "conv5", "relu5"),
        (after, "pool5", "pool5"),
        (after, "fc6", "fc6"),
        (after, "fc8", "fc8"),
    ):
        assert values[name].dtype == np.float32
        np.testing.assert_allclose(values[name], outputs_of(classifier, images, layer), atol=1e-5)
    logits = before["fc8"].astype("float64")
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(after["fc8"], softmax, atol=1e-6)


def test_the_activation_may_follow_the_pool(images):
    # In the 2012 source conv5 is pooled before its ReLU, and conv1 normalized.
    network = AlexNet(
        "source",
        classes=4,
        filters=(8,) * 6,
        units=(8, 8),
        input_shape=(99, 99, 3),
        initializer="he_normal",
    )
    classifier = Classifier.from_network(network, (120, 110, 100), NAMES, image_size=99)
    before = classifier.features(images, ["conv1", "conv5"], before_activation=True)
    after = classifier.features(images, ["conv1", "conv5"])
    for name in ("conv1", "conv5"):
        assert before[name].min() < 0
        np.testing.assert_array_equal(np.maximum(before[name], 0), after[name])


def test_a_locally_connected_layer_has_values_before_its_activation(images):
    inputs = x = keras.Input((SIZE, SIZE, 3))
    x = LocallyConnected2D(2, 3, strides=8, activation="relu", name="local")(x)
    x = keras.layers.Dense(4, activation="softmax")(keras.layers.Flatten()(x))
    classifier = Classifier.from_network(
        keras.Model(inputs, x), (120, 110, 100), NAMES, image_size=SIZE
    )
    before = classifier.features(images, "local", before_activation=True)["local"]
    assert before.min() < 0
    np.testing.assert_array_equal(
        np.maximum(before, 0), classifier.features(images, "local")["local"]
    )


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_a_file_of_features(ending, classifier, images, folder, tmp_path, capsys):
    path = write_features(classifier, folder, ["pool5", "fc6"], tmp_path / f"f.{ending}", chunk=2)
    wanted = classifier.features(images, ["pool5", "fc6"])
    with np.load(path) if ending == "npz" else h5py.File(path) as file:
        files, skipped, reasons = (
            np.asarray(file[name]).astype(str) for name in ("files", "skipped", "reasons")
        )
        assert files.tolist() == [str(folder / f"{number}.png") for number in range(5)]
        assert skipped.tolist() == [str(folder / "2b.png")]
        assert reasons.tolist() == ["not a JPEG, PNG, BMP, GIF or WebP image"]
        for name in ("pool5", "fc6"):
            np.testing.assert_allclose(np.asarray(file[name]), wanted[name], atol=1e-6)
            assert file[name].dtype == np.float32
    assert "2b.png is left out: not a JPEG" in capsys.readouterr().err
    assert {entry.name for entry in tmp_path.iterdir()} == {"photos", path.name}


def test_resumes_where_it_was_stopped(classifier, images, folder, tmp_path, monkeypatch):
    path = tmp_path / "f.npz"
    read = features.FeatureExtractor.read
    calls = []

    def stopping_read(self, photographs, bar):
        calls.append([photograph.source for photograph in photographs])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(self, photographs, bar)

    monkeypatch.setattr(features.FeatureExtractor, "read", stopping_read)
    with pytest.raises(KeyboardInterrupt):
        write_features(classifier, folder, ["fc6"], path, chunk=2)
    assert not path.exists()
    with pytest.raises(
        ValueError, match="`path` must be a new file, or one whose .partial.*layers: stored"
    ):
        write_features(classifier, folder, ["fc7"], path, chunk=2)
    write_features(classifier, folder, ["fc6"], path, chunk=2)
    assert [len(sources) for sources in calls] == [2, 2, 2, 2]  # the first chunk is not read again
    np.testing.assert_allclose(
        np.load(path)["fc6"], classifier.features(images, "fc6")["fc6"], atol=1e-6
    )
    with pytest.raises(ValueError, match="`path` must be a new file.*which exists"):
        write_features(classifier, folder, ["fc6"], path)


def test_bad_input_is_one_line(classifier, folder, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_text("no image")
    for arguments, words in (
        (
            (folder, ["fc9"], tmp_path / "f.npz"),
            "`layers` must be among the layers of the network, image, .*Received: fc9",
        ),
        ((folder, [], tmp_path / "f.npz"), "`layers` must be .* Received: none"),
        (
            (folder, ["fc6"], tmp_path / "f.csv"),
            "must be a new file that ends in .npz, .h5, .hdf5.*another ending",
        ),
        ((tmp_path / "none", ["fc6"], tmp_path / "f.npz"), "which does not exist"),
        ((np.zeros((4, 4, 3)), ["fc6"], tmp_path / "f.npz"), "`images` must be paths of files"),
        (
            (tmp_path / "broken", ["fc6"], tmp_path / "f.npz"),
            "hold an image that can be read. Received: .*a.png: not",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            write_features(classifier, *arguments)
    assert not list(tmp_path.glob("f.*"))


def test_follows_the_weights_of_the_network(classifier, images, random):
    classifier.features(images, ["fc6"])
    for weight in classifier.network.weights:
        weight.assign(random.normal(0, 0.1, weight.shape))
    after = classifier.features(images, ["fc6", "fc7"])
    for name in ("fc6", "fc7"):
        wanted = outputs_of(classifier, images, name)
        assert np.ptp(wanted) > 0
        np.testing.assert_allclose(after[name], wanted, rtol=1e-4, atol=1e-4)
    again = classifier.features(images, ["fc6"])  # the function of the first call
    np.testing.assert_allclose(again["fc6"], after["fc6"], rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")  # other layers
def test_features_of_a_quantized_network(images):
    network = tiny_network()
    network.quantize("int8")
    classifier = Classifier.from_network(network, (120, 110, 100), NAMES, image_size=SIZE)
    after = classifier.features(images, ["fc6", "fc8"])
    for name in ("fc6", "fc8"):
        wanted = outputs_of(classifier, images, name)
        np.testing.assert_allclose(after[name], wanted, rtol=1e-4, atol=1e-4)
