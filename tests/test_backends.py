"""Runs some tests on JAX and PyTorch too, and compares numbers."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet, Classifier, explain
from alexnet_keras.data import Dataset
from alexnet_keras.evaluation.evaluate import evaluate
from alexnet_keras.training.config import training_config
from alexnet_keras.training.train import compile_for_training
from tests import processes, torch_training
from tests.processes import WITH_JAX
from tests.test_classifier import NAMES, SIZE, tiny_network

# Files of tests that compute gradients.
EXPLANATIONS = (
    *("gradients", "saliency_maps", "guided_gradients", "class_activation_maps"),
    "maximization",
)
WITH_TORCH = {
    **{**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "-1"},
    "OMP_NUM_THREADS": "1",  # threads that share a busy processor wait for each other
}
# What differs on PyTorch: the update in place, the seeds of dropout, sums over groups of maps, and
# data without TensorFlow.
ON_TORCH = (
    "tests/layers/test_local_response_normalization.py",
    "tests/explain/test_gradients.py",
    "tests/training/test_torch.py",
    "tests/training/test_optimizer.py",
    "tests/training/test_checkpoints.py::test_sigterm_saves_and_leaves",
    "tests/training/test_train.py::test_writes_all_that_it_promises",
)
# Cases of test_implementations.py that TensorFlow compiles with XLA: each function, in a training
# and in an evaluation, with both kinds of powers.
NORMALIZATIONS = (
    "local_response_normalization 4 2 0.75 True",
    "local_response_normalization 3 2 0.6 False",
    "spatial_response_normalization 3 2 0.6 True",
    "spatial_response_normalization 4 2 0.75 False",
)


@pytest.mark.slow(60)
@pytest.mark.parametrize(
    ("tests", "devices"),
    [
        (["tests/ops", "tests/layers", "tests/models"], 1),
        (["tests/data/test_in_memory.py"], 1),
        (["tests/training/test_device_augmentation.py"], 2),
        ([f"tests/explain/test_{name}.py" for name in EXPLANATIONS], 1),
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


@pytest.mark.slow(10)
def test_these_pass_with_the_default_options_of_xla():
    """The tests' own processes compile with other options, see `processes.COMPILE_FAST`."""
    tests = ["tests/data/test_augmentation.py::test_noise_is_one_color_an_image"]
    for case in NORMALIZATIONS:
        for test in ("test_outputs_and_gradients", "test_bfloat16"):
            tests.append(f"tests/ops/test_implementations.py::{test}[analytic_xla {case}]")
    arguments = ["-m", "pytest", "-x", "-p", "no:cacheprovider", *tests]
    result = processes.run(arguments, env={**os.environ, "XLA_FLAGS": ""})
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(tests)} passed" in result.stdout


@pytest.mark.slow(60)
@pytest.mark.parametrize(
    "tests",
    [ON_TORCH, ("tests/data/test_in_memory.py",)],  # the latter has not loaded TensorFlow
    ids=("most", "in_memory"),
)
def test_these_pass_on_torch(tests):
    pytest.importorskip("torch", reason="PyTorch is in the extra torch")
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests]
    result = subprocess.run(command, env=WITH_TORCH, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


@pytest.mark.slow(30)
def test_torch_and_jax_give_the_numbers_of_tensorflow(tiny_npz, tmp_path):
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
    run_on_jax(tmp_path)
    on_jax = keras.saving.load_model(tmp_path / "after_on_jax.keras")
    for ours, expected in zip(on_jax.weights, network.weights, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6, err_msg=ours.path)
    check_predictions(tmp_path)


def run_on_torch(folder):
    command = [sys.executable, "-m", "tests.torch_training", str(folder)]
    result = subprocess.run(command, env=WITH_TORCH, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def run_on_jax(folder):
    """Takes the step of the other backends on JAX, and predicts the same images as PyTorch."""
    code = (
        "import sys, keras, numpy as np\n"
        "from tests.torch_training import probabilities\n"
        "assert keras.backend.backend() == 'jax'\n"
        "images = np.load(sys.argv[1] + '/predicted.npz')['images']\n"
        "np.save(sys.argv[1] + '/jax.npy', probabilities(sys.argv[1], images))\n"
        "network = keras.saving.load_model(sys.argv[1] + '/before.keras')\n"
        "batch = np.load(sys.argv[1] + '/batch.npz')\n"
        "network.train_on_batch(batch['images'], batch['labels'])\n"
        "network.save(sys.argv[1] + '/after_on_jax.keras')\n"
    )
    result = processes.run(["-c", code, str(folder)], env=WITH_JAX)
    assert result.returncode == 0, result.stdout + result.stderr


def check_predictions(folder):
    """Asserts that TensorFlow and JAX give the probabilities that PyTorch has written."""
    with np.load(folder / "predicted.npz") as file:
        images = file["images"]
        expected = file["probabilities"]
    found = torch_training.probabilities(folder, images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
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
    processes.run(["-c", code], cwd=tmp_path, env=WITH_JAX).check_returncode()
    ours = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), ours, rtol=1e-4, atol=1e-6)


def maps_of(classifier, images):
    """Returns a dict of the explanations of images by each method, as arrays."""
    found = {
        "saliency": explain.saliency(classifier, images, "red"),
        "guided": explain.guided_backpropagation(classifier, images, "red"),
        "grad_cam": explain.grad_cam(classifier, images, "red", layer="conv2"),
        "occlusion": explain.occlusion(classifier, images, "red", size=14, stride=7),
    }
    maps = {name: np.stack([each.map for each in each_of]) for name, each_of in found.items()}
    drawn = explain.activation_maximization(classifier, [1, 2], "conv4", steps=4)
    return {**maps, "drawn": drawn / 255}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_explanations_are_the_same(backend, tmp_path, random):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    network = tiny_network()
    classifier = Classifier.from_network(network, (120, 110, 100), NAMES, image_size=SIZE)
    classifier.save(tmp_path / "classifier.keras")
    images = random.randint(0, 256, (3, SIZE, SIZE, 3)).astype("uint8")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, alexnet_keras, numpy as np\n"
        "assert 'alexnet_keras.explain' not in sys.modules\n"
        "from tests.test_backends import maps_of\n"
        "classifier = alexnet_keras.Classifier.load('classifier.keras')\n"
        "np.savez('maps.npz', **maps_of(classifier, np.load('images.npy')))\n"
    )
    environment = {**WITH_JAX, "KERAS_BACKEND": backend}
    environment["PYTHONPATH"] = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    if backend == "jax":
        processes.run(["-c", code], cwd=tmp_path, env=environment).check_returncode()
    else:  # PyTorch does not survive a fork
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    with np.load(tmp_path / "maps.npz") as found:
        for name, maps in maps_of(classifier, images).items():
            largest = np.abs(maps).max()
            assert largest > 0
            np.testing.assert_allclose(found[name] / largest, maps / largest, atol=1e-4)
