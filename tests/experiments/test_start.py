"""The first seconds of a command, in which it imports Keras."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    path.stem for path in (ROOT / "experiments").glob("*.py") if path.stem != "__init__"
)
HEAVY = ("keras", "tensorflow", "jax", "scipy", "matplotlib", "h5py")


def test_commands_import_little_before_they_parse():
    names = [f"experiments.{name}" for name in COMMANDS]
    code = (
        f"import sys, {', '.join(names)}; print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("experiments.train", ["--workdir", "out"]),
        ("experiments.depth", ["--workdir", "out"]),
        ("experiments.kernels", ["--weights", "x.keras"]),
        ("experiments.report", ["--root", str(ROOT)]),
        ("alexnet_keras.convert", ["x.npy", "y.keras"]),
    ],
)
def test_ctrl_c_while_keras_is_imported_ends_a_command_in_one_line(command, arguments, tmp_path):
    keras = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    (tmp_path / "keras.py").write_text(keras)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", command, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "topped by Ctrl-C" in line
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["keras.py"]
