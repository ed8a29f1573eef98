"""The folder of the stored results, in a checkout and with a wheel."""

from pathlib import Path

import pytest

from experiments.framework import results_folder as module
from experiments.framework.results_folder import results_folder

ROOT = Path(__file__).parents[3]


@pytest.fixture
def wheel_with_results(tmp_path, monkeypatch):
    """Stored results as in an installed wheel, and an empty current folder; returns this folder."""
    for name in ("depth/results.json", "benchmarks/networks.md"):
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True)
        path.write_text("of the wheel")
    monkeypatch.setattr(module, "_IN_WHEEL", tmp_path / "site")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path / "empty"


def test_in_a_checkout_it_is_the_one_of_the_repository(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert results_folder() == Path("results")
    for folder in (ROOT / "notebooks", tmp_path):
        monkeypatch.chdir(folder)
        assert results_folder() == ROOT / "results"
    assert not list(tmp_path.iterdir())


def test_with_a_wheel_it_is_a_copy_that_keeps_what_is_there(wheel_with_results, capsys):
    own = wheel_with_results / "results" / "depth" / "results.json"
    own.parent.mkdir(parents=True)
    own.write_text("own")
    assert results_folder() == Path("results")
    assert own.read_text() == "own"
    other = wheel_with_results / "results" / "benchmarks" / "networks.md"
    assert other.read_text() == "of the wheel"
    assert "1 copied from the wheel to results" in capsys.readouterr().out
    assert results_folder() == Path("results")
    assert capsys.readouterr().out == ""


def test_a_file_in_the_way_is_an_error(wheel_with_results):
    (wheel_with_results / "results").write_text("a file")
    with pytest.raises(ValueError, match="`workdir` must be a folder that can be written"):
        results_folder()
    assert (wheel_with_results / "results").read_text() == "a file"
