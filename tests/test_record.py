import json
import os
import sys

import keras
import pytest

from alexnet_keras.record import as_stored, check_folder, differences, provenance


def test_provenance_is_the_command_the_machine_and_the_versions():
    found = provenance("python -m me", devices="CPU: x", hosts=2)
    assert set(found) == {"command", "machine", "versions"}
    assert found["command"] == "python -m me"
    assert found["machine"] == {
        "devices": "CPU: x",
        "hosts": 2,
        "processor": found["machine"]["processor"],
        "cores": os.cpu_count(),
    }
    assert found["versions"]["keras"] == keras.__version__
    assert found["versions"]["python"] == sys.version.split()[0]


def test_provenance_names_modules_of_other_processes(monkeypatch):
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    assert "jax" not in provenance(None)["versions"]
    assert "jax" in provenance(None, modules=("jax",))["versions"]


def test_differences_are_named_with_both_values():
    requested = as_stored({"seed": 1, "lr_milestones": (0.5,), "same": (1, 2)})
    stored = {"seed": 0, "same": [1, 2], "old": "x"}
    assert differences(requested, stored) == [
        "seed: stored 0, requested 1",
        "lr_milestones: stored None, requested [0.5]",
        "old: stored 'x', requested None",
    ]
    assert differences(requested, stored, ["seed"], owner="relu") == [
        "seed of relu: stored 0, requested 1"
    ]


def test_a_folder_is_new_or_has_the_same_settings(tmp_path):
    path = tmp_path / "run" / "config.json"
    check_folder(path, {"sizes": (1, 2)}, expected="a new folder")  # none yet
    path.parent.mkdir()
    (path.parent / "lock").touch()  # of this process
    check_folder(path, {"sizes": (1, 2)}, expected="a new folder")
    (path.parent / "letter.txt").touch()
    with pytest.raises(
        ValueError, match=r"`into` must be a new folder. Received: into='.*run', .* no config.json$"
    ):
        check_folder(path, {"sizes": (1, 2)}, argument="into", expected="a new folder")
    path.write_text(json.dumps({"sizes": [1, 2]}))
    check_folder(path, {"sizes": (1, 2)}, expected="a new folder")
    with pytest.raises(
        ValueError, match=r"which holds other settings: sizes: stored \[1, 2\], requested \[1, 3\]$"
    ):
        check_folder(path, {"sizes": (1, 3)}, expected="a new folder")
    path.write_text(json.dumps({"sizes": [1, 2], "data": "x"}))
    check_folder(path, {"sizes": (1, 2)}, ["sizes"], expected="a new folder")
    with pytest.raises(ValueError, match="settings: data: stored 'x', requested None$"):
        check_folder(path, {"sizes": (1, 2)}, expected="a new folder")
