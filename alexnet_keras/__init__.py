"""AlexNet in Keras 3, faithful to the paper of 2012 and to its source.

Importing the package imports Keras and registers its layers, optimizer and metrics, so that saved
models load. The names below are imported here and not at their first use: otherwise
`import alexnet_keras, keras` would not register anything. `alexnet_command` parses the options of a
command before it runs this file.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING

# TensorFlow does not use oneDNN's kernels on processors without AVX-512, where they are faster too.
# It reads this when it is imported; a value of the user stays.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from alexnet_keras.extras import extra
from alexnet_keras.version import __version__

try:
    with extra("the backend of Keras (KERAS_BACKEND chooses it)"):
        import keras  # noqa: F401  first, so that its missing backend is reported

    from alexnet_keras.classifier import Classifier
    from alexnet_keras.evaluation.errors import TopKError
    from alexnet_keras.layers import (
        BinaryUnits,
        CeilingAveragePooling2D,
        CeilingMaxPooling2D,
        FullyConnected,
        GroupedConv2D,
        LocallyConnected2D,
        LocalResponseNormalization,
        Preparation,
        SpatialResponseNormalization,
    )
    from alexnet_keras.models import PRESETS, VGG, VGG_PRESETS, AlexNet, AlexNetConfig, VGGConfig
    from alexnet_keras.ops import implementation, print_implementations
    from alexnet_keras.training.optimizer import AlexNetSGD
except KeyboardInterrupt:
    # `python -m alexnet_keras.NAME` imports the package before the command can catch Ctrl-C.
    if sys.argv[0] != "-m":
        raise
    sys.stderr.write("\nStopped by Ctrl-C\n")
    sys.exit(130)

if TYPE_CHECKING:
    from alexnet_keras import explain


def __getattr__(name):
    if name != "explain":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("alexnet_keras.explain")


# Defined last: `alexnet_command` takes it as the sign that this file has run.
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
    "Classifier",
    "FullyConnected",
    "GroupedConv2D",
    "LocalResponseNormalization",
    "LocallyConnected2D",
    "Preparation",
    "SpatialResponseNormalization",
    "TopKError",
    "VGGConfig",
    "__version__",
    "explain",
    "implementation",
    "print_implementations",
]
