"""The networks under Keras' other setting of the axes' order, which keras.json may hold."""

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.evaluation.views import dense_model, views_model
from alexnet_keras.export import export, load_exported
from alexnet_keras.models import NETWORKS, build_network, load_model, network_config
from alexnet_keras.plots import plot_feature_maps
from alexnet_keras.retrieval.activations import _scaled_down
from tests.gradients import computed


@pytest.fixture
def set_format():
    before = keras.config.image_data_format()
    yield keras.config.set_image_data_format
    keras.config.set_image_data_format(before)


@pytest.fixture
def channels_first(set_format):
    set_format("channels_first")


@pytest.mark.one_backend
def test_sizes_of_the_paper(channels_first):
    model = AlexNet("paper", filters=(8,) * 6, units=(16, 16))
    shapes = {
        name: model.get_layer(name).output.shape
        for name in ("pad1", "conv1", "pool1", "pool5", "flatten")
    }
    # 224 pixels and 3 of zeros; (227 - 11) / 4 + 1; a pool of 3 with stride 2 three times: 55, 27,
    # 13, 6.
    assert shapes == {
        "pad1": (None, 227, 227, 3),
        "conv1": (None, 55, 55, 8),
        "pool1": (None, 27, 27, 8),
        "pool5": (None, 6, 6, 8),
        "flatten": (None, 6 * 6 * 8),
    }


def both_formats(set_format, build):
    """A model under each setting."""
    for data_format in ("channels_last", "channels_first"):
        set_format(data_format)
        keras.utils.set_random_seed(0)
        yield build()


@pytest.mark.one_backend
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_the_same_layers(name, set_format):
    filters = (4,) * len(network_config(name).filters)
    config = network_config(name, filters=filters, units=(8, 8))
    models = both_formats(set_format, lambda: build_network(config, classes=3))
    last, first = ([layer.get_config() for layer in model.layers] for model in models)
    assert first == last


def test_outputs_are_the_same(set_format, random):
    # "source" has every kind of layer but the scale, which the network below has.
    images = random.uniform(-60, 60, (1, 96, 96, 3)).astype("float32")
    options = {"filters": (4,) * 6, "units": (8, 8), "classes": 3, "input_shape": images.shape[1:]}
    models = both_formats(set_format, lambda: AlexNet("source", **options))
    last, first = (computed(model, images) for model in models)
    np.testing.assert_array_equal(first, last)


def test_flatten_reads_the_maps_last(channels_first, random):
    # fc8 of one pixel's maps in turn: Flatten must give rows, columns, maps in this order.
    model = AlexNet("cifar", filters=(4,) * 6, units=(8, 8), classes=3)
    flatten = model.get_layer("flatten")
    maps = random.normal(size=(2, *flatten.input.shape[1:])).astype("float32")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(flatten(maps)), maps.reshape(2, -1))


def test_files_training_and_views(set_format, tmp_path, random):
    images = random.uniform(-60, 60, (4, 32, 32, 3)).astype("float32")
    whole = random.uniform(0, 255, (2, 36, 36, 3)).astype("float32")
    mean = np.full((36, 36, 3), 120, "float32")
    options = {"filters": (4,) * 6, "units": (8, 8), "classes": 3, "dropout": 0.0}
    after = []
    for model in both_formats(set_format, lambda: AlexNet("cifar", **options)):
        model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
        model.fit(images, np.arange(4) % 3, batch_size=2, shuffle=False, verbose=0)
        model.save(tmp_path / f"{keras.config.image_data_format()}.keras")
        views = [views_model(model, 36, mean[2:34, 2:34], "ten_crop"), dense_model(model, 36, mean)]
        after.append([*model.get_weights(), *(computed(view, whole) for view in views)])
        plot_feature_maps(model, images[0], "conv2")
    for last, first in zip(*after, strict=True):
        np.testing.assert_allclose(first, last, rtol=1e-5, atol=1e-6)
    other = load_model(tmp_path / "channels_last.keras")  # read under channels_first
    np.testing.assert_allclose(
        computed(other, images),
        computed(model, images),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
def test_export(channels_first, tmp_path, random):
    model = AlexNet("source", filters=(4,) * 6, units=(8, 8), classes=3, input_shape=(96, 96, 3))
    export(model, tmp_path / "saved", "saved_model")
    image = random.uniform(-60, 60, (1, 96, 96, 3)).astype("float32")
    outputs = load_exported(tmp_path / "saved", "saved_model")(image)
    np.testing.assert_allclose(
        outputs, keras.ops.convert_to_numpy(model(image)), rtol=1e-5, atol=1e-6
    )


def test_small_pixels_of_retrieval(channels_first):
    crops = np.zeros((2, 8, 8, 3), "uint8")
    crops[..., 0] = 200  # only red
    small = _scaled_down(crops, 4)
    np.testing.assert_array_equal(small, np.tile(np.array([200, 0, 0], "uint8"), (2, 16)))
