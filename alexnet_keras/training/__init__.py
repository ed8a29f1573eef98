"""The paper's training rule and the loop around it."""

from alexnet_keras.training.config import TRAINING_PRESETS, TrainingConfig, training_config
from alexnet_keras.training.optimizer import AlexNetSGD

__all__ = ["TRAINING_PRESETS", "AlexNetSGD", "TrainingConfig", "training_config"]
