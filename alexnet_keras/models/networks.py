"""All networks by one name: AlexNet's presets, and VGG's configurations with "vgg_" ahead."""

from alexnet_keras.models.alexnet import AlexNet
from alexnet_keras.models.alexnet_config import PRESETS, alexnet_config
from alexnet_keras.models.vgg import VGG
from alexnet_keras.models.vgg_config import VGG_PRESETS, VGGConfig, vgg_config

_VGG = "vgg_"
NETWORKS = (*PRESETS, *(_VGG + letter for letter in VGG_PRESETS))


def network_config(name, **overrides):
    """The `AlexNetConfig` or `VGGConfig` of a network by its name, one of `NETWORKS`; raises as theirs do."""
    if name.startswith(_VGG):
        return vgg_config(name.removeprefix(_VGG), **overrides)
    return alexnet_config(name, **overrides)


def build_network(config, **kwargs):
    """The model of an `AlexNetConfig` or a `VGGConfig`; `kwargs` as for `AlexNet` and `VGG`."""
    return (VGG if isinstance(config, VGGConfig) else AlexNet)(config, **kwargs)
