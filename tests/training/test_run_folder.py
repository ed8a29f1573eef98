import dataclasses
import json

import pytest

from alexnet_keras.training.config import TrainingConfig
from alexnet_keras.training.run_folder import RunFolder

HISTORY = [{"epoch": 0.0, "loss": 1.5}, {"epoch": 1.0, "loss": 0.5}]
WHOLE = b"epoch,loss\n0,1.5\n1,0.5\n"


@pytest.fixture
def finished(tmp_path):
    """The folder of a training of two epochs that has ended, and its results."""
    config = TrainingConfig(epochs=2)
    errors = {name: {"top1_error": 50.0, "top5_error": 10.0} for name in config.test_views}
    results = {"config": {"epochs": 2}, "errors": errors, "history": HISTORY}
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "history.csv").write_bytes(WHOLE)
    return RunFolder(tmp_path, config), results


def test_the_home_folder_may_be_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunFolder("~/run", TrainingConfig()).path == tmp_path / "run"


def test_an_empty_name_is_not_the_current_folder():
    with pytest.raises(ValueError, match="`workdir` must be the path of .*Received: workdir=''"):
        RunFolder("", TrainingConfig())


@pytest.mark.parametrize("name", ["results.json", "preparation.npz", "classifier.keras"])
def test_files_of_something_else_are_not_replaced(name, tmp_path):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(ValueError, match=f"`workdir` must be a new folder.* {tmp_path / name}"):
        RunFolder(tmp_path, TrainingConfig()).check_settings()


def test_a_training_that_has_ended_has_results(finished):
    folder, results = finished
    assert folder.finished_results() == results


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"epoch,loss\n0,half\n1,0.5\n", "a row of numbers for each epoch. It is damaged"),
        (b"epoch,loss\n\0\xff,1\n", "a row of numbers for each epoch. It is damaged"),
        (WHOLE[:-6], "a row for each of the 2 epochs in results.json. It is damaged: it has 1"),
        (
            WHOLE + b"2,0.25\n",
            "a row for each of the 2 epochs in results.json. It is damaged: it has 3",
        ),
        (b"", "a row for each of the 2 epochs in results.json. It is damaged: it has 0"),
        (None, "a row for each of the 2 epochs in results.json. It is damaged: it has 0"),
    ],
)
def test_a_damaged_history_of_a_training_that_has_ended_is_named(content, words, finished):
    folder, _ = finished
    path = folder.path / "history.csv"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path} must have {words}"):
        folder.finished_results()


def test_a_checkpoint_with_more_epochs_than_the_history_is_refused(tmp_path):
    folder = RunFolder(tmp_path, TrainingConfig(epochs=4))
    (tmp_path / "history.csv").write_bytes(WHOLE)
    folder.check_history({"epoch": 2, "step": 5})
    message = "history.csv must have a row for each of the 3 epochs .* missing: it has 2"
    with pytest.raises(ValueError, match=message):
        folder.check_history({"epoch": 3, "step": 0})


def test_errors_of_a_stopped_call_are_kept_until_the_training_continues(finished):
    folder, results = finished
    expected = dict(results["errors"])
    expected["dense"] = {"top1_error": 40.0, "top5_error": 5.0}
    folder.keep_errors(expected)
    assert folder.stored_errors() == expected
    assert folder.finished_results() == results
    longer = RunFolder(folder.path, dataclasses.replace(folder.config, epochs=3))
    assert longer.stored_errors() == {}
    longer.begin({"epoch": 2, "step": 0, "stopped": False}, {})
    assert folder.stored_errors() == results["errors"]


def test_a_training_without_results_has_not_ended(finished):
    folder, _ = finished
    folder.results_path.unlink()
    assert folder.finished_results() is None


@pytest.mark.parametrize("name", ["history.csv", "classifier.keras", "curves.png", "results.json"])
def test_files_of_something_else_are_left_alone(name, tmp_path):
    folder = RunFolder(tmp_path, TrainingConfig())
    folder.check_settings()  # an empty folder is new
    (tmp_path / name).write_text("of something else")
    with pytest.raises(ValueError, match=f"`workdir` must be .* would replace: {tmp_path / name}$"):
        folder.check_settings()
    assert (tmp_path / name).read_text() == "of something else"


def test_an_epoch_that_has_begun_keeps_its_schedule(tmp_path):
    short = TrainingConfig(epochs=4, schedule="step", lr_milestones=(0.75,))
    # The next epoch, the fourth, has the lower rate.
    state = {"epoch": 3, "step": 0, "stopped": False}
    data = {"classes": 2, "train_count": 6, "class_names": ["cats", "dogs"]}
    RunFolder(tmp_path, short).begin(state, data)
    longer = RunFolder(tmp_path, dataclasses.replace(short, epochs=8))
    longer.check_position(state, data)
    with pytest.raises(ValueError, match="stored before epoch 4, requested before epoch 7"):
        longer.check_position({**state, "step": 1}, data)
