import argparse
from pathlib import Path

import keras
import pytest

from alexnet_keras.cli.trained_network import claim_workdir, folder_of, open_dataset
from alexnet_keras.models.saved import check_exists


def test_an_image_size_of_zero_is_not_the_size_of_the_training(tmp_path):
    (tmp_path / "config.json").write_text('{"dataset": "shapes", "image_size": 32}')
    model = keras.Sequential([keras.Input((28, 28, 3)), keras.layers.Flatten()])
    weights = str(tmp_path / "best.keras")
    options = argparse.Namespace(weights=weights, dataset=None, image_size=0)
    with pytest.raises(ValueError, match="Received: crop_size=28, image_size=0"):
        open_dataset(model, options)


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
