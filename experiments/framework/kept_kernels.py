"""The kernels of conv1 that an experiment keeps: a file for each run, in its folder `kernels`.

They are needed to draw its pictures. The repository has the pictures only.
"""

import re
from pathlib import Path

import numpy as np

from alexnet_keras.analysis.snapshots import Snapshot, read_snapshots
from alexnet_keras.files import read_npz, replacing

_EPOCHS = 9  # snapshots of a run, evenly spaced, the first and the last among them


def kept_path(folder: Path, variant: str, learning_rate: float, seed: int) -> Path:
    """Returns the path of a run's file.

    Args:
        folder: folder of the experiment's results.
        variant: name of the variant.
        learning_rate: learning rate of the run.
        seed: seed of the run.
    """
    name = f"{file_name(variant)}_rate{learning_rate:g}_seed{seed}.npz"
    return folder / "kernels" / name


def file_name(variant: str) -> str:
    """Returns the name of a variant as a part of a file's name."""
    return re.sub(r"\W+", "_", variant)


def keep_kernels(snapshots: Path, path: Path) -> None:
    """Writes some of a training's snapshots into a file, in float16.

    Args:
        snapshots: the training's folder `snapshots`.
        path: path of the file.
    """
    read = read_snapshots(snapshots)
    chosen = np.unique(np.linspace(0, len(read) - 1, _EPOCHS).round().astype(int))
    with replacing(path) as partial:
        np.savez_compressed(
            partial,
            epochs=[read[index].epoch for index in chosen],
            kernels=np.stack([read[index].kernels for index in chosen]).astype("float16"),
        )


def read_kept(path: Path) -> list[Snapshot]:
    """Returns the snapshots of a run's file, with float32 kernels."""
    epochs, kernels = read_npz(path, "epochs", "kernels")
    return [
        Snapshot(int(epoch), "conv1", each)
        for epoch, each in zip(epochs, kernels.astype("float32"), strict=True)
    ]
