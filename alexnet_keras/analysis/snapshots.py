"""Snapshots of a layer's kernels, epoch by epoch."""

import dataclasses
import os
from typing import Any

import keras
import numpy as np

from alexnet_keras.analysis.kernels import layer_kernels
from alexnet_keras.files import expand_home, read_npz, replacing


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The kernels of a layer after some epochs.

    Args:
        epoch: number of epochs; 0 for the initial weights.
        layer: name of the layer.
        kernels: float32 `(towers, kernels of a tower, height, width, input maps)`.
    """

    epoch: int
    layer: str
    kernels: np.ndarray


class KernelSnapshots(keras.callbacks.Callback):
    """Writes the kernels of a layer before the first epoch and after each epoch.

    The files are `epoch-0000.npz` and so on. A resumed training writes the remaining epochs, and a
    repeated epoch again. It removes files of later epochs.

    Args:
        folder: folder of the files, made if it does not exist. Each training needs its own.
        layer: name of the convolution.

    Raises:
        ValueError: when training begins, if the model has no such layer.
    """

    def __init__(self, folder: str | os.PathLike, layer: str = "conv1"):
        super().__init__()
        self.folder = expand_home(folder)
        self.layer = layer

    def on_train_begin(self, logs: Any = None):
        layer_kernels(self.model, self.layer)

    def on_epoch_begin(self, epoch, logs: Any = None):
        if epoch == 0 and not self._path(0).exists():  # a resumed first epoch has its file
            self._write(0)
        for path in self.folder.glob("epoch-*.npz"):
            if path > self._path(epoch + 1):
                path.unlink()

    def on_epoch_end(self, epoch, logs: Any = None):
        self._write(epoch + 1)

    def _path(self, epoch):
        return self.folder / f"epoch-{epoch:04d}.npz"

    def _write(self, epoch):
        with replacing(self._path(epoch)) as partial:
            np.savez_compressed(
                partial,
                epoch=epoch,
                layer=self.layer,
                kernels=layer_kernels(self.model, self.layer),
            )


def read_snapshots(folder: str | os.PathLike) -> list[Snapshot]:
    """Reads the files of `KernelSnapshots`, in the order of their epochs.

    Args:
        folder: the folder of `KernelSnapshots`.

    Returns:
        List of `Snapshot`.

    Raises:
        ValueError: for a folder without snapshots or with a damaged one, or if the layers' names or
            shapes differ.
    """
    snapshots = []
    for path in sorted(expand_home(folder).glob("epoch-*.npz")):
        epoch, layer, kernels = read_npz(path, "epoch", "layer", "kernels")
        snapshots.append(Snapshot(int(epoch), str(layer), kernels))
    if not snapshots:
        raise ValueError(
            "`snapshots` must be a folder that KernelSnapshots wrote. Received: "
            f"snapshots={str(folder)!r}"
        )
    kinds = {(snapshot.layer, snapshot.kernels.shape) for snapshot in snapshots}
    if len(kinds) > 1:
        raise ValueError(
            f"`snapshots` must be of one network. Received: snapshots={str(folder)!r} with "
            f"{sorted(kinds)}"
        )
    return snapshots
