"""The results in the repository answer every experiment."""

import importlib
from pathlib import Path

import pytest

from alexnet_keras.files import read_json
from experiments.framework.runner import ExperimentRunner

RESULTS = Path(__file__).parents[3] / "results"
NAMES = [
    path.parent.name for path in sorted(RESULTS.glob("*/results.json")) if "runs" in read_json(path)
]


@pytest.mark.parametrize("name", NAMES)
def test_no_stored_run_is_lost(name):
    experiment = importlib.import_module(f"experiments.{name}").EXPERIMENT
    runner = ExperimentRunner(experiment, RESULTS)
    counts, planned = runner.count_stored()
    assert counts == {RESULTS / name / "results.json": planned}
    assert planned <= len(read_json(RESULTS / name / "results.json")["runs"])


def test_all_experiments_have_results():
    assert len(NAMES) == 17
