import json

import pytest

from benchmarks.devices import main
from tests import processes
from tests.conftest import TINY

SHARES = """
import json, sys
from alexnet_keras.distributed import scope_for
from alexnet_keras.training.config import training_config
from benchmarks.devices import build_training

with scope_for(2)[0]:
    config = training_config("cifar", batch_size=8, overrides=json.loads(sys.argv[1]))
    model, training = build_training(config)
    training(1)
    images = model.metrics[0].count.value  # of the loss, in each replica
    print([float(value) for value in images.values])
"""


@pytest.mark.slow
def test_replicas_share_the_batch():
    result = processes.run(["-c", SHARES, json.dumps(TINY)])
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == [4.0, 4.0]


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
