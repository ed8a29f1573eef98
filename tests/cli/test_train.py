import json
import os
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from alexnet_keras.cli.train import _choose_backend, draw, main


def test_the_backend_is_set_before_keras_is_imported(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delitem(sys.modules, "keras")
    _choose_backend("jax")
    assert os.environ["KERAS_BACKEND"] == "jax"


def trained_config(monkeypatch, *arguments):
    """The configuration that a command would train with."""
    configs = []
    monkeypatch.setattr("alexnet_keras.cli.train._can_draw", lambda: False)
    monkeypatch.setattr(
        "alexnet_keras.training.train.train_and_evaluate",
        lambda config, *others, **options: configs.append(config),
    )
    main(["--workdir", "run", *arguments])
    return configs[0]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("conv1_milestones", (0.5, 0.9)),
        ("class_subset", (3, 1)),
        ("bias_learning_rate", 0.02),
    ],
)
def test_none_is_accepted_where_the_help_names_it(field, values, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    flag = "--" + field.replace("_", "-")
    texts = map(str, values if isinstance(values, tuple) else (values,))
    assert getattr(trained_config(monkeypatch, flag, *texts), field) == values
    expected = () if isinstance(values, tuple) else None
    assert getattr(trained_config(monkeypatch, flag, "none"), field) == expected


@pytest.mark.parametrize("flag", ["--overrides none activation=tanh", "--lr-milestones none 0.5"])
def test_none_beside_values_is_refused(flag, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="must be none or values. Received: none "):
        trained_config(monkeypatch, *flag.split())


def test_none_as_milestones_of_a_preset_that_has_some(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    preset = ("--preset", "vgg_A", "--schedule", "step")
    assert trained_config(monkeypatch, *preset, "--lr-milestones", "0.5").lr_milestones == (0.5,)
    assert trained_config(monkeypatch, *preset, "--lr-milestones", "none").lr_milestones == ()
    assert trained_config(monkeypatch, *preset, "--scale-jitter", "none").scale_jitter == ()


def test_none_as_the_factors_of_layers(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    flag = "--layer-learning-rates"
    config = trained_config(monkeypatch, flag, "conv1=0", "fc8=2.5")
    assert config.layer_learning_rates == {"conv1": 0, "fc8": 2.5}
    assert trained_config(monkeypatch, flag, "none").layer_learning_rates == {}


@pytest.mark.parametrize("color_order", ["RGB", "BGR"])
def test_kernels_are_drawn_in_rgb(color_order, tmp_path):
    pytest.importorskip("matplotlib")
    model = keras.Sequential([keras.Input((9, 9, 3)), keras.layers.Conv2D(4, 3, name="conv1")])
    kernel = np.zeros((3, 3, 3, 4), "float32")
    kernel[:, :, color_order.index("R")] = 1  # each kernel sees red only
    model.get_layer("conv1").set_weights([kernel, np.zeros(4)])
    model.save(tmp_path / "last.keras")
    np.savez(tmp_path / "preparation.npz", mean=np.zeros(3), color_order=color_order)
    config = {"pretrained": "x", "mean_subtraction": "color", "image_size": 9, "overrides": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    history = [{"loss": 1, "top1_error": 50, "learning_rate": 0.1}]
    draw({"config": config, "history": history, "data": {"name": "photos"}}, tmp_path)
    with Image.open(tmp_path / "kernels.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (pixels[..., 0] > pixels[..., 2] + 50).any()
    assert not (pixels[..., 2] > pixels[..., 0] + 50).any()
