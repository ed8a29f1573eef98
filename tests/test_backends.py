"""Runs the tests of layers, models and JAX-only parts on JAX, and compares outputs."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet

# What counts parameters or sizes, or takes layers of the real network, which costs seconds, is the
# same on each backend; that a saved model loads in a new process is in the test below.
REPEATED = (
    "not (counts_and_maps or map_sizes or order_of_the_layers or source_does_otherwise or "
    "test_one_tower or test_conv6 or layers_of_the_real_network or of_many_maps or new_process)"
)
WITH_JAX = {
    **{**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiles faster
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tests", "devices"),
    [
        (["tests/ops", "tests/layers", "tests/models"], 1),
        (["tests/data/test_in_memory.py"], 1),  # without TensorFlow
        (["tests/training/test_device_augmentation.py"], 2),
    ],
    ids=str,
)
def test_these_pass_on_jax(tests, devices):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-p",
        "no:cacheprovider",
        "-k",
        REPEATED,
        *tests,
    ]
    flags = f"{WITH_JAX['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    result = subprocess.run(
        command, env={**WITH_JAX, "XLA_FLAGS": flags}, capture_output=True, text=True
    )
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
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**WITH_JAX, "PYTHONPATH": os.getcwd()},
        check=True,
    )
    ours = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), ours, rtol=1e-4, atol=1e-6)
