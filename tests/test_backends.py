"""Runs some tests on JAX and PyTorch too, and compares numbers."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.data import Dataset
from alexnet_keras.evaluation.evaluate import evaluate
from alexnet_keras.training.config import training_config
from alexnet_keras.training.train import compile_for_training
from tests import torch_training

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
WITH_TORCH = {
    **{**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "-1"},
    "OMP_NUM_THREADS": "1",  # threads that share a busy processor wait for each other
}
# What differs on PyTorch: the update in place, the seeds of dropout, sums over groups of maps, and
# data without TensorFlow.
ON_TORCH = (
    "tests/layers/test_local_response_normalization.py",
    "tests/data/test_in_memory.py",
    "tests/training/test_torch.py",
    "tests/training/test_optimizer.py",
    "tests/training/test_checkpoints.py::test_sigterm_saves_and_leaves",
    "tests/training/test_train.py::test_writes_all_that_it_promises",
)


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


@pytest.mark.slow
def test_these_pass_on_torch():
    pytest.importorskip("torch", reason="PyTorch is in the extra torch")
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *ON_TORCH]
    result = subprocess.run(command, env=WITH_TORCH, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


@pytest.mark.slow
def test_torch_gives_the_numbers_of_tensorflow(tiny_npz, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is in the extra torch")
    config = training_config(
        "cifar",
        overrides={"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16), "dropout": 0.0},
        decay_biases=False,
        bias_learning_rate=0.02,
        layer_learning_rates={"conv1": 0.5},
    )
    network = AlexNet(config.network, input_shape=(28, 28, 3), classes=4)
    compile_for_training(network, config)
    dataset = Dataset(tiny_npz, 32, 28)
    first, second = dataset.train(16).take(2).as_numpy_iterator()
    network.train_on_batch(*first)  # so that the velocities are not zero
    network.save(tmp_path / "before.keras")
    np.savez(tmp_path / "batch.npz", images=second[0], labels=second[1])
    run_on_torch(tmp_path)
    errors = json.loads((tmp_path / "errors.json").read_text())
    for views in torch_training.VIEWS:
        expected = evaluate(network, dataset, views, verbose=0)
        assert errors[views] == pytest.approx(expected, rel=1e-4), views
    before = network.get_weights()
    network.train_on_batch(*second)
    moved = [np.abs(a - b).max() for a, b in zip(network.get_weights(), before, strict=True)]
    assert max(moved) > 1e-4  # a hundred times the tolerance
    after = keras.saving.load_model(tmp_path / "after.keras")
    for ours, expected in zip(
        after.weights + after.optimizer.variables,
        network.weights + network.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6, err_msg=ours.path)
    check_predictions(tmp_path)


def run_on_torch(folder):
    command = [sys.executable, "-m", "tests.torch_training", str(folder)]
    result = subprocess.run(command, env=WITH_TORCH, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def check_predictions(folder):
    """Asserts that TensorFlow and JAX give the probabilities that PyTorch has written."""
    with np.load(folder / "predicted.npz") as file:
        images, expected = file["images"], file["probabilities"]
    found = torch_training.probabilities(folder, images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    code = (
        "import sys, keras, numpy as np\n"
        "from tests.torch_training import probabilities\n"
        "assert keras.backend.backend() == 'jax'\n"
        "images = np.load(sys.argv[1] + '/predicted.npz')['images']\n"
        "np.save(sys.argv[1] + '/jax.npy', probabilities(sys.argv[1], images))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], env=WITH_JAX, check=True)
    np.testing.assert_allclose(np.load(folder / "jax.npy"), expected, rtol=0, atol=1e-5)


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
