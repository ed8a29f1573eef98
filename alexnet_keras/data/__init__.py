"""Data sets, prepared and augmented as the paper does it. Needs TensorFlow and TensorFlow Datasets."""

from alexnet_keras.data.loader import Dataset, DatasetInfo, load

__all__ = ["Dataset", "DatasetInfo", "load"]
