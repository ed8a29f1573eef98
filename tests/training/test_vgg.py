import json

import keras
import numpy as np
import pytest

from alexnet_keras.data import Dataset
from alexnet_keras.training.config import training_config
from experiments.train import main

TINY = ["filters=(4, 4)", "kernel_sizes=((3,), (3, 1))", "units=(8, 8)", "input_scale=0.015625"]


def test_trains_with_the_same_trainer(tiny_npz, tmp_path):
    options = ["--epochs", "1", "--batch-size", "16", "--image-size", "32", "--crop-size", "24", "--scales", "24", "32"]
    arguments = ["--config", "vgg_C", "--dataset", tiny_npz, "--overrides", *TINY, *options, "--views", "1", "dense"]
    results = main([*arguments, "--workdir", str(tmp_path / "run")])
    assert set(results["errors"]) == {"centre_crop", "dense"}
    assert all(0 <= error["top1_error"] <= 100 for error in results["errors"].values())
    model = keras.saving.load_model(tmp_path / "run" / "best.keras")
    assert [layer.name for layer in model.layers if "conv" in layer.name] == ["conv1_1", "conv2_1", "conv2_2"]
    assert (tmp_path / "run" / "kernels.png").exists()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    # Section 3.1: batches of 256 elsewhere, momentum 0.9, decay 0.0005, a rate of 0.01 that falls at plateaus.
    assert [config[name] for name in ("mean", "momentum", "weight_decay", "learning_rate", "schedule")] == [
        *("colour", 0.9, 0.0005, 0.01, "plateau")
    ]
    whole = training_config("vgg_D")
    assert (whole.epochs, whole.batch_size, whole.network.dropout) == (74, 256, 0.5)


def test_the_mean_colour_is_subtracted(tiny_npz):
    with np.load(tiny_npz) as arrays:
        train, test = arrays["x_train"].astype("float64"), arrays["x_test"].astype("float64")
    dataset = Dataset(tiny_npz, 32, 28, mean="colour")
    expected = test[:, 2:30, 2:30] - train.mean((0, 1, 2))
    images, _ = next(dataset.validation(20).as_numpy_iterator())
    np.testing.assert_allclose(images, expected, atol=1e-3)
    assert np.ptp(Dataset(tiny_npz, 32, 28).info.mean_image, axis=(0, 1)).min() > 1
    with pytest.raises(ValueError, match="`mean` must be image or colour. Received: mean='pixel'"):
        Dataset(tiny_npz, 32, 28, mean="pixel")


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
def test_scales_are_drawn_for_each_image(tiny_npz, memory_gib):
    arguments = dict(mean="colour", memory_gib=memory_gib)
    plain, same, jittered = (
        next(Dataset(tiny_npz, 32, 24, scales=s, **arguments).train(16, colour_noise="none").as_numpy_iterator())[0]
        for s in ((), (32, 32), (24, 32))
    )
    np.testing.assert_allclose(same, plain, atol=0.01)
    assert np.abs(jittered - plain).mean() > 1
    assert np.std(np.diff(jittered, axis=2)) < np.std(np.diff(plain, axis=2))  # what is made smaller is smoother


def test_validation_images_keep_their_size(tiny_npz):
    dataset = Dataset(tiny_npz, 32, 24, scales=(32, 64), mean="colour")
    with np.load(tiny_npz) as arrays:
        train, test = arrays["x_train"], arrays["x_test"]
    np.testing.assert_array_equal(next(dataset.validation_images(20).as_numpy_iterator())[0], test)
    images, _ = next(dataset.training_images(80).as_numpy_iterator())
    assert images.shape == train.shape
    assert dataset.info.mean_image.shape == (32, 32, 3)
    np.testing.assert_allclose(dataset.info.mean_image[0, 0], train.mean((0, 1, 2)), atol=0.5)  # of larger images
    crops, _ = next(dataset.train(16).as_numpy_iterator())
    assert crops.shape == (16, 24, 24, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"scales": (200, 256)},
            "`scales` must be a smallest and a largest side, pixels, from crop_size",
        ),
        ({"scales": (256,)}, "`scales` must be a smallest"),
        ({"scales": (224, 256), "mean": "image"}, "needs the mean colour. Received: .* mean='image'"),
        ({"scales": (224, 256), "crops": False}, "`scales` goes with random crops"),
        ({"mean": "pixel"}, "`mean` must be one of image, colour"),
        ({"views": ("sparse",)}, "`views` must be out of 1, 10, dense. Received: views="),
        ({"late_changes": (0.5, 0.6)}, "`late_changes` is of AlexNet's conv1. Received: config='vgg_A'"),
        ({"overrides": {"towers": 2}}, "An override must be one of input_shape"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        training_config("vgg_A", **options)
    with pytest.raises(ValueError, match="`config` must be one of .* vgg_E. Received: config='vgg_F'"):
        training_config("vgg_F")
