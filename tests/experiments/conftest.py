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


def save_as_trained(model, folder):
    """Saves a network as its training would; returns the path."""
    folder.mkdir(parents=True)
    model.save(folder / "best.keras")
    return str(folder / "best.keras")


@pytest.fixture
def weights(tmp_path):
    return save_as_trained(tiny_model(), tmp_path / "run")
