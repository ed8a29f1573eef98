"""The limits of a machine, and the arithmetic of a network: what a speed is a share of."""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib import util

import keras
import numpy as np
from keras import ops

from alexnet_keras.distributed.devices import has_accelerator
from benchmarks import turns

SIDE = 4096  # of the square matrices whose product is the limit of arithmetic


def multiply_adds(model):
    """Multiply-adds of the convolutions and dense layers of a built model for one image, a dict by layer.

    A convolution needs one for each weight at each position of its maps, a dense layer one for each weight. Everything
    else (normalization, pools, biases) is left out.
    """
    counts = {}
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            positions = layer.output.shape[1:-1] if len(layer.kernel.shape) == 4 else ()
            counts[layer.name] = int(np.prod([*positions, *layer.kernel.shape]))
    return counts


def training_flops(model):
    """Floating-point operations of a training step for one image.

    Two for each multiply-add of the forward pass, the gradient of the weights and that of the input, which the first
    layer does not need.
    """
    counts = multiply_adds(model)
    return 6 * sum(counts.values()) - 2 * next(iter(counts.values()))


def inference_flops(model):
    """Floating-point operations of the forward pass for one image."""
    return 2 * sum(multiply_adds(model).values())


def matrix_product(precision, torch=False, seconds=3.0):
    """A function that gives the rate of 4096-cube matrix products, one after the other, in operations a second.

    Args:
        precision: "float32" or "bfloat16".
        torch: by PyTorch instead of the Keras backend.
        seconds: length of a measurement, as for `turns.rate`.
    """
    # Of this standard deviation, so that the product of many neither grows nor vanishes.
    numbers = np.random.default_rng(0).normal(0, SIDE**-0.5, (SIDE, SIDE)).astype("float32")
    if torch:
        import torch as library

        library.set_float32_matmul_precision("high")  # TF32, as the peers have it
        x = library.from_numpy(numbers).to(getattr(library, precision))
        x, multiply = x.cuda() if library.cuda.is_available() else x, library.mm
    else:
        x, multiply = ops.cast(ops.convert_to_tensor(numbers), precision), ops.matmul

    def products(times):
        y = x
        for number in range(times):
            y = multiply(x, y if number % 100 else x)
        return float(
            y[0, 0]
        )  # which waits for all of them, once: to wait for each takes a GPU longer than a product

    rate = turns.rate(products, seconds)
    return lambda: 2 * SIDE**3 * rate()


def memory_bandwidth(mib=512):
    """Bytes a second that are read and written when one large array is added to another.

    In the memory of the device that the Keras backend computes on; for a CPU by NumPy, on all cores.
    """
    length = mib * 2**20 // 4
    if not has_accelerator():
        threads = os.cpu_count()
        parts = [
            (np.zeros(length // threads, "float32"), np.ones(length // threads, "float32"))
            for _ in range(threads)
        ]
        with ThreadPoolExecutor(threads) as pool:

            def add(times):
                for _ in range(times):
                    list(pool.map(lambda part: np.add(*part, out=part[0]), parts))

            add(1)
            return 3 * 4 * length * turns.rate(add, steps=5)()  # two are read, one is written
    ones = ops.ones((length,), "float32")

    def add(times):
        total = ones
        for _ in range(times):
            total = ops.add(total, ones)
        return float(total[0])  # which waits for all of them

    return 3 * 4 * length * turns.rate(add, seconds=0.5)()


def machine(precision, seconds=3.0):
    """A function that gives the limits of the machine, a dict of figures.

    `matrix_product` is the better of the Keras backend's and, where it is installed, PyTorch's.
    """
    products = {"keras": matrix_product(precision, seconds=seconds)}
    if util.find_spec("torch"):
        products["torch"] = matrix_product(precision, torch=True, seconds=seconds)

    def measure():
        rates = {f"matrix_product_{name}": product() for name, product in products.items()}
        return {**rates, "matrix_product": max(rates.values()), "bandwidth": memory_bandwidth()}

    return measure


def device_words():
    """What the Keras backend computes on."""
    from alexnet_keras.environment import processor

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return (
            f"JAX on {jax.devices()[0].device_kind}"
            if jax.default_backend() != "cpu"
            else f"JAX on {processor()}"
        )
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus
    ]
    return f"TensorFlow on {names[0] if names else processor()}"
