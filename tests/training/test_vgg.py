import json

import keras
import numpy as np
import pytest

from alexnet_keras.data import Dataset
from alexnet_keras.evaluation.evaluate import evaluate
from alexnet_keras.training.config import training_config
from experiments.train import main

TINY = ["filters=(4, 4)", "kernel_sizes=((3,), (3, 1))", "units=(8, 8)", "input_scale=0.015625"]


def test_trains_with_the_same_trainer(tiny_npz, tmp_path):
    options = [
        "--epochs",
        "1",
        "--batch-size",
        "16",
        "--image-size",
        "32",
        "--crop-size",
        "24",
        "--scale-jitter",
        "24",
        "32",
    ]
    arguments = [
        "--preset",
        "vgg_C",
        "--dataset",
        tiny_npz,
        "--overrides",
        *TINY,
        *options,
        "--test-views",
        "center",
        "dense",
    ]
    results = main([*arguments, "--workdir", str(tmp_path / "run")])
    assert set(results["errors"]) == {"center", "dense"}
    model = keras.saving.load_model(tmp_path / "run" / "best.keras")  # of the only epoch
    dataset = Dataset(tiny_npz, 32, 24, mean_subtraction="color")
    for views, errors in results["errors"].items():
        measured = evaluate(model, dataset, views, 16, verbose=0)
        assert errors == pytest.approx(measured, rel=1e-4)
    assert [layer.name for layer in model.layers if "conv" in layer.name] == [
        "conv1_1",
        "conv2_1",
        "conv2_2",
    ]
    assert (tmp_path / "run" / "kernels.png").exists()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    # Section 3.1: batches of 256 elsewhere, momentum 0.9, decay 0.0005, a rate of 0.01 that falls
    # at plateaus.
    assert [
        config[name]
        for name in ("mean_subtraction", "momentum", "weight_decay", "learning_rate", "schedule")
    ] == [*("color", 0.9, 0.0005, 0.01, "plateau")]
    whole = training_config("vgg_D")
    assert (whole.epochs, whole.batch_size, whole.network.dropout) == (74, 256, 0.5)


def test_the_mean_color_is_subtracted(tiny_npz):
    with np.load(tiny_npz) as arrays:
        train = arrays["x_train"].astype("float64")
        test = arrays["x_test"].astype("float64")
    dataset = Dataset(tiny_npz, 32, 28, mean_subtraction="color")
    expected = test[:, 2:30, 2:30] - train.mean((0, 1, 2))
    images, _ = next(dataset.validation(20).as_numpy_iterator())
    np.testing.assert_allclose(images, expected, atol=1e-3)
    assert np.ptp(Dataset(tiny_npz, 32, 28).info.mean_image, axis=(0, 1)).min() > 1
    with pytest.raises(
        ValueError,
        match="`mean_subtraction` must be image or color. Received: mean_subtraction='pixel'",
    ):
        Dataset(tiny_npz, 32, 28, mean_subtraction="pixel")


@pytest.mark.parametrize("memory_gib", [0.0, 2.0])
def test_scales_are_drawn_for_each_image(tiny_npz, memory_gib):
    arguments = dict(mean_subtraction="color", memory_gib=memory_gib)
    plain, same, jittered = (
        next(
            Dataset(tiny_npz, 32, 24, scale_jitter=s, **arguments)
            .train(16, pca_noise="none")
            .as_numpy_iterator()
        )[0]
        for s in ((), (32, 32), (24, 32))
    )
    np.testing.assert_allclose(same, plain, atol=0.01)
    assert np.abs(jittered - plain).mean() > 1
    assert np.std(np.diff(jittered, axis=2)) < np.std(
        np.diff(plain, axis=2)
    )  # what is made smaller is smoother


def test_validation_images_keep_their_size(tiny_npz):
    dataset = Dataset(tiny_npz, 32, 24, scale_jitter=(32, 64), mean_subtraction="color")
    with np.load(tiny_npz) as arrays:
        train = arrays["x_train"]
        test = arrays["x_test"]
    np.testing.assert_array_equal(next(dataset.validation_images(20).as_numpy_iterator())[0], test)
    images, _ = next(dataset.training_images(80).as_numpy_iterator())
    assert images.shape == train.shape
    assert dataset.info.mean_image.shape == (32, 32, 3)
    np.testing.assert_allclose(
        dataset.info.mean_image[0, 0], train.mean((0, 1, 2)), atol=0.5
    )  # of larger images
    crops, _ = next(dataset.train(16).as_numpy_iterator())
    assert crops.shape == (16, 24, 24, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"scale_jitter": (200, 256)},
            "`scale_jitter` must be a smallest and a largest side, pixels, from crop_size",
        ),
        ({"scale_jitter": (256,)}, "`scale_jitter` must be a smallest"),
        (
            {"scale_jitter": (224, 256), "mean_subtraction": "image"},
            "needs the mean color. Received: .* mean_subtraction='image'",
        ),
        (
            {"scale_jitter": (224, 256), "random_crop": False},
            "`scale_jitter` needs `random_crop`",
        ),
        ({"mean_subtraction": "pixel"}, "`mean_subtraction` must be one of image, color"),
        (
            {"test_views": ("sparse",)},
            "`test_views` must be among center, ten_crop, nine_crop, dense. Received: test_views=",
        ),
        (
            {"conv1_milestones": (0.5, 0.6)},
            "`conv1_milestones` needs a layer conv1, which VGG lacks. Received: preset='vgg_A'",
        ),
        ({"overrides": {"towers": 2}}, "An override must be one of input_shape"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        training_config("vgg_A", **options)
    with pytest.raises(
        ValueError, match="`preset` must be one of .* vgg_E. Received: preset='vgg_F'"
    ):
        training_config("vgg_F")
