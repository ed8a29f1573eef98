import subprocess
from types import SimpleNamespace

import pytest

from benchmarks import harness
from tests import processes


def fork_workers(monkeypatch, *before):
    """Forks the workers of benchmarks, with arguments before their own."""

    def start(command, text, **options):
        return processes.start([*before, *command[1:]], **options)

    def run(command, env, **options):
        return processes.run(command[1:], env=env)

    monkeypatch.setenv("XLA_FLAGS", processes.COMPILE_FAST)
    forked = SimpleNamespace(Popen=start, run=run, PIPE=subprocess.PIPE)
    monkeypatch.setattr(harness, "subprocess", forked)


@pytest.fixture
def forked_workers(monkeypatch):
    fork_workers(monkeypatch)


@pytest.fixture
def narrow_workers(monkeypatch):
    fork_workers(monkeypatch, "-m", "tests.benchmarks.narrow")
