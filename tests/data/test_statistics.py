import numpy as np
import pytest
from PIL import Image

from alexnet_keras.data import load
from alexnet_keras.data import statistics as cached
from tests.conftest import write_tiny_npz

MOVE = "Set the environment variable ALEXNET_KERAS_CACHE to a folder with space that can be written"


def test_an_unwritable_cache_is_reported_before_any_work(tmp_path, monkeypatch):
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (32, 32)).save(tmp_path / "images" / label / f"{number}.png")
    (tmp_path / "file").write_text("in the way")
    cache = tmp_path / "file" / "cache"
    monkeypatch.setenv("ALEXNET_KERAS_CACHE", str(cache))
    monkeypatch.setattr(cached, "_compute", None)  # which is not called
    for name in (write_tiny_npz(tmp_path / "tiny.npz"), str(tmp_path / "images")):
        with pytest.raises(
            OSError, match=f"`cache_dir` must be a folder that can be .*'{cache}'. {MOVE}$"
        ):
            load(name, image_size=32, crop_size=28, batch_size=2)


def test_a_complete_cache_may_be_read_only(tmp_path, monkeypatch):
    path = write_tiny_npz(tmp_path / "tiny.npz")
    cache = tmp_path / "cache"
    before = load(path, image_size=32, crop_size=28, batch_size=2, cache_dir=cache)[2]

    def refuse(folder, argument):
        raise ValueError("can't be written")

    monkeypatch.setattr(cached, "check_writable", refuse)
    after = load(path, image_size=32, crop_size=28, batch_size=2, cache_dir=cache)[2]
    np.testing.assert_array_equal(after.mean_image, before.mean_image)


def test_a_full_disk_leaves_no_partial_cache(tmp_path, monkeypatch):
    def fill(path, **arrays):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fill)
    cache = tmp_path / "cache"
    images = [np.zeros((2, 4, 4, 3), "uint8")]
    with pytest.raises(
        OSError, match=f"{cache}/statistics-key.npz can't be written: .*No space left.* {MOVE}$"
    ):
        cached.training_statistics(images, 2, "key", cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no archive"], ids=["empty", "other"])
def test_a_damaged_cache_is_computed_anew(content, tmp_path):
    images = [np.full((2, 4, 4, 3), 7, "uint8")]
    (tmp_path / "statistics-key.npz").write_bytes(content)
    for _ in range(2):
        mean_image, covariance = cached.training_statistics(images, 2, "key", tmp_path)
        np.testing.assert_array_equal(mean_image, np.full((4, 4, 3), 7))
        np.testing.assert_array_equal(covariance, np.zeros((3, 3)))
        images = None  # the second time they are not read
