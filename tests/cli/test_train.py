import os
import sys

from alexnet_keras.cli.train import _choose_backend


def test_the_backend_is_set_before_keras_is_imported(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delitem(sys.modules, "keras")
    _choose_backend("jax")
    assert os.environ["KERAS_BACKEND"] == "jax"
