"""The paper's training rule and the loop around it.

`AlexNetSGD` is imported at its first use, so that a command reads the options of `TrainingConfig`
without Keras.
"""

from typing import TYPE_CHECKING

from alexnet_keras.training.config import TRAINING_PRESETS, TrainingConfig, training_config

if TYPE_CHECKING:
    from alexnet_keras.training.optimizer import AlexNetSGD

__all__ = ["TRAINING_PRESETS", "AlexNetSGD", "TrainingConfig", "training_config"]


def __getattr__(name):
    if name != "AlexNetSGD":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from alexnet_keras.training.optimizer import AlexNetSGD

    return AlexNetSGD
