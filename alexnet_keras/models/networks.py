"""All networks by name: AlexNet's presets, and VGG's configurations with the prefix "vgg_"."""

import keras

from alexnet_keras.models.alexnet import AlexNet
from alexnet_keras.models.alexnet_config import PRESETS, AlexNetConfig, alexnet_config
from alexnet_keras.models.vgg import VGG
from alexnet_keras.models.vgg_config import VGG_PRESETS, VGGConfig, vgg_config

_VGG = "vgg_"
NETWORKS = (*PRESETS, *(_VGG + letter for letter in VGG_PRESETS))


def network_config(name: str, **overrides) -> AlexNetConfig | VGGConfig:
    """Returns the configuration of a network.

    Args:
        name: one of `NETWORKS`.
        **overrides: fields of the configuration that replace the preset's.

    Raises:
        ValueError: for an unknown name or field, or a value that no network can have.
    """
    if name.startswith(_VGG):
        return vgg_config(name.removeprefix(_VGG), **overrides)
    return alexnet_config(name, **overrides)


def build_network(config: AlexNetConfig | VGGConfig, **kwargs) -> keras.Model:
    """Returns the model of a configuration; other arguments as for `AlexNet` and `VGG`."""
    if isinstance(config, VGGConfig):
        return VGG(config, **kwargs)
    return AlexNet(config, **kwargs)
