import re

import keras
import numpy as np
import pytest

from alexnet_keras.cli.trained_network import images_at
from alexnet_keras.data import Dataset
from experiments.predictions import confident_mistakes, main
from tests.experiments.conftest import save_as_trained, tiny_model


@pytest.fixture
def weights(tmp_path):
    """A network that says of every image that it is of class 1."""
    model = tiny_model()
    kernel = model.get_layer("fc8").get_weights()[0]
    model.get_layer("fc8").set_weights(
        [np.zeros_like(kernel), np.log(np.array([0.2, 0.5, 0.1, 0.2]))]
    )
    return save_as_trained(model, tmp_path / "run")


def test_chosen_images(weights, tmp_path, tiny_npz):
    data = ["--dataset", tiny_npz, "--image-size", "32"]
    results = main(
        ["--weights", weights, *data, "--show", "6", "1", "--workdir", str(tmp_path / "out")]
    )
    assert [image["number"] for image in results["images"]] == [6, 1]
    assert results["images"][0]["label"] == "green"  # 6 mod 4
    assert results["images"][0]["probabilities"] == pytest.approx(
        {"red": 0.5, "dark": 0.2, "yellow": 0.2, "green": 0.1}
    )
    assert results["errors"]["center"] == {"top1_error": 75.0, "top5_error": 0.0}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "results.json",
        "predictions.png",
    }
    with pytest.raises(
        SystemExit,
        match="`workdir` must be .* show: stored \\['6', '1'\\], requested \\['mistakes'\\]",
    ):
        main(
            ["--weights", weights, *data, "--show", "mistakes", "--workdir", str(tmp_path / "out")]
        )
    mistakes = main(["--weights", weights, *data, "--show", "mistakes", "--count", "5"])
    assert all(image["label"] != "red" for image in mistakes["images"])
    assert len(mistakes["images"]) == 5


def test_mistakes_in_the_order_of_their_confidence():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    assert confident_mistakes(probabilities, np.array([0, 0, 0, 1])).tolist() == [2, 1]


def test_images_are_found_by_number(tiny_npz):
    with np.load(tiny_npz) as arrays:
        expected = arrays["x_test"][[17, 3], 2:30, 2:30]
    np.testing.assert_array_equal(images_at(Dataset(tiny_npz, 32, 28), [17, 3]), expected)


def test_errors_come_before_any_work(weights, tmp_path, tiny_npz):
    ours = ["--dataset", tiny_npz, "--image-size", "32"]
    keras.Sequential(
        [keras.Input((28, 28, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    ).save(tmp_path / "3.keras")
    for arguments, words in (
        (
            [],
            "`dataset` and `image_size` must be given for a model without the config.json of its "
            "training",
        ),
        (
            ["--dataset", tiny_npz, "--image-size", "24"],
            "`crop_size` must be a whole number from 1 to image_size pixels",
        ),
        ([*ours, "--show", "20"], "`show` must be numbers below 20"),
        (
            [*ours, "--show", "best"],
            "`show` must be random, mistakes, or numbers of validation images",
        ),
        (
            [*ours, "--seed=-1"],
            "`seed` must be a whole number from 0 to 2**31 - 1. Received: seed=-1",
        ),
        ([*ours, "--count", "0"], "`count` must be a positive whole number"),
        (
            [*ours, "--weights", str(tmp_path / "3.keras")],
            "`dataset` must have the classes of the model, 3. Received",
        ),
    ):
        with pytest.raises(SystemExit, match=re.escape(words)):
            main(["--weights", weights, *arguments])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["best.keras"]
