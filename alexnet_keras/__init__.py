"""AlexNet in Keras 3, faithful to the paper of 2012 and to its source.

Importing the package registers its layers, optimizer and metrics with Keras, so that saved models load.
"""

import os

# TensorFlow leaves oneDNN's kernels unused on processors without AVX-512, where they are about twice as fast, too. It
# reads this when it is imported; a value that the user has set stays.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from alexnet_keras.evaluation.errors import TopKError
from alexnet_keras.layers import (
    BinaryUnits,
    CeilingAveragePooling2D,
    CeilingMaxPooling2D,
    FullyConnected,
    GroupedConv2D,
    LocallyConnected2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
)
from alexnet_keras.models import PRESETS, VGG, VGG_PRESETS, AlexNet, AlexNetConfig, VGGConfig
from alexnet_keras.ops import explain, implementation
from alexnet_keras.training.optimizer import AlexNetSGD
from alexnet_keras.version import __version__

__all__ = [
    "PRESETS",
    "VGG",
    "VGG_PRESETS",
    "AlexNet",
    "AlexNetConfig",
    "AlexNetSGD",
    "BinaryUnits",
    "CeilingAveragePooling2D",
    "CeilingMaxPooling2D",
    "FullyConnected",
    "GroupedConv2D",
    "LocalResponseNormalization",
    "LocallyConnected2D",
    "SpatialResponseNormalization",
    "TopKError",
    "VGGConfig",
    "__version__",
    "explain",
    "implementation",
]
