import json

import pytest

from benchmarks.devices import main


@pytest.mark.slow
def test_measures_in_turns(tmp_path, capsys, monkeypatch):
    output = tmp_path / "devices.json"
    ways = ["TensorFlow, two replicas", "JAX, two towers"]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    options = ["--config", "cifar", "--batch-size", "4", "--rounds", "2", "--output", str(output)]
    results = main([*options, "--ways", *ways])
    assert results == json.loads(output.read_text())
    for way in ways:
        measured = results["images_per_second"][way]
        assert len(measured["runs"]) == 2
        assert min(measured["runs"]) > 0
        assert "2 logical devices of the CPU" in measured["devices"]
    assert "a tower on each of" in results["images_per_second"][ways[1]]["devices"]
    assert "| TensorFlow, two replicas |" in capsys.readouterr().out


def test_bad_arguments(capsys):
    for arguments in (["--batch-size", "3"], ["--rounds", "0"], ["--ways", "PyTorch"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert arguments[0][2:].split("-")[0] in capsys.readouterr().err
