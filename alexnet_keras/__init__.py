"""AlexNet in Keras 3, faithful to the paper of 2012 and to its source.

Importing the package registers its layers, optimizer and metrics with Keras, so that saved models load.
"""

from alexnet_keras.evaluation.errors import TopKError
from alexnet_keras.layers import (
    CeilingMaxPooling2D,
    GroupedConv2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
)
from alexnet_keras.models import PRESETS, AlexNet, AlexNetConfig
from alexnet_keras.training.optimizer import AlexNetSGD
from alexnet_keras.version import __version__

__all__ = [
    "PRESETS",
    "AlexNet",
    "AlexNetConfig",
    "AlexNetSGD",
    "CeilingMaxPooling2D",
    "GroupedConv2D",
    "LocalResponseNormalization",
    "SpatialResponseNormalization",
    "TopKError",
    "__version__",
]
