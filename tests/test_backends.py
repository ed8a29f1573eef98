"""Runs the tests of layers, models and JAX-only parts on JAX, and compares outputs."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from tests import processes

WITH_JAX = {
    **{**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiles faster
}


@pytest.mark.slow(60)
@pytest.mark.parametrize(
    ("tests", "devices"),
    [
        (["tests/ops", "tests/layers", "tests/models"], 1),
        (["tests/data/test_in_memory.py"], 1),
        (["tests/training/test_device_augmentation.py"], 2),
    ],
    ids=str,
)
def test_these_pass_on_jax(tests, devices):
    arguments = ["-m", "pytest", "-x", "-p", "no:cacheprovider", "-m", "not one_backend", *tests]
    flags = f"{WITH_JAX['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    env = {**WITH_JAX, "XLA_FLAGS": flags}
    if tests == ["tests/data/test_in_memory.py"]:  # in a process that has not loaded TensorFlow
        command = [sys.executable, *arguments]
        result = subprocess.run(command, env=env, capture_output=True, text=True)
    else:
        result = processes.run(arguments, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


def test_jax_gives_the_same_output_and_trains(tmp_path, random):
    keras.utils.set_random_seed(0)
    model = AlexNet(
        "cifar", classes=5, dropout=0.0
    )  # the loss of ten steps falls for sure only without it
    images = random.normal(0, 60, (4, 32, 32, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import alexnet_keras, keras, numpy as np\n"
        "assert keras.backend.backend() == 'jax'\n"
        "model, images = keras.saving.load_model('model.keras'), np.load('images.npy')\n"
        "np.save('out.npy', keras.ops.convert_to_numpy(model(images)))\n"
        "model.compile(alexnet_keras.AlexNetSGD(0.001), 'sparse_categorical_crossentropy')\n"
        "losses = [float(model.train_on_batch(images, np.arange(4))) for _ in range(10)]\n"
        "assert losses[-1] < losses[0], losses\n"
    )
    processes.run(["-c", code], cwd=tmp_path, env=WITH_JAX).check_returncode()
    ours = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), ours, rtol=1e-4, atol=1e-6)
