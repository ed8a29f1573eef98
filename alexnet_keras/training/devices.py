"""The devices that a training runs on."""

import contextlib
import os

import keras

from alexnet_keras.distribution import data_parallel, hosts
from alexnet_keras.environment import processor


def scope_for(devices):
    """What makes a training run on some devices, by the backend that Keras has.

    Args:
        devices: number of GPUs (on a machine without a GPU, of logical CPU devices), or the names of devices of one
            kind, such as `("GPU:0", "GPU:2")`.

    Returns:
        `(scope, words)`: a context manager, in which a `tf.distribute.MirroredStrategy` or, on JAX, a
        `keras.distribution.DataParallel` over these devices of all hosts divides each batch; and which devices they are
        in words.

    Raises:
        ValueError: when the machine has not these GPUs, or for a backend that training does not support.
        RuntimeError: when more CPU devices are asked for than the backend was started with in this process.
    """
    if keras.backend.backend() == "jax":
        return _scope_on_jax(devices)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(f"Training runs on the tensorflow and jax backends. Received: {keras.backend.backend()}")
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [f"{'GPU' if gpus else 'CPU'}:{i}" for i in range(devices)] if isinstance(devices, int) else list(devices)
    kinds, indices = {name[:3] for name in names}, [int(name[4:]) for name in names]
    if kinds == {"GPU"} and max(indices) >= len(gpus):
        here = ", ".join(f"GPU:{i}" for i in range(len(gpus))) or "none"
        raise ValueError(f"`devices` must be among the GPUs here: {here}. Received: devices={devices}")
    if kinds == {"GPU"}:
        details = [tf.config.experimental.get_device_details(gpus[i]).get("device_name", "GPU") for i in indices]
        words = f"GPU{'s' * (len(names) > 1)}: {', '.join(details)}"
    else:
        words = _cpu_words(len(names), alone=not gpus)
        if max(indices) > 0:
            split_cpu(max(indices) + 1)
    if names == [f"{'GPU' if gpus else 'CPU'}:0"]:
        return contextlib.nullcontext(), words
    return tf.distribute.MirroredStrategy(names).scope(), words


def _scope_on_jax(devices):
    import jax

    distribution = data_parallel(devices)
    chosen = distribution.device_mesh.devices.size // hosts()[1]
    kind = distribution.device_mesh.devices.flatten()[0].partition(":")[0]
    if kind == "cpu":
        words = _cpu_words(chosen, alone=jax.default_backend() == "cpu")
    else:
        words = f"{chosen} x {jax.local_devices(backend=kind)[0].device_kind}"
    number, count = hosts()
    if count > 1:
        return distribution.scope(), f"{count} hosts, this one, {number}, with {words}"
    return contextlib.nullcontext() if devices == 1 else distribution.scope(), words


def _cpu_words(devices, alone):
    words = f"{processor()}, {os.cpu_count()} cores"
    if devices == 1:
        return f"CPU: {words}"
    return f"{'no GPU, so ' * alone}{devices} logical devices of the CPU: {words}"


def split_cpu(devices):
    """Makes `devices` logical devices of the CPU; possible only before TensorFlow is first used in a process."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    have = tf.config.get_logical_device_configuration(cpu)
    if have is None or len(have) < devices:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
        except RuntimeError as error:
            raise RuntimeError(
                f"`devices`: TensorFlow is already running in this process with {len(have or [0])} CPU device(s), and "
                f"cannot change to {devices}; ask for them first thing in a new process"
            ) from error


def has_gpu():
    """Whether TensorFlow has a GPU here."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
