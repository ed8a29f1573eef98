import math

import pytest

from alexnet_keras.training.config import TrainingConfig

BAD = {
    "config": ["alexnet", None],
    "schedule": ["step"],
    "precision": ["float16"],
    "colour_noise": ["some"],
    "mean": ["grey"],
    **{
        name: [0, -1, 1.5, "3", None]
        for name in ("epochs", "batch_size", "patience", "image_size", "crop_size", "validation_freq")
    },
    **{
        name: [-0.1, math.inf, math.nan, "0.1", None]
        for name in ("learning_rate", "weight_decay", "decoupled_weight_decay", "checkpoint_minutes")
    },
    "bias_learning_rate": [-0.1, math.inf, "0.1"],
    "momentum": [-0.1, 1, 1.5],
    "seed": [-1, 2**31, 0.5],
    "drops": [(-0.1,), (0.5, 1.1)],
    "late_changes": [(0.5,), (0.1, 0.2, 0.3), (0.5, 1.1)],
    "layer_learning_rates": [{"conv1": -1}, {"conv1": True}, {"conv1": "0"}, {"conv1": 1, "conv2": math.inf}],
    "views": [(), (2,), (1, "sparse")],
    "devices": [0, "2", ("GPU:0", "CPU:0")],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_named(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must .*Received: {name}="):
        TrainingConfig(**{name: value})


def test_values_are_stored_in_one_form():
    # As JSON and the command line give them.
    config = TrainingConfig(
        learning_rate=1,
        drops=[0.5],
        late_changes=[0, 1],
        views=[10],
        only_classes=[3, 1],
        initial_layers=["conv1"],
        initial_weights="x.keras",
        devices=["2"],
        seed=2**31 - 1,
        momentum=0,
    )
    assert isinstance(config.learning_rate, float)
    assert (config.drops, config.late_changes, config.views) == ((0.5,), (0, 1), (10,))
    assert (config.only_classes, config.initial_layers, config.devices) == ((3, 1), ("conv1",), 2)
    assert TrainingConfig(bias_learning_rate=None).bias_learning_rate is None


@pytest.mark.parametrize(
    "options",
    [
        {"initial_layers": ("conv1",)},
        {"scales": (256, 512), "mean": "colour", "crops": False},
        {"scales": (256, 512)},
        {"crop_size": 300},
        {"late_changes": (0.5, 0.6), "config": "vgg_D"},
        {"in_memory": True},
        {"validation_freq": 2},
        {"devices": 3},
    ],
)
def test_fields_that_do_not_fit_together_are_named(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f"`{name}` .*Received: .*{name}=|`in_memory` needs an .npz"):
        TrainingConfig(**options)
