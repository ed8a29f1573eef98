import errno
import fcntl
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet_keras import files
from alexnet_keras.files import LOCK, holding, read_json, read_npz, replacing

# Loads the module alone, which takes a fraction of the time that Keras does.
HOLD_FOREVER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("files", sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
with files.holding(pathlib.Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_by_one_process_until_it_is_killed(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_FOREVER, files.__file__, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        words = (
            f"process {other.pid} on {socket.gethostname()} uses. Wait until it ends, or stop it"
        )
        for _ in range(2):  # who is refused changes nothing
            with pytest.raises(ValueError, match=re.escape(words)), holding(folder):
                pass
        other.kill()
    assert (folder / LOCK).exists()
    with (
        holding(folder),
        pytest.raises(ValueError, match=f"process {os.getpid()} on "),
        holding(folder),
    ):
        pass
    (folder / LOCK).write_text("process 1 on another-host")  # of a process that was killed
    with holding(folder):
        assert (folder / LOCK).read_text() == f"process {os.getpid()} on {socket.gethostname()}"


def test_nothing_is_left_of_a_folder_that_was_held(tmp_path):
    with holding(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run" / LOCK).exists()
    assert not (tmp_path / "new").exists()
    with holding(tmp_path / "new" / "run"):
        (tmp_path / "new" / "run" / "result").write_text("mine")
    assert [path.name for path in (tmp_path / "new" / "run").iterdir()] == ["result"]
    (tmp_path / "empty").mkdir()
    with holding(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").exists()


def test_a_file_of_the_user_is_not_taken_for_a_lock(tmp_path):
    (tmp_path / LOCK).write_text("my own data")
    message = f"`workdir` must be a folder without a file '{LOCK}' of yours"
    with pytest.raises(ValueError, match=message), holding(tmp_path):
        pass
    assert (tmp_path / LOCK).read_text() == "my own data"


def test_a_lock_that_is_removed_in_between_does_not_count(tmp_path, monkeypatch):
    flock = fcntl.flock
    removed = []

    def remove_first(descriptor, operation):
        if not removed:
            removed.append((tmp_path / LOCK).unlink())  # as the process does that held it until now
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with (
        holding(tmp_path),
        pytest.raises(ValueError, match="no other process uses"),
        holding(tmp_path),
    ):
        pass


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, capsys):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with holding(tmp_path):
        assert (
            f"{tmp_path} can't be locked ([Errno {errno.ENOLCK}] No locks available). Let no other"
            in (capsys.readouterr().out)
        )


def test_what_was_there_stays_where_a_file_cannot_be_written_whole(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(OSError, match="full"), replacing(path) as partial:
        partial.write_text("half")
        raise OSError("full")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_another_kind_are_named(tmp_path):
    path = Path(tmp_path / "file")
    for content in (b"", b"hello", b"[1]", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{path} must be a JSON"):
            read_json(path)
        with pytest.raises(
            ValueError, match=f"{path} must be an .npz file with x, y. It is damaged, or another"
        ):
            read_npz(path, "x", "y")
    path.write_text('{"x": 1}')
    assert read_json(path, "x") == {"x": 1}
    with pytest.raises(ValueError, match=f"{path} must be a JSON object with x, y. It is not"):
        read_json(path, "x", "y")


def test_processes_write_a_file_at_once(tmp_path):
    path = tmp_path / "cache.json"
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert [each.name for each in tmp_path.iterdir()] == ["cache.json"]
