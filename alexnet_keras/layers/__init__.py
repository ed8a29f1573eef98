"""Keras layers of AlexNet that Keras lacks, or computes more slowly."""

from alexnet_keras.layers.binary_units import BinaryUnits
from alexnet_keras.layers.ceiling_average_pooling2d import CeilingAveragePooling2D
from alexnet_keras.layers.ceiling_max_pooling2d import CeilingMaxPooling2D
from alexnet_keras.layers.fully_connected import FullyConnected
from alexnet_keras.layers.grouped_conv2d import GroupedConv2D
from alexnet_keras.layers.local_response_normalization import LocalResponseNormalization
from alexnet_keras.layers.locally_connected2d import LocallyConnected2D
from alexnet_keras.layers.preparation import Preparation
from alexnet_keras.layers.spatial_response_normalization import SpatialResponseNormalization

__all__ = [
    "BinaryUnits",
    "CeilingAveragePooling2D",
    "CeilingMaxPooling2D",
    "FullyConnected",
    "GroupedConv2D",
    "LocalResponseNormalization",
    "LocallyConnected2D",
    "Preparation",
    "SpatialResponseNormalization",
]
