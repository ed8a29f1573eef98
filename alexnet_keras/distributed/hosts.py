"""Hosts that share each batch: joining, waiting and failing together. JAX only."""

import contextlib
import os
from collections.abc import Iterator, Sequence

import keras
import numpy as np

_SIGNS_OF_LOSS = ("Gloo", "NCCL", "UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED")
_HEARTBEAT = 30  # seconds until a silent host is lost, less than JAX' default


def join_hosts(addresses: Sequence[str] | None = None, host: int | None = None) -> None:
    """Makes this process one host of a training on several, with JAX' distributed runtime.

    Every host calls it with the same addresses before its first computation. `train_and_evaluate`
    then shares each batch among the hosts, and among the configured devices of each host.

    Args:
        addresses: `"NAME:PORT"` of each host, the coordinating one first. `None` reads the
            environment: Keras' variables KERAS_DISTRIBUTION_JOB_ADDRESSES,
            KERAS_DISTRIBUTION_NUM_PROCESSES and KERAS_DISTRIBUTION_PROCESS_ID, or else the
            variables of Slurm, Open MPI, Kubernetes or a TPU pod.
        host: index of this host among the addresses; `None` with `addresses=None`.

    Raises:
        RuntimeError: on another backend than JAX, or after the first computation.
        ValueError: for invalid addresses or index, or none in the environment.
    """
    require_jax("Several hosts")
    import jax

    count = None
    if addresses is None and host is not None:
        raise ValueError(f"`host` needs `addresses`. Received: host={host}, addresses=None")
    if addresses is None:
        addresses = [
            name
            for name in os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES", "").split(",")
            if name
        ]
        count, host = (
            int(os.environ[name]) if name in os.environ else None
            for name in ("KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID")
        )
        if not addresses:
            jax.distributed.initialize(heartbeat_timeout_seconds=_HEARTBEAT)
            return  # under Slurm and Open MPI, JAX gives one GPU to a process
    count = count or len(addresses)
    port = addresses[0].rpartition(":")[2] if addresses else ""
    if not port.isdecimal() or count < 2 or len(addresses) not in (1, count):
        raise ValueError(
            "`addresses` (--hosts) must be NAME:PORT of two hosts or more. "
            f"Received: addresses={addresses}"
        )
    if host is None or not 0 <= host < count:
        raise ValueError(
            f"`host` must be this host's index, 0 to {count - 1}. Received: host={host}"
        )
    jax.distributed.initialize(
        addresses[0],
        count,
        host,
        cluster_detection_method="deactivate",
        heartbeat_timeout_seconds=_HEARTBEAT,
    )


def process_index() -> int:
    """Returns the index of this host, from 0."""
    if not _has_joined():
        return 0
    import jax

    return jax.process_index()


def process_count() -> int:
    """Returns the number of hosts."""
    if not _has_joined():
        return 1
    import jax

    return jax.process_count()


def _has_joined():
    """Whether `join_hosts` was called.

    JAX' process index would start its devices, and `scope_for` could then not split the CPU.
    """
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.distributed.is_initialized()


def is_same_on_all_hosts(numbers: int | Sequence[int]) -> bool:
    """Returns whether all hosts call this with the same numbers. Waits for all hosts.

    Args:
        numbers: whole number, or a sequence of them; of the same length on all hosts.
    """
    if process_count() == 1:
        return True
    from jax.experimental import multihost_utils

    gathered = multihost_utils.process_allgather(np.asarray(numbers, "int32"))
    return bool((gathered == gathered[0]).all())


def barrier() -> None:
    """Waits until all hosts have called this."""
    is_same_on_all_hosts(())


@contextlib.contextmanager
def main_process_first() -> Iterator[None]:
    """Context that the first host leaves before the other hosts enter it.

    Every host leaves it after all of them have succeeded.

    Raises:
        ConnectionError: if its body has failed on another host.
    """
    is_main = process_index() == 0
    if not is_main:
        _check_no_host_failed()
    try:
        yield
    except BaseException:
        # The other hosts may be lost, but this error comes first.
        with contextlib.suppress(Exception):
            is_same_on_all_hosts(1)
        raise
    if is_main:
        _check_no_host_failed()  # lets the other hosts enter
    _check_no_host_failed()


def _check_no_host_failed():
    """Waits for all hosts, and raises a `ConnectionError` if one of them reports an error."""
    if not is_same_on_all_hosts(0):
        raise ConnectionError(
            f"Host {process_index()} of {process_count()} ends, as another host has failed. See "
            "the error of that host"
        )


def print_once(text: str) -> None:
    """Prints a text on the first host only."""
    if process_index() == 0:
        print(text, flush=True)


@contextlib.contextmanager
def no_distribution() -> Iterator[None]:
    """Context without a distribution, so that one host can act. Variables keep their values."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


@contextlib.contextmanager
def raise_on_host_failure() -> Iterator[None]:
    """Context that converts JAX' errors about a lost host to a `ConnectionError`."""
    if process_count() == 1:
        yield
        return
    from jax.errors import JaxRuntimeError

    try:
        yield
    except (JaxRuntimeError, ValueError) as error:
        if not any(sign in str(error) for sign in _SIGNS_OF_LOSS):
            raise
        raise ConnectionError(
            f"Host {process_index()} of {process_count()} has lost another host, and ends too. "
            "Start all hosts again with the same command to resume from the last checkpoint. "
            f"{str(error).splitlines()[0]}"
        ) from error


def require_jax(feature: str) -> None:
    """Raises a `RuntimeError` on another backend than JAX.

    Args:
        feature: plural subject of the message, such as `"Several hosts"`.
    """
    if keras.backend.backend() != "jax":
        raise RuntimeError(
            f"{feature} need the JAX backend: set the environment variable KERAS_BACKEND=jax "
            f"before keras is imported. This is {keras.backend.backend()}"
        )
