import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from alexnet_keras.models import NETWORKS
from alexnet_keras.training.config import TRAINING_PRESETS, TrainingConfig, training_config

BAD = {
    "preset": ["alexnet", None],
    "schedule": ["drops"],
    "precision": ["float16"],
    "pca_noise": ["some"],
    "mean_subtraction": ["gray"],
    **{
        name: [0, -1, 1.5, "3", None]
        for name in (
            "epochs",
            "batch_size",
            "patience",
            "image_size",
            "crop_size",
            "validation_freq",
        )
    },
    **{
        name: [-0.1, math.inf, math.nan, "0.1", None]
        for name in (
            "learning_rate",
            "weight_decay",
            "decoupled_weight_decay",
            "checkpoint_minutes",
        )
    },
    "bias_learning_rate": [-0.1, math.inf, "0.1"],
    "momentum": [-0.1, 1, 1.5],
    "dataset": [1, None],
    "initial_weights": [1],
    "pretrained": [1],
    **{
        name: ["no", 0, None]
        for name in ("decay_biases", "random_crop", "skip_corrupt", "in_memory")
    },
    "seed": [-1, 2**31, 0.5],
    "lr_milestones": [(-0.1,), (0.5, 1.1), (0.6, 0.5), 0.5, None],
    "class_subset": [3, None],
    "initial_layers": ["conv1"],
    "memory_gib": [-1, math.nan, "2"],
    "overrides": [[1], "filters=8", {"input_shape": None}, {"input_shape": 5}],
    "scale_jitter": [256],
    "pca_noise_end": [-0.1, 1.1, "0.5", True],
    "conv1_milestones": [(0.5,), (0.1, 0.2, 0.3), (0.5, 1.1), (0.6, 0.5)],
    "layer_learning_rates": [
        ["conv1"],
        {"conv1": -1},
        {"conv1": True},
        {"conv1": "0"},
        {"conv1": 1, "conv2": math.inf},
    ],
    "layer_weight_decay": [
        {"conv1": -1},
        {"conv1": True},
        {"conv1": "0"},
        {"conv1": 1, "conv2": math.inf},
    ],
    "test_views": [(), ("two",), ("center", 10), "center", None],
    "devices": [0, "2", ("GPU:0", "CPU:0")],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_bad_value_is_named(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must .*Received: {name}="):
        TrainingConfig(**{name: value})


def test_values_are_stored_in_one_form():
    # As JSON and the command line give them.
    config = TrainingConfig(
        learning_rate=1,
        lr_milestones=[0.5],
        pca_noise_end=0,
        conv1_milestones=[0, 1],
        test_views=["ten_crop"],
        class_subset=[3, 1],
        initial_layers=["conv1"],
        initial_weights="x.keras",
        devices=["2"],
        seed=2**31 - 1,
        momentum=0,
        dataset=Path("photos"),
    )
    json.dumps(dataclasses.asdict(config))  # as a training stores it
    assert config.dataset == "photos"
    assert isinstance(config.learning_rate, float)
    assert (config.lr_milestones, config.pca_noise_end) == ((0.5,), 0.0)
    assert (config.conv1_milestones, config.test_views) == ((0, 1), ("ten_crop",))
    assert (config.class_subset, config.initial_layers, config.devices) == ((3, 1), ("conv1",), 2)
    assert TrainingConfig(bias_learning_rate=None).bias_learning_rate is None
    half = np.float32(0.5)
    of_numpy = TrainingConfig(
        lr_milestones=np.array([0.5], "float32"),
        layer_learning_rates={"conv1": half},
        overrides={"dropout": half},
    )
    json.dumps(dataclasses.asdict(of_numpy))


@pytest.mark.parametrize("epochs", [1, 2, 3, 93])
def test_the_first_epoch_has_the_initial_rate(epochs):
    config = training_config("source", epochs=epochs)
    assert config.learning_rate_at(0) == config.learning_rate == 0.01
    assert min(config.conv1_epochs) > 0 < config.pca_noise_epochs
    at_once = training_config("source", epochs=epochs, lr_milestones=(0,))
    assert at_once.learning_rate_at(0) == pytest.approx(0.001)


@pytest.mark.parametrize(
    "options",
    [
        {"initial_layers": ("conv1",)},
        {"scale_jitter": (256, 512), "mean_subtraction": "color", "random_crop": False},
        {"scale_jitter": (256, 512)},
        {"crop_size": 300},
        {"overrides": {"input_shape": (40, 40, 3)}},
        {"pretrained_sha256": "abc"},
        {"conv1_milestones": (0.5, 0.6), "preset": "vgg_D"},
        {"in_memory": True},
        {"validation_freq": 2},
        {"devices": 3},
    ],
)
def test_fields_that_do_not_fit_together_are_named(options):
    name = next(iter(options))
    with pytest.raises(
        ValueError, match=f"`{name}` .*Received: .*{name}=|`in_memory` needs a whole .npz"
    ):
        TrainingConfig(**options)


def test_every_network_has_a_training_preset():
    assert tuple(TRAINING_PRESETS) == NETWORKS


@pytest.mark.parametrize(
    ("preset", "option", "schedule"),
    [("paper", {"lr_milestones": (0.5,)}, "step"), ("small", {"patience": 3}, "plateau")],
)
def test_options_of_another_schedule_are_refused(preset, option, schedule):
    (name,) = option
    with pytest.raises(ValueError, match=f"`{name}` needs schedule='{schedule}'. Received: {name}"):
        training_config(preset, **option)
    training_config(preset, **option, schedule=schedule)
