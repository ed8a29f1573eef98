"""Image retrieval: activations on disk, their binary codes, and the search in both."""

from alexnet_keras.retrieval.activations import Activations, write_activations
from alexnet_keras.retrieval.codes import encode, train_encoder
from alexnet_keras.retrieval.index import CodeIndex, nearest
from alexnet_keras.retrieval.precision import average_precision, precision_at

__all__ = [
    "Activations",
    "CodeIndex",
    "average_precision",
    "encode",
    "nearest",
    "precision_at",
    "train_encoder",
    "write_activations",
]
