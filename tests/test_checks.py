import json

import numpy as np
import pytest

from alexnet_keras import (
    VGG,
    AlexNetConfig,
    GroupedConv2D,
    LocallyConnected2D,
    LocalResponseNormalization,
    Preparation,
    SpatialResponseNormalization,
)
from alexnet_keras.checks import check_whole_number
from alexnet_keras.data.options import BatchOptions, ImagePreparation, ImageSelection
from alexnet_keras.distributed.devices import parse_devices
from alexnet_keras.models import vgg_config
from alexnet_keras.retrieval import train_encoder
from alexnet_keras.training import training_config


def test_whole_numbers_of_python_and_numpy():
    for value in (1, np.int64(1), np.uint8(1)):
        number = check_whole_number("size", value)
        assert number == 1
        assert type(number) is int
    assert check_whole_number("seed", 0, 0) == 0
    assert check_whole_number("top", 4, 1, 4) == 4


@pytest.mark.parametrize(
    ("value", "limits", "words"),
    [
        (0, (), "`size` must be a positive whole number. Received: size=0"),
        (True, (), "`size` must be a positive whole number. Received: size=True"),
        (np.bool_(True), (), "`size` must be a positive whole number. Received: size="),
        (2.0, (), "`size` must be a positive whole number. Received: size=2.0"),
        ("2", (), "`size` must be a positive whole number. Received: size='2'"),
        (None, (), "`size` must be a positive whole number. Received: size=None"),
        (1, (2,), "`size` must be a whole number from 2. Received: size=1"),
        (5, (0, 4, "an edge"), "`size` must be a whole number from 0 to 4, an edge. Received: si"),
    ],
)
def test_anything_else_is_refused(value, limits, words):
    with pytest.raises(ValueError, match=words):
        check_whole_number("size", value, *limits)


@pytest.mark.parametrize(
    "make",
    [
        lambda: GroupedConv2D(True, 3),
        lambda: GroupedConv2D(2, 3, groups=True),
        lambda: LocalResponseNormalization(size=True),
        lambda: LocalResponseNormalization(groups=True),
        lambda: LocallyConnected2D(True, 3),
        lambda: LocallyConnected2D(2, (True, 3)),
        lambda: SpatialResponseNormalization(True),
        lambda: Preparation(8, True, (0, 0, 0)),
        lambda: AlexNetConfig(towers=True),
        lambda: AlexNetConfig(units=(True, 1)),
        lambda: AlexNetConfig(bias=True),
        lambda: vgg_config(units=(True, 1)),
        lambda: VGG("A", classes=True),
        lambda: ImageSelection("shapes", hold_out_every=True),
        lambda: ImageSelection("shapes", max_images_per_class=True),
        lambda: ImagePreparation(8, True),
        lambda: BatchOptions(True).check_fits("shapes", 9),
        lambda: parse_devices(True),
        lambda: train_encoder(np.ones((3, 4)), True),
        lambda: training_config("paper", epochs=True),
        lambda: training_config("paper", seed=True),
        lambda: training_config("paper", max_images_per_class=True),
        lambda: training_config("paper", weight_decay=True),
    ],
)
def test_true_is_no_number(make):
    with pytest.raises(ValueError, match="` must .*Received: .*True"):
        make()


def test_configurations_store_numbers_of_numpy():
    config = training_config("paper", batch_size=np.int64(8), class_subset=np.arange(3))
    assert json.loads(json.dumps(config.batch_size)) == 8
    assert json.dumps(config.class_subset) == "[0, 1, 2]"
    units = {"units": (np.int64(16), np.int64(12)), "filters": [np.int64(8)] * 6}
    overrides = training_config("small", overrides=units).overrides
    assert json.dumps(overrides) == '{"units": [16, 12], "filters": [8, 8, 8, 8, 8, 8]}'
    filters = AlexNetConfig(filters=(4, 4, 4, 4, 4, np.int64(8))).filters
    assert json.dumps(filters) == "[4, 4, 4, 4, 4, 8]"
