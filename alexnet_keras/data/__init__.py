"""Data sets, prepared and augmented as in the paper.

`Dataset` and `load` need TensorFlow and TensorFlow Datasets. `InMemoryDataset` needs only JAX.
"""

from alexnet_keras.data.info import DatasetInfo
from alexnet_keras.data.options import ImagePreparation, ImageSelection

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
        from alexnet_keras.data import loader as module
    elif name == "InMemoryDataset":
        from alexnet_keras.data import in_memory as module
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)
