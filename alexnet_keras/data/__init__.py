"""Data sets, prepared and augmented as the paper does it.

`Dataset` and `load` need TensorFlow and TensorFlow Datasets; `InMemoryDataset` needs JAX, and neither of them.
"""

from alexnet_keras.data.info import DatasetInfo

__all__ = ["Dataset", "DatasetInfo", "InMemoryDataset", "load"]


def __getattr__(name):
    if name in ("Dataset", "load"):
        from alexnet_keras.data import loader as module
    elif name == "InMemoryDataset":
        from alexnet_keras.data import in_memory as module
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)
