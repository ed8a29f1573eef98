import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault(
    "TF_ENABLE_ONEDNN_OPTS", "1"
)  # as the package does where it is imported before keras

import keras
import numpy as np
import pytest

# What a shell runs in the background ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Runs slow tests first, so that no process waits for another's slow test at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_KERAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def random():
    return np.random.RandomState(0)


@pytest.fixture
def mixed_bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def write_tiny_npz(path, validation_count=20):
    """80 + 20 images of 32x32 in 4 classes that differ in color, as an .npz file."""
    random, arrays = np.random.RandomState(0), {}
    for split, count in (("train", 80), ("test", validation_count)):
        labels = np.arange(count) % 4
        images = random.randint(0, 100, (count, 32, 32, 3))
        images[..., 0] += 60 * (labels % 2)[:, None, None]
        images[..., 1] += 60 * (labels // 2)[:, None, None]
        arrays |= {f"x_{split}": images.astype("uint8"), f"y_{split}": labels}
    np.savez(path, **arrays, class_names=["dark", "red", "green", "yellow"])
    return str(path)


@pytest.fixture
def tiny_npz(tmp_path):
    return write_tiny_npz(tmp_path / "tiny.npz")
