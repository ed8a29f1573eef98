import dataclasses

import pytest

from alexnet_keras.models.alexnet_config import alexnet_config
from experiments import relu_vs_tanh, relu_vs_tanh_settings
from experiments.framework.experiment import run_key

CHANGES = {
    "all three settings": {"stages", "conv1_kernel_stddev", "bias_learning_rate"},
    "conv1 at 0.0001": {"conv1_kernel_stddev"},
    "average pools": {"stages"},
    "bias rate doubled": {"bias_learning_rate"},
}


def flat(config):
    key = run_key(config)
    network = key.pop("network")
    return {**key, **network}


@pytest.mark.parametrize("nonlinearity", ["ReLU", "tanh"])
@pytest.mark.parametrize("group", CHANGES)
def test_a_group_switches_on_only_the_named_settings(nonlinearity, group):
    start = "Gaussian 0.01, pixels 0-255"
    one = flat(relu_vs_tanh.EXPERIMENT.config(f"{nonlinearity}, {start}"))
    other = flat(relu_vs_tanh_settings.EXPERIMENT.config(f"{nonlinearity}, {group}"))
    changed = {field for field in one if one[field] != other[field]}
    assert changed == {"epochs", *CHANGES[group]}  # both are limits, as a run ends at the target


def test_the_groups_are_whole():
    variants = relu_vs_tanh_settings.EXPERIMENT.variants
    assert list(variants) == [f"{name}, {group}" for group in CHANGES for name in ("ReLU", "tanh")]


def test_all_settings_together_give_the_network_of_the_published_file():
    network = relu_vs_tanh_settings.EXPERIMENT.config("ReLU, all three settings").network
    published = alexnet_config("cifar_19pct")  # with unused sizes of a normalization
    assert not (network.normalization or published.normalization)

    def without_normalization(stage):
        return [part for part in stage if "normalization" not in part]

    for stage, expected in zip(network.stages, published.stages, strict=True):
        assert without_normalization(stage) == without_normalization(expected)
    for field in dataclasses.fields(network):
        if field.name != "stages" and not field.name.startswith("spatial_normalization"):
            assert getattr(network, field.name) == getattr(published, field.name), field.name
