import sys

import keras

from alexnet_keras import environment
from alexnet_keras.environment import machine, versions


def test_versions_are_of_what_is_imported(monkeypatch):
    for module in ("faiss", "jax"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    here = versions()
    assert here["keras"] == keras.__version__
    assert here["python"] == sys.version.split()[0]
    assert {"jax", "faiss-cpu"}.isdisjoint(here)
    assert set(versions(others=("jax",))) == {*here, "jax"}


def test_versions_name_the_package_that_brings_a_module(monkeypatch):
    monkeypatch.setitem(environment._PACKAGES, "keras", "keras-of-another-name")
    assert environment.versions(others=("keras",))["keras"] == keras.__version__
    monkeypatch.setitem(environment._PACKAGES, "module_of_a_folder", "of-no-package")
    assert environment.versions(others=("module_of_a_folder",))["of-no-package"] == "unknown"


def test_machine():
    assert machine()["processor"]
    assert machine()["cores"] > 0
