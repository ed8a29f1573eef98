import json

import pytest

from benchmarks.devices import main


@pytest.mark.slow
def test_measures_in_turns(tmp_path, capsys, monkeypatch):
    ways = ["TensorFlow, two replicas", "JAX, two towers"]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    options = ["--preset", "cifar", "--batch-size", "4", "--rounds", "2", "--seconds", "0.01"]
    stored = main([*options, "--workdir", str(tmp_path), "--ways", *ways])
    assert stored == json.loads((tmp_path / "devices.json").read_text())
    for way in ways:
        measured = stored["ways"][way]
        assert len(measured["turns"]) == 2
        assert min(turn["training"] for turn in measured["turns"]) > 0
        assert "2 logical devices of the CPU" in measured["words"]
    assert "a tower on each of" in stored["ways"][ways[1]]["words"]
    assert "| TensorFlow, two replicas |" in (tmp_path / "devices.md").read_text()
    assert "| TensorFlow, two replicas |" in capsys.readouterr().out


def test_bad_arguments(capsys):
    for arguments in (["--batch-size", "3"], ["--batch-size", "0"], ["--ways", "PyTorch"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert arguments[0] in capsys.readouterr().err
