"""The limits of a machine, and the arithmetic of a network: what a speed is a share of."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from keras import ops

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


def matrix_product(precision, torch=False):
    """A function that gives the rate of a 4096-cube matrix product in operations a second.

    Args:
        precision: "float32" or "bfloat16".
        torch: by PyTorch instead of the Keras backend.
    """
    numbers = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype("float32")
    if torch:
        import torch as library

        x = library.from_numpy(numbers).to(getattr(library, precision))
        x = x.cuda() if library.cuda.is_available() else x

        def product():
            y = library.mm(x, x)
            return float(y[0, 0])
    else:
        x = ops.cast(ops.convert_to_tensor(numbers), precision)

        def product():
            return float(ops.convert_to_numpy(ops.cast(ops.matmul(x, x)[0, 0], "float32")))

    def measure(times=2):
        start = time.perf_counter()
        for _ in range(times):
            product()
        return times * 2 * SIDE**3 / (time.perf_counter() - start)

    measure(1)
    return measure


def memory_bandwidth(mib=512):
    """Bytes a second that all cores together read and write when they add one large array to another, by NumPy."""
    threads = os.cpu_count()
    length = mib * 2**20 // 4 // threads
    parts = [(np.zeros(length, "float32"), np.ones(length, "float32")) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def add():
            list(pool.map(lambda part: np.add(*part, out=part[0]), parts))

        add()
        start = time.perf_counter()
        for _ in range(5):
            add()
        seconds = time.perf_counter() - start
    return 5 * threads * length * 4 * 3 / seconds  # two are read, one is written


def device_words():
    """What the Keras backend computes on."""
    from alexnet_keras.environment import processor

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return f"JAX on {jax.devices()[0].device_kind}" if jax.default_backend() != "cpu" else f"JAX on {processor()}"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return f"TensorFlow on {names[0] if names else processor()}"
