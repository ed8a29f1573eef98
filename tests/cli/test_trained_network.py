import argparse
from pathlib import Path

import pytest

from alexnet_keras.cli.trained_network import claim_workdir, folder_of
from alexnet_keras.models.saved import check_exists


def test_weights_of_hugging_face_have_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = "hf://user/model"
    check_exists(weights)
    options = argparse.Namespace(weights=weights, workdir=None)
    message = f"`workdir` must be given for weights of Hugging Face. Received: weights={weights!r}"
    with pytest.raises(ValueError, match=message):
        claim_workdir(options, "kernels", {})
    assert not list(tmp_path.iterdir())
    options.workdir = str(tmp_path / "results")
    assert claim_workdir(options, "kernels", {}) == tmp_path / "results"
    with pytest.raises(ValueError, match="`activations` must be given"):
        folder_of(weights, "activations")
    assert folder_of("runs/x/best.keras", "activations") == Path("runs/x")
