import dataclasses

import numpy as np
import pytest

from alexnet_keras.data import ImagePreparation, ImageSelection
from alexnet_keras.data.info import mean_to_subtract
from alexnet_keras.data.options import BatchOptions, split_options


def test_keyword_arguments_become_selection_and_preparation(tmp_path):
    options = {"class_subset": [3, 1], "crop_size": 28, "image_size": 32, "cache_dir": tmp_path}
    selection, preparation = split_options("shapes", options)
    assert selection == ImageSelection("shapes", class_subset=(3, 1), cache_dir=tmp_path)
    assert preparation == ImagePreparation(32, 28)
    assert hash(selection) == hash(dataclasses.replace(selection, class_subset=[3, 1]))


def test_unknown_options_are_refused():
    message = "must be one of hold_out_every, .*, image_size, .* Received: crops, views"
    with pytest.raises(TypeError, match=message):
        split_options("shapes", {"crops": True, "image_size": 32, "views": 1})
    with pytest.raises(TypeError, match="Received: name"):
        split_options("shapes", {"name": "cifar10"})


def test_memory_limit_is_in_gib():
    preparation = ImagePreparation(memory_gib=2.0)
    # 2 * 2**30 bytes hold 10,922.7 images of 256 * 256 * 3 bytes.
    assert preparation.fits_memory(10_922, 256)
    assert not preparation.fits_memory(10_923, 256)
    assert not dataclasses.replace(preparation, memory_gib=0.0).fits_memory(1, 1)


def test_training_images_have_the_largest_side_of_scale_jitter():
    assert ImagePreparation(64, 56).training_size == 64
    jittered = ImagePreparation(64, 56, scale_jitter=[56, 80], mean_subtraction="color")
    assert jittered.training_size == 80


def test_cache_is_the_requested_folder_or_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_KERAS_CACHE", str(tmp_path / "variable"))
    assert ImageSelection("shapes").cache == tmp_path / "variable"
    assert ImageSelection("shapes", cache_dir=str(tmp_path)).cache == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ImageSelection("shapes", cache_dir="~/images").cache == tmp_path / "images"
    monkeypatch.setenv("ALEXNET_KERAS_CACHE", "")
    assert ImageSelection("shapes").cache == tmp_path / ".cache" / "alexnet_keras"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (ImagePreparation, {"crop_size": 0}, "`crop_size` must be a whole number .* crop_size=0"),
        (ImagePreparation, {"image_size": 8}, "`crop_size` must be .* image_size=8"),
        (ImagePreparation, {"mean_subtraction": "pixel"}, "must be image or color. Received: mean"),
        (ImagePreparation, {"scale_jitter": (256, 512)}, "needs the mean color"),
        (
            ImagePreparation,
            {"scale_jitter": (200, 256), "mean_subtraction": "color"},
            r"from crop_size on.* scale_jitter=\(200, 256\), crop_size=224",
        ),
        (
            ImagePreparation,
            {"mean": (1, 2, 3)},
            r"`mean` must have the shape \(256, 256, 3\) .*\(3,\)",
        ),
        (ImagePreparation, {"color_order": "GBR"}, "`color_order` must be RGB or BGR. Received: c"),
        (BatchOptions, {"pca_noise": "pca"}, "`pca_noise` must be one of none, .* pca_noise='pca'"),
        (BatchOptions, {"pca_noise_epochs": 0.5}, "`pca_noise_epochs` must be .*_epochs=0.5"),
        (BatchOptions, {"first_epoch": -1}, "`first_epoch` must be .* first_epoch=-1"),
        (BatchOptions, {"first_step": -1}, "`first_step` must be .* first_step=-1"),
        (BatchOptions, {"random_crop": "no"}, "`random_crop` must be True or False. .*='no'"),
        (ImagePreparation, {"scale_jitter": None}, "`scale_jitter` must be a sequence. .*=None"),
        (BatchOptions, {"seed": 0.5}, "`seed` must be a whole number from 0 .* Received: seed=0.5"),
        (BatchOptions, {"seed": 2**31}, "`seed` must be a whole number from 0 .* seed=2147483648"),
        (ImagePreparation, {"memory_gib": "4"}, "`memory_gib` must be a number from 0.*='4'"),
    ],
)
def test_bad_values(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_a_first_step_after_the_epoch_is_refused():
    options = BatchOptions(4, first_step=2)
    options.check_fits("shapes", 12)
    message = "`first_step` must be below 2, the steps of an epoch of 'shapes'. Received: first_st"
    with pytest.raises(ValueError, match=message):
        options.check_fits("shapes", 11)


def test_a_given_mean_replaces_that_of_the_training_images():
    own = np.random.RandomState(0).uniform(0, 255, (4, 4, 3)).astype("float32")
    image = np.arange(48, dtype="float32").reshape(4, 4, 3)
    options = {"image_size": 4, "crop_size": 2}
    for given, expected in (
        ({}, own),
        ({"mean": image}, image),
        ({"mean": image, "color_order": "BGR"}, image[..., ::-1]),
        ({"mean_subtraction": "color"}, np.tile(own.mean((0, 1)), (4, 4, 1))),
        ({"mean_subtraction": "color", "mean": (1, 2, 3)}, np.tile([1, 2, 3], (4, 4, 1))),
    ):
        mean = mean_to_subtract(own, ImagePreparation(**options, **given))
        np.testing.assert_allclose(mean, expected, rtol=1e-6)
        assert mean.dtype == np.float32
