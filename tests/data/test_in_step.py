"""`tests/test_backends.py` runs these on JAX, with two devices."""

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.data import Dataset
from alexnet_keras.data.in_step import augment_in_step
from alexnet_keras.training.config import training_config
from alexnet_keras.training.train import compile_for_training

if keras.backend.backend() != "jax":
    pytest.skip("needs JAX", allow_module_level=True)

TINY = {"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16), "dropout": 0.0}


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
    config = training_config("cifar", epochs=1, overrides=TINY)

    def trained(in_step):
        keras.utils.set_random_seed(0)
        model = AlexNet(config.network, input_shape=(28, 28, 3), classes=4)
        compile_for_training(model, config)
        if in_step:
            augment_in_step(model, dataset)
        before = model.get_weights()
        model.fit(dataset.train(16, seed=1, in_step=in_step), steps_per_epoch=3, shuffle=False, verbose=0)
        assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(before, model.get_weights(), strict=True))
        return model.get_weights()

    for ours, expected in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
