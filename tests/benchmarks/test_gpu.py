"""The command for GPUs runs its parts on a CPU too; a part that fails does not stop the others."""

import importlib
import json
import subprocess
from types import SimpleNamespace

import keras
import pytest

from alexnet_keras.data import Dataset
from alexnet_keras.evaluation.evaluate import evaluate
from benchmarks import gpu
from tests import processes


@pytest.fixture
def forked_parts(monkeypatch):
    def start(command, text, **options):
        return processes.start(command[1:], **options)

    stand_in = SimpleNamespace(Popen=start, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr(gpu, "subprocess", stand_in)


@pytest.mark.slow
def test_two_logical_devices_train(tmp_path, forked_parts, few_shapes, capfd):
    results = gpu.main(["--smoke", "--parts", "two_devices", "--workdir", str(tmp_path)])
    assert results["two_devices"]["exit_status"] == 0
    printed = (tmp_path / "two_devices.txt").read_text()
    assert printed in capfd.readouterr().out
    assert "2 logical devices" in printed
    run = tmp_path / "two_devices"
    stored = json.loads((run / "results.json").read_text())
    network = keras.saving.load_model(run / "last.keras")
    config = stored["config"]
    dataset = Dataset("shapes", config["image_size"], config["crop_size"], class_subset=(0, 1))
    measured = evaluate(network, dataset, "center", verbose=0)
    assert stored["errors"]["center"] == pytest.approx(measured, rel=1e-4)
    stored = json.loads((tmp_path / "gpu.json").read_text())
    assert stored["parts"] == results
    assert stored["command"].startswith("python -m benchmarks.gpu --parts two_devices")
    assert stored["command"].endswith("--smoke")


def test_a_part_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    parts = {
        "one": lambda options: ["-c", "print('first'); raise SystemExit(3)"],
        "two": lambda options: ["-c", "print('second')"],
    }
    monkeypatch.setattr(gpu, "PARTS", parts)
    with pytest.raises(SystemExit, match="failed: one; see"):
        gpu.main(["--smoke", "--workdir", str(tmp_path)])
    stored = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert [part["exit_status"] for part in stored.values()] == [3, 0]
    assert (tmp_path / "one.txt").read_text() == "first\n"
    assert (tmp_path / "two.txt").read_text() == "second\n"


# Trains into a new folder, as the parts do.
TRAIN = "import pathlib, sys; pathlib.Path(sys.argv[1]).mkdir(); print('trained')"


def train_into(part):
    return lambda options: ["-c", TRAIN, f"{options.workdir}/{part}"]


def test_a_second_call_trains_anew(tmp_path, monkeypatch, capfd):
    parts = ("one_device", "two_devices")
    monkeypatch.setattr(gpu, "PARTS", {part: train_into(part) for part in parts})
    (tmp_path / "layers").mkdir()
    for _ in range(2):
        results = gpu.main(["--smoke", "--workdir", str(tmp_path)])
        assert [results[part]["exit_status"] for part in parts] == [0, 0]
        assert capfd.readouterr().out.count("trained\n") == 2
    assert (tmp_path / "layers").is_dir()


def test_a_folder_of_the_user_is_not_deleted(tmp_path, monkeypatch, capsys):
    """Neither in the first call nor in a second one."""
    monkeypatch.setattr(gpu, "PARTS", {"one_device": train_into("one_device")})
    file = tmp_path / "one_device" / "mine.txt"
    file.parent.mkdir()
    file.write_text("mine")
    for _ in range(2):
        with pytest.raises(SystemExit, match="2"):
            gpu.main(["--smoke", "--workdir", str(tmp_path)])
        assert "--workdir must have no one_device of yours" in capsys.readouterr().err
        assert file.read_text() == "mine"


def test_smoke_has_a_workdir_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpu, "_gpus", lambda: ["a GPU"])
    monkeypatch.setattr(gpu, "PARTS", {"one": lambda options: ["-c", "print('done')"]})
    for arguments, folder in (([], "results/benchmarks/gpu"), (["--smoke"], "runs/gpu_smoke")):
        gpu.main(arguments)
        assert {path.name for path in (tmp_path / folder).iterdir()} == {"gpu.json", "one.txt"}


def test_a_workdir_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="2"):
        gpu.main(["--smoke", "--workdir", str(tmp_path / "file")])
    assert "`workdir` must be a folder that can be written" in capsys.readouterr().err


def test_every_command_is_known_to_its_parser():
    """On a machine with GPUs as well as with --smoke."""
    for arguments in ([], ["--smoke"]):
        options = gpu._parser().parse_args(arguments)
        for part in ("training", "layers"):
            _, module, *words = gpu.PARTS[part](options)
            importlib.import_module(module)._parser().parse_args(words)


def test_a_machine_without_gpu_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "_gpus", list)
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "no GPU was found by TensorFlow. --smoke tries the parts on a CPU" in (
        capsys.readouterr().err
    )
