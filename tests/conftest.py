import os
import signal
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault(
    "TF_ENABLE_ONEDNN_OPTS", "1"
)  # as the package does where it is imported before keras

# What one process has prepared, others and later runs of the tests find: TFDS' sets, and operations
# that JAX has compiled.
os.environ["TFDS_DATA_DIR"] = str(Path(__file__).parents[1] / ".pytest_cache" / "tfds")
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import numpy as np
import pytest

from tests.processes import COMPILE_FAST, start_garbage_collection

# test_backends.py runs some tests with XLA's own options.
os.environ.setdefault("XLA_FLAGS", COMPILE_FAST)

# Overrides of the preset "cifar" for a network that trains in seconds. It has every kind of layer:
# groups, normalization, pools and dropout.
TINY = {
    "filters": (8, 8, 8, 8, 8, 8),
    "units": (16, 16),
    "conv_layers": ("conv1", "conv2"),
    "hidden_layers": ("fc7",),
}

# What a shell runs in the background ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Runs the slowest tests first, so that no process waits for another's at the end."""
    items.sort(key=_seconds, reverse=True)


def pytest_collection_finish(session):
    start_garbage_collection()


def _seconds(item):
    """What the marker `slow` says, 5 by default; 0 for other tests."""
    marker = item.get_closest_marker("slow")
    if marker is None:
        return 0
    return marker.args[0] if marker.args else 5


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_KERAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def few_shapes():
    """Gives the data set `shapes` 2,050 images, also in the processes that a test starts."""
    from alexnet_keras.data import shapes
    from alexnet_keras.data.sources import ImageSelection, open_image_source

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "COUNTS", {"train": 2000, "test": 50})
        open_image_source(ImageSelection("shapes"))


@pytest.fixture
def random():
    return np.random.RandomState(0)


@pytest.fixture
def mixed_bfloat16():
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def draw_large_weights(model, random):
    """Draws weights with which the outputs differ between images, as a new network's hardly do."""
    weights = []
    for weight in model.weights:
        fan_in = np.prod(weight.shape[-3:-1]) if len(weight.shape) > 1 else 1
        weights.append(random.normal(0, (2 / fan_in) ** 0.5, weight.shape).astype("float32"))
    model.set_weights(weights)


def write_tiny_npz(path, validation_count=20):
    """80 + 20 images of 32x32 in 4 classes that differ in color, as an .npz file."""
    random = np.random.RandomState(0)
    arrays = {}
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
