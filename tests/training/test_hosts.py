"""Several hosts: processes of their own, which meet over loopback."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from alexnet_keras.distributed.devices import data_parallel
from alexnet_keras.distributed.hosts import join_hosts
from experiments.train import main
from tests.conftest import write_tiny_npz

WITH_JAX = {
    **{**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.getcwd()},
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiles faster
}
EPOCHS = 9


def start(data, workdir, *arguments):
    """A training on JAX of a small network with normalization, groups, dropout and color noise."""
    options = (
        f"--preset cifar --dataset {data} --epochs {EPOCHS} --batch-size 16 --checkpoint-minutes 0"
    )
    options += " --overrides filters=(8,8,8,8,8,8) units=(16,16) --test-views center"
    options += " --pca-noise-end 0.5 --conv1-milestones 0.5 0.75"
    command = [
        sys.executable,
        "-m",
        "experiments.train",
        *options.split(),
        "--workdir",
        workdir,
        *arguments,
    ]
    return subprocess.Popen(
        command, env=WITH_JAX, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def start_hosts(data, workdir):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    hosts = ["--hosts", f"localhost:{port}", f"localhost:{port}"]
    return [start(data, workdir, *hosts, "--host", str(host)) for host in (0, 1)]


def rows(workdir):
    path = Path(workdir) / "history.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def wait_for_epoch(processes, workdir, epoch):
    while len(rows(workdir)) < epoch:
        assert all(process.poll() is None for process in processes), [
            process.communicate()[0] for process in processes
        ]
        time.sleep(0.01)


@pytest.mark.slow
def test_two_hosts_train_as_one_does_also_when_they_are_stopped_and_lost(tmp_path):
    data = write_tiny_npz(
        tmp_path / "tiny.npz", validation_count=23
    )  # which two hosts do not divide
    one = start(data, tmp_path / "one", "--backend", "jax")
    assert one.wait() == 0, one.communicate()[0]

    first, second = hosts = start_hosts(data, tmp_path / "two")
    wait_for_epoch(hosts, tmp_path / "two", 2)
    second.kill()
    killed = time.monotonic()
    end = first.communicate()[0]
    assert time.monotonic() - killed < 60
    assert first.returncode == 1, end
    assert "Host 0 of 2 has lost another host" in end
    done = len(rows(tmp_path / "two"))
    assert done < EPOCHS

    first, second = hosts = start_hosts(data, tmp_path / "two")
    wait_for_epoch(hosts, tmp_path / "two", done + 2)
    second.send_signal(signal.SIGINT)  # passed on as SIGTERM, which a cluster sends to one of them
    ends = [process.communicate()[0] for process in hosts]
    assert [process.returncode for process in hosts] == [143, 130], ends
    assert "Stopped by SIGTERM" in ends[0]
    assert "host 0 prints and writes the results" in ends[1]
    assert len(rows(tmp_path / "two")) < EPOCHS

    alone = start(data, tmp_path / "two", "--backend", "jax")
    assert alone.wait() == 0, alone.communicate()[0]
    for name in ("loss", "top1_error", "val_loss", "val_top1_error", "learning_rate"):
        values = [[float(row[name]) for row in rows(tmp_path / run)] for run in ("one", "two")]
        np.testing.assert_allclose(*values, rtol=1e-4, err_msg=name)
    models = [keras.saving.load_model(tmp_path / run / "last.keras") for run in ("one", "two")]
    for a, b in zip(
        *(model.variables + model.optimizer.variables for model in models), strict=True
    ):
        if "seed_generator" not in a.path:
            np.testing.assert_allclose(a, b, atol=1e-5, err_msg=a.path)


def test_says_what_hosts_need():
    with pytest.raises(
        RuntimeError, match="Several hosts need the JAX backend: .* This is tensorflow"
    ):
        join_hosts(["a:1", "b:1"], 0)
    with pytest.raises(RuntimeError, match="need the JAX backend"):
        data_parallel()
    with pytest.raises(SystemExit, match="2"):
        main(["--workdir", "run", "--hosts", "a:1", "b:1", "--backend", "tensorflow"])
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
            with pytest.raises(ValueError, match="`hosts` must be NAME:PORT of two hosts or more"):
                join_hosts(hosts, 0)
        with pytest.raises(ValueError, match="`host` needs `hosts`. Received: host=1, hosts=None"):
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
    subprocess.run(
        [sys.executable, "-c", code], env={**WITH_JAX, "KERAS_BACKEND": "jax"}, check=True
    )
