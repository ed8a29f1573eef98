"""The devices that a training runs on. TensorFlow only."""

import os
import platform

import tensorflow as tf


def strategy_for(devices):
    """The distribution strategy for a number of devices.

    Args:
        devices: number of GPUs; on a machine without a GPU, of logical CPU devices.

    Returns:
        `(strategy, words)`: a `tf.distribute.Strategy`, and which devices they are in words.

    Raises:
        ValueError: when the machine has GPUs, but not that many.
        RuntimeError: when more CPU devices are asked for than TensorFlow was started with in this process.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if devices > len(gpus):
            raise ValueError(f"`devices` must be at most {len(gpus)}, the GPUs here. Received: devices={devices}")
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus[:devices]]
        if devices == 1:
            return tf.distribute.get_strategy(), f"GPU: {names[0]}"
        return tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(devices)]), f"GPUs: {', '.join(names)}"
    words = f"{processor()}, {os.cpu_count()} cores"
    if devices == 1:
        return tf.distribute.get_strategy(), f"CPU: {words}"
    split_cpu(devices)
    names = [f"CPU:{i}" for i in range(devices)]
    return tf.distribute.MirroredStrategy(names), f"no GPU, so {devices} logical devices of the CPU: {words}"


def split_cpu(devices):
    """Makes `devices` logical devices of the CPU; possible only before TensorFlow is first used in a process."""
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


def processor():
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
