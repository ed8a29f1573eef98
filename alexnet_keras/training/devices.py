"""The devices that a training runs on. TensorFlow only."""

import os
import platform

import tensorflow as tf


def strategy_for(devices):
    """The distribution strategy for some devices.

    Args:
        devices: number of GPUs (on a machine without a GPU, of logical CPU devices), or the names of devices of one
            kind, such as `("GPU:0", "GPU:2")`.

    Returns:
        `(strategy, words)`: a `tf.distribute.Strategy`, and which devices they are in words.

    Raises:
        ValueError: when the machine has not these GPUs.
        RuntimeError: when more CPU devices are asked for than TensorFlow was started with in this process.
    """
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
        words = f"{processor()}, {os.cpu_count()} cores"
        words = f"{len(names)} logical devices of the CPU: {words}" if len(names) > 1 else f"CPU: {words}"
        words = words if gpus or len(names) == 1 else f"no GPU, so {words}"
        if max(indices) > 0:
            split_cpu(max(indices) + 1)
    if names == [f"{'GPU' if gpus else 'CPU'}:0"]:
        return tf.distribute.get_strategy(), words
    return tf.distribute.MirroredStrategy(names), words


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
