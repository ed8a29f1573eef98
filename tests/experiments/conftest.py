import dataclasses

import pytest

from alexnet_keras import AlexNet


def tiny_model(**overrides):
    """A network of four classes for crops of 28 pixels."""
    return AlexNet(
        "cifar",
        **{
            "classes": 4,
            "filters": (8,) * 6,
            "units": (16, 16),
            "input_shape": (28, 28, 3),
            **overrides,
        },
    )


def narrow(experiment):
    """Returns an experiment whose networks have few kernels and units, and are fast to build."""
    network = experiment.config(next(iter(experiment.variants))).network
    overrides = {
        **experiment.base.get("overrides", {}),
        "filters": (8,) * len(network.filters),
        "units": (8,) * len(network.units),
    }
    return dataclasses.replace(experiment, base={**experiment.base, "overrides": overrides})


def save_as_trained(model, folder):
    """Saves a network as its training would; returns the path."""
    folder.mkdir(parents=True)
    model.save(folder / "best.keras")
    return str(folder / "best.keras")


@pytest.fixture
def weights(tmp_path):
    return save_as_trained(tiny_model(), tmp_path / "run")
