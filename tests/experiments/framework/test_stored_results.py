"""The results in the repository answer every experiment."""

import dataclasses
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
    stored = read_json(RESULTS / name / "results.json")
    # Not all variants and seeds of each experiment have run.
    seeds = {run["config"]["seed"] for run in stored["runs"]}
    experiment = dataclasses.replace(
        experiment, seeds=tuple(seed for seed in experiment.seeds if seed in seeds)
    )
    runner = ExperimentRunner(experiment, RESULTS, variants=stored["variants"])
    counts, planned = runner.count_stored()
    assert counts == {RESULTS / name / "results.json": planned}
    assert planned <= len(stored["runs"])


def test_all_experiments_have_results():
    assert len(NAMES) == 19
