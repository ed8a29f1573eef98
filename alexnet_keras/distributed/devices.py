"""Devices of this machine: their names, and the scope in which a training uses them."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Sequence

import keras

from alexnet_keras.checks import is_whole_number
from alexnet_keras.distributed.hosts import process_count, process_index, require_jax
from alexnet_keras.environment import processor

_NAME = re.compile(r"(GPU|CPU):(\d+)")


@dataclasses.dataclass(frozen=True)
class DeviceRequest:
    """Devices of each host that share every batch.

    Args:
        indices: number of each device among the devices of its kind.
        kind: `"GPU"` or `"CPU"`; `None` for GPUs or, on a machine without a GPU, logical CPU
            devices.
    """

    indices: tuple[int, ...]
    kind: str | None = None

    @property
    def count(self) -> int:
        """Number of devices of each host."""
        return len(self.indices)

    @property
    def option(self) -> int | tuple[str, ...]:
        """The request as a configuration stores it: a number, or names."""
        return (
            self.count
            if self.kind is None
            else tuple(f"{self.kind}:{index}" for index in self.indices)
        )


def parse_devices(devices: int | Sequence) -> DeviceRequest:
    """Parses the option `devices` of a training.

    Args:
        devices: number of devices, or the names of different devices of one kind, such as
            `("GPU:0", "GPU:2")`. A command line gives a number as a list of one string.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(devices, (tuple, list)) and len(devices) == 1 and str(devices[0]).isdecimal():
        devices = int(devices[0])
    if is_whole_number(devices):
        return DeviceRequest(tuple(range(devices)))
    names = devices if isinstance(devices, (tuple, list)) else ()
    texts = [name for name in names if isinstance(name, str)]
    found = [match for match in map(_NAME.fullmatch, texts) if match]
    if found and len(found) == len(names):
        kinds = {match[1] for match in found}
        indices = tuple(int(match[2]) for match in found)
        if len(kinds) == 1 and len(set(indices)) == len(indices):
            return DeviceRequest(indices, *kinds)
    raise ValueError(
        "`devices` must be a positive whole number, or different names of one kind, such as "
        f"GPU:0 GPU:2. Received: devices={devices!r}"
    )


def has_accelerator() -> bool:
    """Returns whether the backend has another device than CPUs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Keras' list would start TensorFlow's devices, and `split_cpu` would then fail.
        return any(device.device_type != "CPU" for device in tf.config.get_visible_devices())
    if keras.backend.backend() == "torch":
        return _torch_device().type != "cpu"
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


def replica_count() -> int:
    """Returns the number of devices that share each batch."""
    distribution = keras.distribution.distribution()
    if distribution is not None:
        return distribution.device_mesh.shape[0]
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def needs_full_batches() -> bool:
    """Returns whether all batches must have one size.

    JAX compiles for each size, and replicas share each batch.
    """
    return keras.backend.backend() == "jax" or replica_count() > 1


def scope_for(devices: int | Sequence) -> tuple[contextlib.AbstractContextManager, str]:
    """Returns the scope in which a training uses devices, and a description of the devices.

    Args:
        devices: number of devices, or their names; see `parse_devices`.

    Returns:
        `(scope, description)`. `scope`: a context manager in which a
        `tf.distribute.MirroredStrategy` or, on JAX, a `keras.distribution.DataParallel` divides
        each batch over these devices of all hosts. PyTorch trains on one device. `description`: one
        line of text.

    Raises:
        ValueError: if the machine does not have these GPUs, for several devices on PyTorch, or for
            a backend that cannot train.
        RuntimeError: if the backend already runs in this process with fewer CPU devices.
    """
    request = parse_devices(devices)
    if keras.backend.backend() == "jax":
        return _scope_on_jax(request)
    if keras.backend.backend() == "torch":
        return _scope_on_torch(request)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Training runs on the tensorflow, jax and torch backends. Received: "
            f"{keras.backend.backend()}"
        )
    return _scope_on_tensorflow(request)


def _scope_on_tensorflow(request):
    import tensorflow as tf

    gpus = _gpu_of_each_logical_device()
    kind = request.kind or ("GPU" if gpus else "CPU")
    if kind == "GPU" and max(request.indices) >= len(gpus):
        raise _unknown_gpus(_names("GPU", len(gpus)), request)
    if kind == "GPU":
        details = [
            tf.config.experimental.get_device_details(gpus[index]) for index in request.indices
        ]
        names = [detail.get("device_name", "GPU") for detail in details]
        description = f"GPU{'s' * (request.count > 1)}: {', '.join(names)}"
    else:
        description = _describe_cpu(request.count, is_fallback=not gpus and request.kind is None)
        if max(request.indices) > 0:
            split_cpu(max(request.indices) + 1)
    is_default = request.indices == (0,) and kind == ("GPU" if gpus else "CPU")
    if is_default:
        return contextlib.nullcontext(), description
    return tf.distribute.MirroredStrategy(
        [f"{kind}:{index}" for index in request.indices]
    ).scope(), description


def _gpu_of_each_logical_device():
    """Returns the GPUs; one that `tf.config` has divided stands there once for each part."""
    import tensorflow as tf

    gpus = []
    for gpu in tf.config.list_physical_devices("GPU"):
        parts = tf.config.get_logical_device_configuration(gpu) or [None]
        gpus += [gpu] * len(parts)
    return gpus


def split_cpu(devices: int) -> None:
    """Makes logical CPU devices, before TensorFlow first uses its devices in a process."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    have = tf.config.get_logical_device_configuration(cpu)
    if have is None or len(have) < devices:
        try:
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration()] * devices
            )
        except RuntimeError as error:
            raise RuntimeError(
                "`devices`: TensorFlow is already running in this process with "
                f"{len(have or [0])} CPU device(s), and cannot change to {devices}; ask for them "
                "first thing in a new process"
            ) from error


def _scope_on_jax(request):
    import jax

    distribution = data_parallel(request.option)
    mesh = distribution.device_mesh.devices.flatten()
    kind = mesh[0].partition(":")[0]
    if kind == "cpu":
        is_fallback = jax.default_backend() == "cpu" and request.kind is None
        description = _describe_cpu(request.count, is_fallback=is_fallback)
    else:
        description = f"{request.count} x {jax.local_devices(backend=kind)[0].device_kind}"
    if process_count() > 1:
        description = f"{process_count()} hosts, this one, {process_index()}, with {description}"
    is_default = process_count() == 1 and request == DeviceRequest((0,))
    return contextlib.nullcontext() if is_default else distribution.scope(), description


def _scope_on_torch(request):
    import torch

    if request.count > 1:
        raise ValueError(
            "`devices` must be one device on the torch backend; tensorflow and jax train on "
            f"several. Received: devices={request.option}"
        )
    index = request.indices[0]
    gpus = torch.cuda.device_count()
    if request.kind == "GPU" and index >= gpus:
        raise _unknown_gpus(_names("GPU", gpus), request)
    if request.kind == "CPU" and index > 0:
        raise ValueError(
            "`devices` must be CPU:0, PyTorch's only CPU device. Received: "
            f"devices={request.option}"
        )
    if request.kind is None:
        scope = contextlib.nullcontext()
        device = _torch_device()
    else:
        name = f"{request.kind.lower()}:{index}"
        scope = keras.device(name)
        device = torch.device(name.replace("gpu", "cuda"))
    if device.type == "cuda":
        return scope, f"GPU: {torch.cuda.get_device_name(device)}"
    return scope, _describe_cpu(1, is_fallback=False) if device.type == "cpu" else device.type


def _torch_device():
    """Returns the `torch.device` on which Keras makes tensors."""
    return keras.ops.zeros(()).device  # pyright: ignore[reportAttributeAccessIssue]


def data_parallel(devices: int | Sequence = 1) -> keras.distribution.DataParallel:
    """Returns the distribution under which devices of each host share every batch. JAX only.

    Args:
        devices: number of devices of each host, or their names; see `parse_devices`.

    Returns:
        A `keras.distribution.DataParallel` for batches of which every host reads its own part.

    Raises:
        RuntimeError: on another backend than JAX, or if JAX already runs with fewer CPU devices.
        ValueError: if a host does not have these devices.
    """
    require_jax("Devices of several hosts")
    import jax

    request = parse_devices(devices)
    if request.kind != "GPU":
        with contextlib.suppress(RuntimeError):  # JAX already runs, maybe with enough devices
            jax.config.update("jax_num_cpu_devices", max(request.indices) + 1)
    kind = request.kind and request.kind.lower()
    if kind not in (None, "cpu", jax.default_backend()):
        raise _unknown_gpus("none", request)
    chosen = []
    for process in range(process_count()):
        local = jax.local_devices(process_index=process, backend=kind)
        _check_local_devices(local, request)
        chosen += [f"{local[index].platform}:{local[index].id}" for index in request.indices]
    return keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)


def _check_local_devices(local, request):
    if max(request.indices) < len(local):
        return
    names = _names(local[0].platform.upper(), len(local))
    if local[0].platform == "cpu":
        raise RuntimeError(
            f"`devices`: JAX is already running in this process with {names}; ask for more first "
            "thing in a new process"
        )
    raise _unknown_gpus(names, request)


def _names(kind, count):
    return ", ".join(f"{kind}:{index}" for index in range(count)) or "none"


def _unknown_gpus(names, request):
    return ValueError(
        f"`devices` must be among the GPUs here: {names}. Received: devices={request.option}"
    )


def _describe_cpu(devices, is_fallback):
    name = f"{processor()}, {os.cpu_count()} cores"
    if devices == 1:
        return f"CPU: {name}"
    return f"{'no GPU, so ' * is_fallback}{devices} logical devices of the CPU: {name}"
