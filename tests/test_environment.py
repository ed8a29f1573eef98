import sys

import keras
import pytest

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


@pytest.mark.parametrize(
    ("flags", "variables", "expected"),
    [
        ("avx avx2", {}, False),
        ("avx2 avx512f", {}, False),
        ("avx2 avx512f avx512_bf16", {}, True),
        ("avx512f amx_bf16 amx_tile", {}, True),
        ("asimd bf16", {}, True),
        ("avx512f avx512_bf16", {"TF_ENABLE_ONEDNN_OPTS": "0"}, False),
        ("avx512f avx512_bf16", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        ("avx512f avx512_bf16", {"ONEDNN_MAX_CPU_ISA": "avx512_core_bf16"}, True),
        ("avx512f avx512_bf16", {"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, True),
    ],
)
def test_bfloat16_arithmetic(flags, variables, expected, monkeypatch):
    monkeypatch.setattr(environment, "_processor_flags", lambda: frozenset(flags.split()))
    for name in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert environment.has_bfloat16_arithmetic() == expected
