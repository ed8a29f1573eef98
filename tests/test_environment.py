import sys

import keras

from alexnet_keras.environment import machine, versions


def test_versions_are_of_what_is_imported(monkeypatch):
    for module in ("faiss", "jax"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    here = versions()
    assert here["keras"] == keras.__version__
    assert here["python"] == sys.version.split()[0]
    assert {"jax", "faiss-cpu"}.isdisjoint(here)
    assert set(versions(others=("jax",))) == {*here, "jax"}


def test_machine():
    assert machine()["processor"]
    assert machine()["cores"] > 0
