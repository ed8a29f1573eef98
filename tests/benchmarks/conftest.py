import subprocess
from types import SimpleNamespace

import pytest

from benchmarks import harness
from tests import processes


def fork_workers(monkeypatch, *before):
    """Forks the workers of benchmarks, with arguments before their own."""

    def start(command, text, **options):
        return processes.start([*before, *command[1:]], **options)

    monkeypatch.setenv("XLA_FLAGS", processes.COMPILE_FAST)
    monkeypatch.setattr(harness, "subprocess", SimpleNamespace(Popen=start, PIPE=subprocess.PIPE))


@pytest.fixture
def forked_workers(monkeypatch):
    fork_workers(monkeypatch)


@pytest.fixture
def narrow_workers(monkeypatch):
    fork_workers(monkeypatch, "-m", "tests.benchmarks.narrow")
