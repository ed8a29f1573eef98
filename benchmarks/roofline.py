"""Limits of the machine, and number of operations of a network.

The limits are the rate of a large matrix product and the memory bandwidth.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from importlib import util

import keras
import numpy as np
from keras import ops

from alexnet_keras.distributed.devices import has_accelerator
from benchmarks import harness

SIDE = 4096  # of the square matrices whose product is measured


def multiply_adds(model: keras.Model) -> dict[str, int]:
    """Returns the multiply-adds for one image, by convolution and dense layer.

    A convolution has one for each weight at each position of its maps, a dense layer one for each
    weight. Normalization, pools and biases are left out.

    Args:
        model: a built model.
    """
    counts = {}
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            is_conv = len(layer.kernel.shape) == 4
            positions = layer.output.shape[1:-1] if is_conv else ()
            counts[layer.name] = int(np.prod([*positions, *layer.kernel.shape]))
    return counts


def training_flops(model: keras.Model) -> int:
    """Returns the floating-point operations of a training step for one image.

    A multiply-add is two of them. It occurs three times: in the forward pass and in the gradients
    of weights and input. The first layer needs no gradient of its input.
    """
    counts = multiply_adds(model)
    return 6 * sum(counts.values()) - 2 * next(iter(counts.values()))


def inference_flops(model: keras.Model) -> int:
    """Returns the floating-point operations of the forward pass for one image."""
    return 2 * sum(multiply_adds(model).values())


class MatrixProduct:
    """Measures the rate of successive products of 4096x4096 matrices, in operations per second.

    Args:
        precision: `"float32"` or `"bfloat16"`.
        torch: whether PyTorch multiplies, and not the Keras backend.
        seconds: duration of a measurement, as for `harness.Rate`.
    """

    def __init__(self, precision: str, torch: bool = False, seconds: float = 3.0):
        # With this standard deviation, the product of many neither grows nor vanishes.
        numbers = np.random.default_rng(0).normal(0, SIDE**-0.5, (SIDE, SIDE)).astype("float32")
        if torch:
            self._use_torch(numbers, precision)
        else:
            self._matrix = ops.cast(ops.convert_to_tensor(numbers), precision)
            self._multiply = ops.matmul
        self._rate = harness.Rate(self._run, seconds)

    def __call__(self) -> float:
        return 2 * SIDE**3 * self._rate()

    def _use_torch(self, numbers, precision):
        import torch

        torch.set_float32_matmul_precision("high")  # TF32, as in `other_libraries`
        matrix = torch.from_numpy(numbers).to(getattr(torch, precision))
        self._matrix = matrix.cuda() if torch.cuda.is_available() else matrix
        self._multiply = torch.mm

    def _run(self, times):
        for number in range(times):
            if number % 100 == 0:
                product = self._matrix
            product = self._multiply(self._matrix, product)
        # One wait for all products: on a GPU a wait takes longer than a product.
        return float(product[0, 0])


def memory_bandwidth(mib: int = 512) -> float:
    """Returns the bytes per second that are read and written in additions of large arrays.

    The arrays are in the memory of the device of the Keras backend. On a CPU, NumPy adds them on
    all cores.

    Args:
        mib: size of an array.
    """
    length = mib * 2**20 // 4
    measure = _accelerator_additions if has_accelerator() else _cpu_additions
    return 3 * 4 * length * measure(length)  # two arrays are read, one is written


def _cpu_additions(length):
    threads = os.cpu_count()
    parts = []
    for _ in range(threads):
        total = np.zeros(length // threads, "float32")
        ones = np.ones(length // threads, "float32")
        parts.append((total, ones))
    with ThreadPoolExecutor(threads) as pool:
        run = functools.partial(_add_on_threads, pool, parts)
        run(1)
        return harness.Rate(run, steps=5)()


def _add_on_threads(pool, parts, times):
    for _ in range(times):
        list(pool.map(lambda part: np.add(*part, out=part[0]), parts))


def _accelerator_additions(length):
    ones = ops.ones((length,), "float32")
    return harness.Rate(functools.partial(_add_on_accelerator, ones), seconds=0.5)()


def _add_on_accelerator(ones, times):
    total = ones
    for _ in range(times):
        total = ops.add(total, ones)
    return float(total[0])  # waits for all additions


class MachineLimits:
    """Measures the limits of the machine. Each call returns a dict of figures.

    `matrix_product` is the higher one of the Keras backend's rate and PyTorch's, if it is
    installed. `bandwidth` is the result of `memory_bandwidth`.

    Args:
        precision, seconds: as for `MatrixProduct`.
    """

    def __init__(self, precision: str, seconds: float = 3.0):
        self._products = {"keras": MatrixProduct(precision, seconds=seconds)}
        if util.find_spec("torch"):
            self._products["torch"] = MatrixProduct(precision, torch=True, seconds=seconds)

    def __call__(self) -> dict[str, float]:
        rates = {f"matrix_product_{name}": product() for name, product in self._products.items()}
        return {**rates, "matrix_product": max(rates.values()), "bandwidth": memory_bandwidth()}


def device_name() -> str:
    """Returns backend and device of Keras, such as `"JAX on NVIDIA H200"`."""
    from alexnet_keras.environment import processor

    name = processor()
    if keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() != "cpu":
            name = jax.devices()[0].device_kind
        return f"JAX on {name}"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return f"TensorFlow on {name}"
