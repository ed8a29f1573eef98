import types
import zipfile

import keras
import numpy as np
import pytest
from keras.src.saving import saving_lib

from alexnet_keras import VGG, AlexNet
from alexnet_keras.layers import Preparation
from alexnet_keras.models import load_model
from tests.gradients import computed

TINY = {"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16)}
NARROW_VGG = {"filters": (2, 2, 2, 2, 2), "units": (8, 8), "input_shape": (32, 32, 3)}


def network(**options):
    return AlexNet("cifar", **{**TINY, "classes": 4, **options})


def same_weights(ours, expected):
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def message_of(call):
    with pytest.raises(ValueError) as raised:
        call()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("preset", ["paper", "torchvision"])
def test_without_the_top(preset):
    model = AlexNet(preset, include_top=False, filters=(4, 4, 4, 4, 4, 4))
    assert model.output_shape == (None, 6, 6, 4)
    assert not [
        layer.name for layer in model.layers if layer.name.startswith(("fc", "drop", "flatten"))
    ]


def test_pooling_is_over_all_positions(random):
    maps = network(include_top=False)
    images = random.normal(0, 60, (2, 32, 32, 3)).astype("float32")
    expected = computed(maps, images)
    assert expected.ndim == 4
    for pooling, function in (("avg", np.mean), ("max", np.max)):
        model = network(include_top=False, pooling=pooling)
        model.set_weights(maps.get_weights())
        assert model.output_shape == (None, 8)
        outputs = computed(model, images)
        np.testing.assert_allclose(outputs, function(expected, axis=(1, 2)), rtol=1e-5, atol=1e-6)
    vgg = VGG("A", include_top=False, pooling="avg", **NARROW_VGG)
    assert vgg.output_shape == (None, 2)


@pytest.mark.parametrize("name", ["whole.keras", "whole.weights.h5"])
@pytest.mark.parametrize("build", [network, lambda **o: VGG("A", **NARROW_VGG, **o)])
def test_a_network_without_the_top_takes_the_other_layers(name, build, tmp_path):
    whole = build()
    (whole.save if name.endswith(".keras") else whole.save_weights)(tmp_path / name)
    features = build(include_top=False, weights=tmp_path / name)
    assert [weight.path for weight in features.weights] == [w.path for w in whole.weights[:-6]]
    same_weights(features.get_weights(), whole.get_weights()[:-6])
    # The other way round fc8 is missing.
    (features.save if name.endswith(".keras") else features.save_weights)(
        tmp_path / f"features-{name}"
    )
    message = message_of(lambda: build(weights=tmp_path / f"features-{name}"))
    assert "fc6/kernel is missing in the file" in message


def test_arguments_of_the_top():
    for options, message in (
        ({"pooling": "avg"}, "`pooling` needs include_top=False. Received: pooling='avg'"),
        (
            {"include_top": False, "pooling": "mean"},
            "`pooling` must be None, 'avg' or 'max'. Received: pooling='mean'",
        ),
        ({"include_top": "no"}, "`include_top` must be True or False. Received: include_top='no'"),
    ):
        assert message_of(lambda options=options: network(**options)) == message
        assert message_of(lambda options=options: VGG("A", **options)) == message


def test_weights_of_model_checkpoint(tmp_path):
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    path = str(tmp_path / "epoch-{epoch}.weights.h5")
    model.optimizer.build(model.trainable_variables)  # whose variables are in the file, too
    callback = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    callback.set_model(model)
    callback.on_epoch_end(1, {})
    same_weights(
        network(weights=tmp_path / "epoch-2.weights.h5").get_weights(), model.get_weights()
    )
    # Such a file has no network in it.
    message = message_of(lambda: load_model(tmp_path / "epoch-2.weights.h5"))
    assert "it holds weights without a network: give it to AlexNet as `weights`" in message


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for Hugging Face with one model, as Keras stores it there."""
    keras.utils.set_random_seed(1)
    model = network()
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extractall(tmp_path / "hub" / "user" / "model")

    def snapshot_download(repo_id, **_):
        if not (tmp_path / "hub" / repo_id).exists():
            raise OSError(f"404 Client Error: {repo_id} is not there\nwith more lines")
        return str(tmp_path / "hub" / repo_id)

    stand_in = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setattr(saving_lib, "huggingface_hub", stand_in)
    return model


def test_weights_of_hugging_face(hub):
    same_weights(network(weights="hf://user/model").get_weights(), hub.get_weights())
    same_weights(load_model("hf://user/model").get_weights(), hub.get_weights())
    for call in (lambda: network(weights="hf://user/other"), lambda: load_model("hf://user/other")):
        message = message_of(call)
        assert (
            "Received: weights='hf://user/other': 404 Client Error: user/other is not there"
            in message
        )
    assert "fc6/kernel" in message_of(lambda: network(weights="hf://user/model", units=(8, 8)))


def test_hugging_face_without_its_package(monkeypatch):
    monkeypatch.setattr(saving_lib, "huggingface_hub", None)
    for call in (lambda: network(weights="hf://user/model"), lambda: load_model("hf://user/model")):
        assert (
            "hf://user/model': it needs huggingface_hub: pip install huggingface_hub"
            in message_of(call)
        )


def test_a_file_with_layers_of_another_package(tmp_path):
    @keras.saving.register_keras_serializable(package="theirs")
    class Special(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    model = keras.Sequential([keras.Input((2,)), Special()])
    model.save(tmp_path / "special.keras")
    keras.saving.get_custom_objects().pop("theirs>Special")
    message = message_of(lambda: load_model(tmp_path / "special.keras", "path"))
    assert message.endswith(
        f"it has Special of the module {__name__}, which must be imported first"
    )


def test_a_preparation_without_a_network_behind_it(tmp_path):
    preparation = Preparation(8, 8, np.zeros((8, 8, 3)))
    layers = [preparation, keras.layers.Flatten(), keras.layers.Dense(2)]
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((8, 8, 3)), *layers]).save(path)
    message = "one network, a keras.Model, behind its Preparation. Received: a model with 0"
    with pytest.raises(ValueError, match=message):
        load_model(path)


@pytest.fixture
def relu_vgg(tmp_path):
    path = tmp_path / "relu_vgg.keras"
    VGG("A", classes=4, **NARROW_VGG).save(path)
    return path


def test_weights_of_a_network_of_another_activation(relu_vgg):
    for include_top in (True, False):
        options = {"classes": 4, "include_top": include_top, **NARROW_VGG}
        message = message_of(lambda o=options: VGG("A", activation="tanh", weights=relu_vgg, **o))
        assert "its layer conv1_1 has other constants" in message
        assert "stored {'activation': 'relu'}, requested {'activation': 'tanh'}" in message
    # These change no function below the classes.
    VGG("A", classes=4, classifier_activation=None, dropout=0.1, weights=relu_vgg, **NARROW_VGG)
    VGG("A", include_top=False, pooling="avg", weights=relu_vgg, **NARROW_VGG)


def test_weights_of_a_network_of_another_activation_in_fc6(tmp_path):
    model = network(activation="relu")
    model.get_layer("fc6").activation = keras.activations.tanh
    model.save(tmp_path / "tanh_fc6.keras")
    message = message_of(lambda: network(weights=tmp_path / "tanh_fc6.keras"))
    assert "its layer fc6 has other constants: stored {'activation': 'tanh'}" in message
    network(include_top=False, weights=tmp_path / "tanh_fc6.keras")


def replaced_layers(model, name, new):
    """Returns the chain of a model's layers with one of them replaced."""
    x = inputs = keras.Input(model.input_shape[1:], name="image")
    for layer in model.layers[1:]:
        copy = type(layer).from_config(layer.get_config())
        if layer.name == name:
            copy = new
        x = copy(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    "pool", [keras.layers.AveragePooling2D(2, 2), keras.layers.MaxPooling2D(3, 2, padding="same")]
)
def test_weights_of_a_network_of_other_pools(pool, relu_vgg, tmp_path):
    pool.name = "pool2"
    other = replaced_layers(load_model(relu_vgg), "pool2", pool)
    other.save(tmp_path / "other.keras")
    message = message_of(
        lambda: VGG("A", classes=4, weights=tmp_path / "other.keras", **NARROW_VGG)
    )
    assert "its layer pool2 has other constants: stored {'class': '" in message


def test_a_relu_is_a_relu_in_any_layer(tmp_path):
    path = tmp_path / "other.keras"
    same = replaced_layers(network(), "relu2", keras.layers.ReLU(name="relu2"))
    same.save(path)
    same_weights(network(weights=path).get_weights(), same.get_weights())
    leaky = keras.layers.ReLU(negative_slope=0.1, name="relu2")
    replaced_layers(network(), "relu2", leaky).save(path)
    message = message_of(lambda: network(weights=path))
    assert "its layer relu2 has other constants: stored {'max_value'" in message
