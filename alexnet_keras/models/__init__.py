"""The networks, in `keras.ops` only."""

from alexnet_keras.models.alexnet import AlexNet
from alexnet_keras.models.alexnet_config import PRESETS, AlexNetConfig, alexnet_config
from alexnet_keras.models.fingerprint import fingerprint
from alexnet_keras.models.networks import NETWORKS, build_network, network_config
from alexnet_keras.models.saved import load_model
from alexnet_keras.models.vgg import VGG
from alexnet_keras.models.vgg_config import VGG_PRESETS, VGGConfig, vgg_config

__all__ = [
    "NETWORKS",
    "PRESETS",
    "VGG",
    "VGG_PRESETS",
    "AlexNet",
    "AlexNetConfig",
    "VGGConfig",
    "alexnet_config",
    "build_network",
    "fingerprint",
    "load_model",
    "network_config",
    "vgg_config",
]
