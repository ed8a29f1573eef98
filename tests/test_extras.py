import sys

import pytest

from alexnet_keras.extras import MissingExtraError, extra, require


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(MissingExtraError) as found, extra("reading TFDS data sets"):
        import tensorflow_datasets  # noqa: F401
    assert str(found.value) == (
        "reading TFDS data sets needs TensorFlow Datasets: pip install 'alexnet_keras[tensorflow]'"
    )
    assert isinstance(found.value, ImportError)


def test_a_missing_part_of_a_library_is_named_by_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with (
        pytest.raises(MissingExtraError, match=r"drawing needs Matplotlib: .*\[plots\]'$"),
        extra("drawing"),
    ):
        import matplotlib.figure  # noqa: F401


def test_what_no_extra_installs_stays_as_it_is():
    with pytest.raises(ModuleNotFoundError, match="no_such_module") as found, extra("nothing"):
        import no_such_module  # noqa: F401
    assert not isinstance(found.value, MissingExtraError)


def test_the_inner_purpose_counts(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with (
        pytest.raises(MissingExtraError, match="^searching needs Faiss"),
        extra("all of it"),
        extra("searching"),
    ):
        import faiss  # noqa: F401


def test_all_missing_libraries_are_named_at_once(monkeypatch):
    require("nothing")
    require("drawing", "matplotlib")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as found:
        require("exporting to onnx", "onnx", "onnxruntime", "matplotlib")
    assert str(found.value) == (
        "exporting to onnx needs ONNX, ONNX Runtime, Matplotlib: pip install "
        "'alexnet_keras[export,plots]'"
    )
