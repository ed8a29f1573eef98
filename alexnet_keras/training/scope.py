"""Devices, hosts, precision and seed of a training."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras

from alexnet_keras.distributed.devices import has_accelerator, parse_devices, scope_for
from alexnet_keras.distributed.hosts import process_count, raise_on_host_failure
from alexnet_keras.environment import has_bfloat16_arithmetic

if TYPE_CHECKING:
    from alexnet_keras.training.config import TrainingConfig


class TrainingScope:
    """Devices, precision and seed of a training.

    Args:
        config: `TrainingConfig`.

    Attributes:
        devices: description of the devices.

    Raises:
        ValueError: for missing devices, or devices that do not divide the batch.
        RuntimeError: if the backend already runs in this process with fewer CPU devices.
    """

    def __init__(self, config: "TrainingConfig"):
        self._scope, self.devices = scope_for(config.devices)
        self._precision = config.precision
        self._seed = config.seed
        replicas = process_count() * parse_devices(config.devices).count
        if config.batch_size % replicas:
            raise ValueError(
                f"`batch_size` must be a multiple of the {replicas} devices of all hosts "
                f"together. Received: batch_size={config.batch_size}"
            )

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Context in which models are built and trained on the devices."""
        before = keras.config.dtype_policy()
        keras.utils.set_random_seed(self._seed)
        keras.config.set_dtype_policy(self._precision)
        try:
            with self._scope, raise_on_host_failure():
                yield
        finally:
            keras.config.set_dtype_policy(before)

    @property
    def precision(self) -> str:
        """Description of the precision, with a warning where it is emulated."""
        if self._precision == "float32" or has_accelerator() or has_bfloat16_arithmetic():
            return self._precision
        return (
            f"{self._precision} (this processor has no bfloat16 arithmetic: float32 is faster and "
            "more exact)"
        )
