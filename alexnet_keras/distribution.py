"""Several hosts that share each batch; one tower on each of two devices, as in the paper. JAX only."""

import contextlib
import os

import keras
import numpy as np

_SIGNS_OF_LOSS = ("Gloo", "NCCL", "UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED")
_HEARTBEAT = 30  # seconds; JAX itself takes 100 to find a host lost that does not answer


def join_hosts(addresses=None, host=None):
    """Makes this process one host of a training on several, by JAX' own distributed runtime.

    Every host calls it, with the same addresses, before anything is computed; `train_and_evaluate` then shares each
    batch among them, and on each among so many devices as the configuration says.

    Args:
        addresses: `"NAME:PORT"` of each host, the first being the one that all others meet at; `None` to take it from
            the environment: Keras' variables KERAS_DISTRIBUTION_JOB_ADDRESSES, KERAS_DISTRIBUTION_NUM_PROCESSES and
            KERAS_DISTRIBUTION_PROCESS_ID or, without them, those of Slurm, Open MPI, Kubernetes or a TPU pod.
        host: number of this host among the addresses, from 0; `None` with `addresses=None`.

    Raises:
        RuntimeError: on another backend than JAX, or when something has been computed already.
        ValueError: for addresses or a number that do not fit, or none in the environment.
    """
    _check_jax("Several hosts")
    import jax

    count = None
    if addresses is None:
        addresses = [name for name in os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES", "").split(",") if name]
        count, host = (
            int(os.environ[name]) if name in os.environ else None
            for name in ("KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID")
        )
        if not addresses:
            jax.distributed.initialize(heartbeat_timeout_seconds=_HEARTBEAT)
            return  # under Slurm and Open MPI with one GPU a process, by JAX' choice
    count = count or len(addresses)
    port = addresses[0].rpartition(":")[2] if addresses else ""
    if not port.isdecimal() or count < 2 or len(addresses) not in (1, count):
        raise ValueError(f"`hosts` must be NAME:PORT of two hosts or more. Received: hosts={addresses}")
    if host is None or not 0 <= host < count:
        raise ValueError(f"`host` must be this host's number, 0 to {count - 1}. Received: host={host}")
    jax.distributed.initialize(
        addresses[0], count, host, cluster_detection_method="deactivate", heartbeat_timeout_seconds=_HEARTBEAT
    )


def hosts():
    """`(number, count)`: which host this process is, and of how many; `(0, 1)` where there is one alone."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def data_parallel(devices=1):
    """The distribution under which devices of each host share every batch.

    Args:
        devices: number of GPUs of each host (on machines without a GPU, of logical CPU devices), or their names, such
            as `("GPU:0", "GPU:2")`.

    Returns:
        A `keras.distribution.DataParallel` for batches of which every host reads its own part.

    Raises:
        RuntimeError: on another backend than JAX, or when it was started with fewer CPU devices in this process.
        ValueError: when a host has not these devices.
    """
    _check_jax("Devices of several hosts")
    import jax

    names = None if isinstance(devices, int) else [name.lower() for name in devices]
    indices = range(devices) if names is None else [int(name[4:]) for name in names]
    if names is None or names[0].startswith("cpu"):
        with contextlib.suppress(RuntimeError):  # JAX runs already, maybe with enough of them
            jax.config.update("jax_num_cpu_devices", max(indices) + 1)
    kind = None if names is None else names[0][:3]
    if kind not in (None, "cpu", jax.default_backend()):
        raise ValueError(f"`devices` must be among the GPUs here: none. Received: devices={devices}")
    chosen = []
    for process in range(jax.process_count()):
        here = jax.local_devices(process_index=process, backend=kind)
        if max(indices) >= len(here):
            if here[0].platform == "cpu":
                raise RuntimeError(
                    f"`devices`: JAX is already running in this process with {_words(here)}; ask for more first thing "
                    "in a new process"
                )
            raise ValueError(f"`devices` must be among the GPUs here: {_words(here)}. Received: devices={devices}")
        chosen += [f"{here[index].platform}:{here[index].id}" for index in indices]
    return keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)


def same_on_all_hosts(numbers):
    """Whether all hosts call this with the same numbers; it waits for all of them."""
    if hosts()[1] == 1:
        return True
    from jax.experimental import multihost_utils

    there = multihost_utils.process_allgather(np.asarray(numbers, "int32"))
    return bool((there == there[0]).all())


@contextlib.contextmanager
def one_host_first():
    """In here the first host goes ahead, and the others follow when it has left."""
    first = hosts()[0] == 0
    if not first:
        same_on_all_hosts(())
    yield
    if first:
        same_on_all_hosts(())


@contextlib.contextmanager
def this_host_alone():
    """In here nothing is distributed, so that one host may do what the others do not; variables keep their values."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


@contextlib.contextmanager
def losing_no_host():
    """In here what JAX raises when another host of the training is lost becomes a `ConnectionError` that says so."""
    number, count = hosts()
    if count == 1:
        yield
        return
    from jax.errors import JaxRuntimeError

    try:
        yield
    except (JaxRuntimeError, ValueError) as error:
        if not any(sign in str(error) for sign in _SIGNS_OF_LOSS):
            raise
        raise ConnectionError(
            f"Host {number} of {count} has lost another host, and ends too. Start all of them again with the same "
            f"command; the training goes on from its last checkpoint. {str(error).splitlines()[0]}"
        ) from error


def _words(devices):
    return ", ".join(f"{device.platform.upper()}:{index}" for index, device in enumerate(devices))


def _check_jax(what):
    if keras.backend.backend() != "jax":
        raise RuntimeError(
            f"{what} need the JAX backend: set the environment variable KERAS_BACKEND=jax before keras is imported. "
            f"This is {keras.backend.backend()}"
        )


def two_towers(devices=None):
    """The distribution of figure 2: each device holds the kernels of one tower and computes its feature maps.

    The kernels of every conv layer and the units of fc6 and fc7 lie one half on each device, with the momentum that
    belongs to them. Feature maps stay on the device of their tower; they cross where the paper lets them: into conv3,
    fc6, fc7 and fc8. Output and training are those of one device. With it, `GroupedConv2D` and
    `LocalResponseNormalization` compute in a form that XLA can split by tower.

    Args:
        devices: names of two devices, of `keras.distribution.list_devices()`; by default the first two.

    Returns:
        A `keras.distribution.ModelParallel`. `keras.distribution.set_distribution` makes it that of all models that are
        built from then on.

    Raises:
        RuntimeError: on another backend than JAX.
        ValueError: when there are not two devices, or not these.

    Example:

    >>> keras.distribution.set_distribution(two_towers())  # doctest: +SKIP
    >>> model = AlexNet()  # doctest: +SKIP

    Reference: section 3.5 and figure 2 of Krizhevsky et al. (2012).
    """
    _check_jax("Towers on two devices")
    here = keras.distribution.list_devices()
    chosen = here[:2] if devices is None else list(devices)
    if len(set(chosen)) != 2 or not set(chosen) <= set(here):
        raise ValueError(f"`devices` must be two of {', '.join(here)}. Received: devices={devices}")
    mesh = keras.distribution.DeviceMesh((1, 2), ("batch", "towers"), chosen)
    layout = keras.distribution.LayoutMap(mesh)
    # Optimizers name their variables after the weights, with an underscore for the slash.
    layout[r"conv\d[/_]kernel"] = (None, None, None, "towers")
    layout[r"fc[67][/_]kernel"] = (None, "towers")
    layout[r"(conv\d|fc[67])[/_]bias"] = ("towers",)
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def is_split_by_tower():
    """Whether models are built for one tower a device."""
    distribution = keras.distribution.distribution()
    return (
        isinstance(distribution, keras.distribution.ModelParallel) and "towers" in distribution.device_mesh.axis_names
    )


def replica_count():
    """Number of devices that share each batch."""
    distribution = keras.distribution.distribution()
    if distribution is not None:
        return distribution.device_mesh.shape[0]
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def needs_full_batches():
    """Whether all batches must have one size: JAX compiles for it, and replicas share each batch."""
    return keras.backend.backend() == "jax" or replica_count() > 1


def has_accelerator():
    """Whether the backend has another device than CPUs here."""
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())
