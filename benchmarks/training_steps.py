"""The implementations that `benchmarks.training` compares, and their steps."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from benchmarks.harness import Implementation

if TYPE_CHECKING:
    import numpy as np

    from alexnet_keras.training.config import TrainingConfig

Run = Callable[[int], object]

FULL_SIZE = "paper"  # the only network of the implementations in TensorFlow
IMPLEMENTATIONS = {
    "alexnet_keras": Implementation("tensorflow", "alexnet_keras, TensorFlow"),
    "alexnet_keras_without_normalization": Implementation(
        "tensorflow", "alexnet_keras without normalization"
    ),
    "pytorch": Implementation("torch", "PyTorch, eager"),
    "pytorch_compile": Implementation("torch", "PyTorch, torch.compile"),
    "tensorflow_split": Implementation("tensorflow", "TensorFlow, one convolution per group"),
    "tensorflow": Implementation("tensorflow", "TensorFlow, native groups"),
    "keras": Implementation("tensorflow", "Keras, Conv2D(groups=2)"),
    "alexnet_keras_jax": Implementation("jax", "alexnet_keras, JAX"),
    "alexnet_keras_jax_in_memory": Implementation(
        "jax", "alexnet_keras, JAX, augmented on the GPU"
    ),
    "alexnet_keras_jax_pipeline": Implementation("jax", "alexnet_keras, JAX, from JPEGs"),
}


def training_setting(
    network: str, precision: str = "float32", normalization: bool = True, **fields: Any
) -> "TrainingConfig":
    """Returns the configuration of a network's training, its preset.

    The full-size network normalizes across its towers, as TensorFlow's and PyTorch's layers do.

    Args:
        network: a preset of AlexNet.
        precision: `"float32"` or `"bfloat16"`.
        normalization: whether the network keeps its normalization.
        **fields: fields of `TrainingConfig` that replace the preset's.
    """
    from alexnet_keras.training.config import training_config

    overrides = {"normalization_in_towers": False} if network == FULL_SIZE else {}
    if not normalization:
        overrides["normalization"] = False
    dtype_policy = harness.PRECISIONS[precision]
    return training_config(network, overrides=overrides, precision=dtype_policy, **fields)


def build_steps(
    name: str,
    config: "TrainingConfig",
    images: "np.ndarray",
    labels: "np.ndarray",
    options: argparse.Namespace,
) -> tuple[Run, Run | None, str]:
    """Builds an implementation.

    Args:
        name: one of `IMPLEMENTATIONS`.
        config: the network and its training, as `training_setting` gives it.
        images: float32 `(batch, height, width, 3)`, a batch that is trained again and again.
        labels: int32 `(batch,)`.
        options: the options of the command.

    Returns:
        Training and inference, functions of a number of steps, and a description. Inference is
        `None` if another implementation measures it.
    """
    from benchmarks import other_libraries

    if name.startswith("alexnet_keras"):
        return _build_alexnet_keras(name, config, images, labels, options)
    arguments = (options.classes, options.precisions[0])
    if name.startswith("tensorflow"):
        split = name == "tensorflow_split"
        network = other_libraries.TensorFlowAlexNet(*arguments, split=split)
    elif name == "keras":
        network = other_libraries.KerasAlexNet(config.network, *arguments)
    else:
        compiled = name == "pytorch_compile"
        network = other_libraries.PyTorchAlexNet(config.network, *arguments, compiled=compiled)
    description = IMPLEMENTATIONS[name].label
    if hasattr(network, "device"):
        description += f", {network.device}"
    return network.training(images, labels), network.inference(images), description


def _build_alexnet_keras(name, config, images, labels, options):
    import keras

    from alexnet_keras import AlexNet
    from alexnet_keras.training.train import compile_for_training
    from benchmarks.other_libraries import KerasInference, KerasTraining, repeated_batch
    from benchmarks.roofline import device_name

    keras.config.set_dtype_policy(config.precision)
    model = AlexNet(config.network, classes=options.classes)
    compile_for_training(model, config)
    inference = None  # `alexnet_keras_jax` measures it
    if name == "alexnet_keras_jax_in_memory":
        training = _training_in_memory(model, config, options.classes)
    elif name == "alexnet_keras_jax_pipeline":
        training = _training_from_jpegs(model, config, options)
    else:
        training = KerasTraining(model, repeated_batch(images, labels))
        inference = KerasInference(model, images)
    return training, inference, device_name()


def _training_from_jpegs(model, config, options):
    """Training from JPEGs; meanwhile the input pipeline reads, decodes and crops the next ones."""
    from alexnet_keras.data import Dataset
    from alexnet_keras.training.device_augmentation import augmenting_model
    from benchmarks.other_libraries import KerasTraining

    dataset = Dataset(options.dataset, config.image_size, config.crop_size, memory_gib=0)
    if dataset.info.classes > options.classes:
        raise SystemExit(
            f"--dataset must have at most {options.classes} classes. "
            f"Received: {options.dataset}, which has {dataset.info.classes}"
        )
    model = augmenting_model(model, dataset)
    batches = dataset.train(config.batch_size, device_augmentation=True).as_numpy_iterator()
    # A generator for all rounds, as `fit` would restart a data set in each.
    return KerasTraining(model, (batch for batch in batches))


def _training_in_memory(model, config, classes):
    """Training from arrays in the device's memory; the compiled step augments them."""
    from alexnet_keras.training.device_augmentation import augmenting_model
    from benchmarks.epochs import noise_dataset
    from benchmarks.other_libraries import KerasTraining

    count = max(1024, config.batch_size)
    dataset = noise_dataset(config, classes, count, in_memory=True)
    return KerasTraining(augmenting_model(model, dataset), dataset.train(config.batch_size))
