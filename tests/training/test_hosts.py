"""Several hosts: processes of their own, which meet over loopback."""

import csv
import signal
import socket
import subprocess
import time

import keras
import numpy as np
import pytest

from alexnet_keras.distributed.devices import data_parallel
from alexnet_keras.distributed.hosts import join_hosts
from experiments.train import main
from tests import processes
from tests.conftest import write_tiny_npz
from tests.processes import WITH_JAX

EPOCHS = 6
# The command, which waits at the end of an epoch for a file.
PAUSING = """
import os, sys, time
from pathlib import Path
import keras
from alexnet_keras.training import train
from experiments.train import main

folder = Path(sys.argv.pop(1))
paused_epoch = int(sys.argv.pop(1))
train_and_evaluate = train.train_and_evaluate

class Pause(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == paused_epoch:
            (folder / f"pauses_{os.getpid()}").touch()
            while not (folder / "go").exists():
                time.sleep(0.01)

def train_with_pause(*arguments, **options):
    return train_and_evaluate(*arguments, callbacks=[Pause()], **options)

train.train_and_evaluate = train_with_pause
main()
"""


def start(data, workdir, *arguments, before=("-m", "experiments.train")):
    """A training on JAX of a small network with normalization, groups, dropout and color noise."""
    options = (
        f"--preset cifar --dataset {data} --epochs {EPOCHS} --batch-size 16 --checkpoint-minutes 0"
    )
    options += " --overrides filters=(8,8,8,8,8,8) units=(16,16) hidden_layers=('fc7',)"
    options += " conv_layers=('conv1','conv2') --test-views center"
    # At this rate, differences of rounding do not grow.
    options += " --learning-rate 0.001 --pca-noise-end 0.5 --conv1-milestones 0.5 0.75"
    command = [*before, *options.split(), "--workdir", workdir, *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return processes.start(command, env=WITH_JAX, **streams)


def train_alone(data, workdir):
    process = start(data, workdir, "--backend", "jax")
    output = process.communicate()[0]
    assert process.returncode == 0, output


def start_hosts(data, workdir, epoch):
    """Starts two hosts, which pause at the end of an epoch; returns them and their release."""
    folder = workdir.with_name(f"pause_at_{epoch}")
    folder.mkdir()
    before = ["-c", PAUSING, folder, epoch]
    for _ in range(5):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        arguments = ["--hosts", f"localhost:{port}", f"localhost:{port}", "--host"]
        hosts = [start(data, workdir, *arguments, str(host), before=before) for host in (0, 1)]
        while all(host.poll() is None for host in hosts):
            if len(list(folder.iterdir())) == 2:
                return hosts, (folder / "go").touch
            time.sleep(0.05)
        # On a busy machine they may not meet within the 30 seconds that JAX gives them.
        outputs = [host.communicate()[0] for host in hosts]
        assert any("DEADLINE_EXCEEDED" in output for output in outputs), outputs
    raise AssertionError(outputs)


def rows(workdir):
    with open(workdir / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow(60)
def test_two_hosts_train_as_one_does_also_when_they_are_stopped_and_lost(tmp_path):
    # Neither 2 hosts nor 16 images of a batch divide the validation images.
    data = write_tiny_npz(tmp_path / "tiny.npz", validation_count=23)
    one = tmp_path / "one"
    two = tmp_path / "two"
    train_alone(data, one)

    (first, second), release = start_hosts(data, two, 2)
    second.kill()
    killed = time.monotonic()
    second.communicate()
    release()
    end = first.communicate()[0]
    # JAX itself notices after 100 seconds.
    assert time.monotonic() - killed < 90
    assert first.returncode == 1, end
    assert "Host 0 of 2 has lost another host" in end
    done = len(rows(two))
    assert done < EPOCHS

    hosts, release = start_hosts(data, two, done + 1)
    hosts[1].send_signal(signal.SIGINT)  # passed on as SIGTERM, which a cluster sends to one host
    release()
    ends = [host.communicate()[0] for host in hosts]
    assert [host.returncode for host in hosts] == [143, 130], ends
    assert "Stopped by SIGTERM" in ends[0]
    assert "host 0 prints and writes the results" in ends[1]
    assert len(rows(two)) < EPOCHS

    train_alone(data, two)
    for name in ("loss", "top1_error", "val_loss", "val_top1_error", "learning_rate"):
        values = [[float(row[name]) for row in rows(run)] for run in (one, two)]
        np.testing.assert_allclose(*values, rtol=1e-4, err_msg=name)
    models = [keras.saving.load_model(run / "last.keras") for run in (one, two)]
    for a, b in zip(
        *(model.variables + model.optimizer.variables for model in models), strict=True
    ):
        if "seed_generator" not in a.path:
            np.testing.assert_allclose(a, b, atol=1e-5, err_msg=a.path)


def test_says_what_hosts_need(monkeypatch, capsys):
    with pytest.raises(
        RuntimeError, match="Several hosts need the JAX backend: .* This is tensorflow"
    ):
        join_hosts(["a:1", "b:1"], 0)
    with pytest.raises(RuntimeError, match="need the JAX backend"):
        data_parallel()
    with pytest.raises(SystemExit, match="2"):
        main(["--workdir", "run", "--hosts", "a:1", "b:1", "--backend", "tensorflow"])
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(SystemExit, match="2"):
        main(["--workdir", "run", "--hosts", "a:1", "b:1"])
    assert "need --backend jax. Received: the backend tensorflow" in capsys.readouterr().err
    monkeypatch.delenv("KERAS_BACKEND")
    with pytest.raises(SystemExit, match="2"):
        main(["--workdir", "run", "--host", "1"])
    with pytest.raises(
        SystemExit,
        match="--backend must be tensorflow, which this process has loaded. Received: jax",
    ):
        main(["--workdir", "run", "--hosts", "a:1", "b:1"])
    code = """if True:
        import os, jax, pytest
        from alexnet_keras.distributed import join_hosts
        joined = []
        jax.distributed.initialize = lambda *hosts, **options: joined.append(hosts)
        for hosts in (["a", "b"], ["a:1"], []):
            with pytest.raises(ValueError, match="`addresses` .--hosts. must be NAME:PORT of two"):
                join_hosts(hosts, 0)
        with pytest.raises(ValueError, match="`host` needs `addresses`. Received: host=1, "):
            join_hosts(None, 1)
        for host in (None, -1, 2):
            with pytest.raises(ValueError, match=f"index, 0 to 1. Received: host={host}"):
                join_hosts(["a:1", "b:1"], host)
        join_hosts()  # Slurm and its like, which JAX knows
        join_hosts(["a:1", "b:2"], 1)
        keras = {"JOB_ADDRESSES": "a:1,b:2,c:3", "NUM_PROCESSES": "3", "PROCESS_ID": "2"}
        os.environ |= {f"KERAS_DISTRIBUTION_{name}": value for name, value in keras.items()}
        join_hosts()
        assert joined == [(), ("a:1", 2, 1), ("a:1", 3, 2)]
        # One host that has joined no others asks for its number before its devices are split.
        from alexnet_keras.distributed import scope_for
        from alexnet_keras.distributed.hosts import process_count, process_index
        assert (process_index(), process_count()) == (0, 1)
        assert "2 logical devices of the CPU" in scope_for(2)[1]
        assert len(jax.devices()) == 2
    """
    processes.run(["-c", code], env=WITH_JAX).check_returncode()
