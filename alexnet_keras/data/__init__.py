"""Data sets, prepared and augmented as in the paper.

`Dataset` and `load` need TensorFlow and TensorFlow Datasets. `InMemoryDataset` needs only JAX or
PyTorch.
"""

from typing import TYPE_CHECKING

from alexnet_keras.data.info import DatasetInfo
from alexnet_keras.data.options import ImagePreparation, ImageSelection
from alexnet_keras.extras import extra

if TYPE_CHECKING:
    from alexnet_keras.data.in_memory import InMemoryDataset
    from alexnet_keras.data.loader import Dataset, load

__all__ = [
    "Dataset",
    "DatasetInfo",
    "ImagePreparation",
    "ImageSelection",
    "InMemoryDataset",
    "load",
]


def __getattr__(name):
    if name in ("Dataset", "load"):
        with extra("reading TFDS data sets, image folders and .npz files"):
            from alexnet_keras.data import loader as module
    elif name == "InMemoryDataset":
        from alexnet_keras.data import in_memory as module
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)
