"""Implementations that `benchmarks.inference` compares, and the files that they load."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import runtimes

if TYPE_CHECKING:  # Keras, which the runtimes do without
    import keras

    from alexnet_keras import Classifier
    from alexnet_keras.training.config import TrainingConfig

MEAN = (123.0, 117.0, 104.0)
TEST_VIEWS = {
    "classifier": "center",
    "classifier_ten_crop": "ten_crop",
    "classifier_dense": "dense",
}
_CROPS = 10  # the batches of `Classifier.predict` have room for all crops of an image
_KINDS = {"classifier.onnx": "onnx", "float16.tflite": "float16", "int8.tflite": "int8"}
# Largest difference of a probability, as a share of the largest probability. Weights of 16 and 8
# bits are rounded.
_TOLERANCES = {"litert": 0.01, "litert_int8": 0.04}
_TOLERANCE = 0.001


def network_config(preset: str) -> "TrainingConfig":
    """Returns the training configuration of a preset, with normalization across the towers.

    No other library normalizes inside the towers. The initial weights give probabilities that
    depend on the image, as wrong inputs would not show otherwise. With He's in conv1, too, they
    would be 0 and 1, as the inputs reach from -123 to 151.
    """
    from alexnet_keras.models import alexnet_config
    from alexnet_keras.training.config import training_config

    overrides = {
        "normalization_in_towers": False,
        "initializer": "he_normal",
        "bias": 0.0,
        "conv1_kernel_stddev": 0.0005 / alexnet_config(preset).input_scale,
    }
    return training_config(preset, overrides=overrides)


def write_files(
    preset: str,
    classes: int,
    folder: str | os.PathLike,
    implementations: Iterable[str],
    count: int,
) -> None:
    """Writes a classifier of random weights with all that the implementations load.

    The files are `classifier.keras`, exported ones, PyTorch's weights `weights.npz`, the images
    `images.npy` and the probabilities of the first one, `probabilities.npy`.

    Args:
        preset: preset of the network.
        classes: number of classes.
        folder: folder of the files.
        implementations: names of the implementations, which decide on the exported files.
        count: number of images.
    """
    import keras

    from alexnet_keras import Classifier
    from alexnet_keras.export import export
    from alexnet_keras.models import build_network

    keras.utils.set_random_seed(0)
    folder = Path(folder)
    config = network_config(preset)
    network = build_network(config.network, classes=classes)
    names = map(str, range(classes))
    classifier = Classifier.from_network(network, MEAN, names, image_size=config.image_size)
    classifier.save(folder / "classifier.keras")
    needed = {runtimes.RUNTIMES[name][1] for name in implementations if name in runtimes.RUNTIMES}
    for file in sorted(needed):
        export(classifier.model, folder / file, _KINDS[file])
    if any(name.startswith("pytorch") for name in implementations):
        np.savez(folder / "weights.npz", *weights_for_pytorch(network))
    shape = (count, config.image_size, config.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    np.save(folder / "images.npy", images)
    np.save(folder / "probabilities.npy", classifier.model.predict_on_batch(images[:1])[0])


def weights_for_pytorch(network: "keras.Model") -> list[np.ndarray]:
    """Returns the kernels and biases of an AlexNet in the orders of PyTorch's layers."""
    rows, columns, maps = network.get_layer("flatten").input.shape[1:]
    weights = []
    for layer in network.layers:
        if not layer.weights:
            continue
        kernel, bias = layer.get_weights()
        if kernel.ndim == 4:
            kernel = kernel.transpose(3, 2, 0, 1)
        elif len(kernel) == rows * columns * maps:  # PyTorch flattens (map, row, column)
            kernel = kernel.reshape(rows, columns, maps, -1).transpose(3, 2, 0, 1)
            kernel = kernel.reshape(len(kernel), -1)
        else:
            kernel = kernel.T
        weights += [kernel, bias]
    return weights


def load(name: str, preset: str, classes: int, folder: str | os.PathLike, batch_size: int) -> Any:
    """Loads an implementation.

    Args:
        name: name of the implementation.
        preset, classes, folder: as for `write_files`.
        batch_size: images of each call.

    Returns:
        A function from uint8 images `(batch_size, height, width, 3)` to probabilities
        `(batch_size, classes)`, or to a list of `Prediction`.
    """
    if name in runtimes.RUNTIMES:
        return runtimes.load(name, folder, batch_size)
    if name.startswith("pytorch"):
        compiled = name == "pytorch_compile"
        return PyTorchClassifier(preset, classes, Path(folder) / "weights.npz", compiled)
    from alexnet_keras import Classifier

    return _with_keras(name, Classifier.load(Path(folder) / "classifier.keras"), batch_size)


def _with_keras(name: str, classifier: "Classifier", batch_size: int):
    """Returns one of the ways to call a classifier or its model."""
    model = classifier.model
    if name in TEST_VIEWS:
        views = TEST_VIEWS[name]
        crops = max(batch_size, _CROPS)
        return lambda images: classifier.predict(images, test_views=views, batch_size=crops)
    if name == "compiled_model":
        from alexnet_keras.compiled import CompiledModel

        return CompiledModel(model, batch_size)
    if name == "model_call":
        return lambda images: np.asarray(model(images, training=False))
    return lambda images: model.predict(images, batch_size=batch_size, verbose=0)


class PyTorchClassifier:
    """A classifier in PyTorch, in channels_last.

    Args:
        preset: preset of the network.
        classes: number of classes.
        weights: path of `weights.npz`.
        compiled: whether `torch.compile` compiles it, preparation and softmax included.
    """

    def __init__(self, preset: str, classes: int, weights: str | os.PathLike, compiled: bool):
        import torch

        from benchmarks.torch_networks import torch_network

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_num_threads(os.cpu_count())
        config = network_config(preset)
        module = torch_network(config.network, classes).eval().requires_grad_(False)
        with np.load(weights) as arrays:
            for parameter, name in zip(module.parameters(), arrays.files, strict=True):
                parameter.copy_(torch.from_numpy(arrays[name]))
        self._module = module.to(self._device, memory_format=torch.channels_last)
        self._mean = torch.tensor(MEAN, device=self._device)
        self._first = (config.image_size - config.crop_size) // 2
        self._last = self._first + config.crop_size
        self._call = torch.compile(self._probabilities) if compiled else self._probabilities

    def _probabilities(self, images):
        import torch

        middle = slice(self._first, self._last)
        crops = images[:, middle, middle].float() - self._mean
        return torch.softmax(self._module(crops.permute(0, 3, 1, 2)), 1)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self._call(torch.from_numpy(images).to(self._device)).cpu().numpy()


def check_probabilities(name: str, predictions: Any, folder: str | os.PathLike) -> None:
    """Ends the process if an implementation gives other probabilities than the network.

    The first image is compared. Other views than the center crop give other probabilities.

    Args:
        name: name of the implementation.
        predictions: its result for the images of `write_files`.
        folder: folder of the files.
    """
    if TEST_VIEWS.get(name, "center") != "center":
        return
    first = predictions[0]
    expected = np.load(Path(folder) / "probabilities.npy")
    largest = expected.max()
    if name in TEST_VIEWS:  # a `Prediction`, whose names are the labels
        expected = expected[[int(label) for label in first.names]]
        first = first.probabilities
    error = np.abs(first - expected).max() / largest
    tolerance = _TOLERANCES.get(name, _TOLERANCE)
    if not error <= tolerance:
        raise SystemExit(
            f"{name} must give the network's probabilities up to {tolerance:.1%} of the largest. "
            f"Received: a difference of {error:.1%}"
        )
