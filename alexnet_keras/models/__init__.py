"""The networks. They use `keras.ops` only."""

from alexnet_keras.models.alexnet import AlexNet
from alexnet_keras.models.alexnet_config import PRESETS, AlexNetConfig, alexnet_config
from alexnet_keras.models.fingerprint import fingerprint
from alexnet_keras.models.saved import load_model

__all__ = ["PRESETS", "AlexNet", "AlexNetConfig", "alexnet_config", "fingerprint", "load_model"]
