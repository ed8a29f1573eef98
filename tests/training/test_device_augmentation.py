"""`tests/test_backends.py` runs these on JAX, with two devices."""

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.data import Dataset
from alexnet_keras.training.config import training_config
from alexnet_keras.training.device_augmentation import augmenting_model
from alexnet_keras.training.train import compile_for_training
from tests.conftest import TINY

if keras.backend.backend() != "jax":
    pytest.skip("needs JAX", allow_module_level=True)

# A ReLU that switches would make more of a rounding error.
OVERRIDES = {**TINY, "dropout": 0.0, "activation": "tanh"}


@pytest.fixture(params=[1, 2])
def devices(request):
    here = keras.distribution.list_devices()
    assert len(here) >= 2
    if request.param == 2:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=here[:2]))
    yield request.param
    keras.distribution.set_distribution(None)


def test_a_compiled_step_trains_on_the_images_of_the_pipeline(tiny_npz, devices):
    dataset = Dataset(tiny_npz, 32, 28)
    config = training_config("cifar", epochs=1, overrides=OVERRIDES)

    def trained(device_augmentation):
        keras.utils.set_random_seed(0)
        model = AlexNet(config.network, input_shape=(28, 28, 3), classes=4)
        compile_for_training(model, config)
        if device_augmentation:
            model = augmenting_model(model, dataset)
        before = model.get_weights()
        model.fit(
            dataset.train(16, seed=1, device_augmentation=device_augmentation),
            steps_per_epoch=3,
            shuffle=False,
            verbose=0,
        )
        assert any(
            np.abs(a - b).max() > 1e-4 for a, b in zip(before, model.get_weights(), strict=True)
        )
        return model.get_weights()

    for ours, expected in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_the_network_is_saved_with_the_optimizer_that_trained_it(tiny_npz, tmp_path, devices):
    dataset = Dataset(tiny_npz, 32, 28)
    config = training_config("cifar", epochs=1, overrides=OVERRIDES)
    network = AlexNet(config.network, input_shape=(28, 28, 3), classes=4)
    compile_for_training(network, config)
    model = augmenting_model(network, dataset)
    model.fit(
        dataset.train(16, seed=1, device_augmentation=True),
        steps_per_epoch=3,
        shuffle=False,
        verbose=0,
    )
    keras.distribution.set_distribution(None)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert type(loaded) is type(network)
    assert int(loaded.optimizer.iterations) == 3
    for a, b in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    for a, b in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
