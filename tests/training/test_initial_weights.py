import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.training.config import training_config
from alexnet_keras.training.train import compile_for_training, train_and_evaluate

TINY = {"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16)}


@pytest.fixture
def pretrained(tmp_path):
    """A network of seven classes whose fc6 is wider than that of `TINY`."""
    keras.utils.set_random_seed(7)
    model = AlexNet("cifar", classes=7, input_shape=(28, 28, 3), **{**TINY, "units": (24, 16)})
    model.save(tmp_path / "pretrained.keras")
    return model, str(tmp_path / "pretrained.keras")


def tiny_config(data, **options):
    return training_config(
        "cifar",
        dataset=data,
        overrides=TINY,
        batch_size=16,
        epochs=1,
        test_views=("center",),
        **options,
    )


def weights_of(path):
    return {
        layer.name: layer.get_weights()
        for layer in keras.saving.load_model(path).layers
        if layer.weights
    }


def test_convolutions_are_moved_and_the_head_is_new(pretrained, tiny_npz, tmp_path):
    model, path = pretrained
    frozen = dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc7"), 0)
    config = tiny_config(tiny_npz, initial_weights=path, layer_learning_rates=frozen)
    train_and_evaluate(config, tmp_path / "run", verbose=0)
    after = weights_of(tmp_path / "run" / "last.keras")
    for name in frozen:
        theirs = model.get_layer(name).get_weights()[0]
        assert np.array_equal(theirs, after[name][0]) == name.startswith("conv"), name
    assert after["fc8"][0].shape == (16, 4)
    # fc7 started anew, and stood still: as in a training of the same seed that starts anew
    # altogether.
    anew = tiny_config(tiny_npz, layer_learning_rates=frozen)
    train_and_evaluate(anew, tmp_path / "anew", verbose=0)
    np.testing.assert_array_equal(
        weights_of(tmp_path / "anew" / "last.keras")["fc7"][0], after["fc7"][0]
    )

    Path(path).unlink()  # what has begun does not need it any more
    further = train_and_evaluate(dataclasses.replace(config, epochs=2), tmp_path / "run", verbose=0)
    assert len(further["history"]) == 2


def test_factors_of_the_learning_rate(tiny_npz, tmp_path):
    """One step without momentum or decay: a layer moves by its factor times as much."""
    steps = {}
    for factor in (1.0, 0.25):
        config = tiny_config(
            tiny_npz,
            momentum=0.0,
            weight_decay=0.0,
            layer_learning_rates={"fc8": factor},
            learning_rate=0.1,
        )
        keras.utils.set_random_seed(0)
        model = AlexNet(config.network, classes=4)
        compile_for_training(model, config)
        before = {name: model.get_layer(name).get_weights()[0] for name in ("fc7", "fc8")}
        keras.utils.set_random_seed(1)
        x = np.random.RandomState(0).normal(0, 60, (8, 28, 28, 3)).astype("float32")
        model.train_on_batch(x, np.arange(8) % 4)
        steps[factor] = {
            name: model.get_layer(name).get_weights()[0] - kernel for name, kernel in before.items()
        }
    np.testing.assert_allclose(steps[0.25]["fc8"], 0.25 * steps[1.0]["fc8"], rtol=1e-4, atol=1e-7)
    assert np.abs(steps[1.0]["fc8"]).max() > 1e-4
    np.testing.assert_allclose(steps[0.25]["fc7"], steps[1.0]["fc7"], rtol=1e-4, atol=1e-7)


def test_errors_come_before_any_work(pretrained, tiny_npz, tmp_path):
    _, path = pretrained
    (tmp_path / "text.keras").write_text("no model")
    for options, words in (
        (
            {"initial_weights": str(tmp_path / "none.keras")},
            "`initial_weights` must be a .keras file of a model",
        ),
        (
            {"initial_weights": str(tmp_path / "text.keras")},
            "`initial_weights` must be a .keras file of a model",
        ),
        (
            {"initial_weights": path, "initial_layers": ("conv9",)},
            "Received: 'conv9', which is not in .*pretrained",
        ),
        (
            {"initial_weights": path, "initial_layers": ("fc6",)},
            "Received: fc6: stored .*24.*, requested .*16",
        ),
        (
            {"initial_weights": path, "initial_layers": ("fc8",)},
            "Received: fc8: stored .*7.*, requested .*4",
        ),
        (
            {"layer_learning_rates": {"conv6": 0.1}},
            "`layer_learning_rates` must be for layers of conv1, .*, fc8. Received: conv6",
        ),
        (
            {"layer_weight_decay": {"conv6": 0.1}},
            "`layer_weight_decay` must be for layers of conv1, .*, fc8. Received: conv6",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            train_and_evaluate(tiny_config(tiny_npz, **options), tmp_path / "run", verbose=0)
        assert not (tmp_path / "run" / "last.keras").exists()
    with pytest.raises(ValueError, match="`initial_layers` needs `initial_weights`"):
        tiny_config(tiny_npz, initial_layers=("conv1",))
    with pytest.raises(ValueError, match="`layer_learning_rates` must be numbers from 0 by layer"):
        tiny_config(tiny_npz, layer_learning_rates={"conv1": float("inf")})
