"""The command for GPUs runs its parts on a CPU too; a part that fails does not stop the others."""

import importlib
import json
import subprocess
from types import SimpleNamespace

import pytest

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
    errors = json.loads((tmp_path / "two_devices" / "results.json").read_text())["errors"]
    assert 0 <= errors["center"]["top1_error"] <= 100
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
