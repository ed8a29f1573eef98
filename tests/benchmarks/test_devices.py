import json

import pytest

from benchmarks.devices import main


@pytest.mark.slow
def test_measures_in_rounds(tmp_path, capsys, monkeypatch, forked_workers):
    replicas = "TensorFlow, two replicas"
    towers = "JAX, two towers"
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    options = ["--preset", "cifar", "--batch-size", "4", "--rounds", "2", "--seconds", "0.01"]
    options += ["--workdir", str(tmp_path), "--implementations", replicas, towers]
    stored = main(options)
    assert stored == json.loads((tmp_path / "devices.json").read_text())
    for name in (replicas, towers):
        measured = stored["implementations"][name]
        assert len(measured["rounds"]) == 2
        assert min(figures["training"] for figures in measured["rounds"]) > 0
        assert "2 logical devices of the CPU" in measured["description"]
    assert stored["implementations"][towers]["description"].endswith(", a tower on each")
    table = (tmp_path / "devices.md").read_text()
    row = next(line for line in table.splitlines() if line.startswith(f"| {replicas} |"))
    assert "| 100% |" in row
    assert row in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--batch-size", "3"], ["--batch-size", "0"], ["--implementations", "PyTorch"]]
)
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert arguments[0] in capsys.readouterr().err
