"""Modules that are missing from a smaller installation."""

import pytest

from benchmarks.installed import modules_besides


@pytest.mark.parametrize(("extra", "other"), [("tensorflow", "jax"), ("jax", "tensorflow")])
def test_an_extra_brings_its_backend_and_the_core(extra, other):
    missing = modules_besides("alexnet_keras", extra)
    assert {other, "matplotlib", "pytest"} <= set(missing)
    # The core, by pyproject.toml, and what Keras requires.
    assert not {extra, "alexnet_keras", "keras", "numpy", "PIL", "tqdm", "rich"} & set(missing)
