import hashlib

import numpy as np
import pytest

from alexnet_keras.data import shapes
from alexnet_keras.data.drawing import CLASS_NAMES, draw, draw_with_mask

# The first version of one image. Any other drawing needs a new version of the set.
FINGERPRINT = "fabead82159fa7b1eb0525fd8f0a5cf7067e946852e179fa9de243a3c10e8f96"


@pytest.fixture(scope="module")
def images():
    return np.stack([draw(i % 10, (1, 2, i)) for i in range(1500)])


def test_the_same_on_all_machines():
    image = draw(4, (1, 2, 3))
    assert image.shape == (64, 64, 3)
    assert image.dtype == "uint8"
    np.testing.assert_array_equal(image, draw(4, (1, 2, 3)))
    assert not np.array_equal(image, draw(4, (1, 2, 4)))
    assert hashlib.sha256(image.tobytes()).hexdigest() == FINGERPRINT


def test_a_linear_model_does_not_pass_60_percent(images):
    x = images.reshape(len(images), -1).astype("float64") / 255 - 0.5
    labels = np.arange(len(images)) % len(CLASS_NAMES)
    train = slice(0, 1200)
    test = slice(1200, None)
    best = 0.0
    for ridge in (1.0, 10.0, 100.0, 1000.0):
        # Least squares on one-hot labels in its dual form, as there are more pixels than images.
        gram = x[train] @ x[train].T + ridge * np.eye(1200)
        weights = x[train].T @ np.linalg.solve(gram, np.eye(10)[labels[train]] - 0.1)
        best = max(best, (np.argmax(x[test] @ weights, 1) == labels[test]).mean())
    assert 0.1 < best < 0.6


def test_orientation_and_color_matter(images):
    # The two triangles have the same color: their mean colors agree, and their mean images do not.
    labels = np.arange(len(images)) % len(CLASS_NAMES)
    up, down = (images[labels == k].astype("float64").mean(0) for k in (2, 3))
    assert np.abs(up.mean((0, 1)) - down.mean((0, 1))).max() < 8
    assert np.abs(up - down).max() > 12
    # The two balls have the same shape and differ in color.
    orange, blue = (images[labels == k].astype("float64").mean((0, 1, 2)) for k in (0, 1))
    assert orange[0] - blue[0] > 10
    assert blue[2] - orange[2] > 10


def test_is_a_tfds_builder(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(
        shapes.Shapes,
        "_split_generators",
        lambda self, _: {
            "train": self._generate_examples("train", 20),
            "test": self._generate_examples("test", 10),
        },
    )
    data, info = tfds.load(
        "shapes", data_dir=str(tmp_path), with_info=True, as_supervised=True, shuffle_files=False
    )
    assert info.features["label"].names == list(CLASS_NAMES)
    assert {name: split.num_examples for name, split in info.splits.items()} == {
        "train": 20,
        "test": 10,
    }
    drawn = sorted(draw(i % 10, (2012, 0, i)).tobytes() for i in range(20))
    assert sorted(image.tobytes() for image, _ in data["train"].as_numpy_iterator()) == drawn


def test_the_mask_is_where_the_object_is():
    for index in range(10):
        image, mask = draw_with_mask(0, (3, index))
        np.testing.assert_array_equal(image, draw(0, (3, index)))
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        # A ball is a disc, and orange: red above green above blue.
        assert abs(height - width) <= 1
        np.testing.assert_allclose(mask.sum(), np.pi / 4 * height * width, rtol=0.05)
        red, green, blue = image[mask].astype("float64").mean(0)
        assert red > green + 20 > blue + 40
