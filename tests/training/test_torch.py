"""`tests/test_backends.py` runs these on PyTorch."""

import dataclasses

import keras
import numpy as np
import pytest

from alexnet_keras.distributed.devices import has_accelerator, scope_for
from alexnet_keras.distributed.hosts import join_hosts
from alexnet_keras.training.callbacks import DeterministicDropout
from alexnet_keras.training.config import training_config
from alexnet_keras.training.train import train_and_evaluate

if keras.backend.backend() != "torch":
    pytest.skip("needs PyTorch as the backend", allow_module_level=True)

TINY = {"filters": (8, 8, 8, 8, 8, 8), "units": (16, 16), "dropout": 0.0}


@pytest.fixture
def config(tiny_npz):
    return training_config("cifar", dataset=tiny_npz, epochs=1, batch_size=16, overrides=TINY)


def test_one_device():
    assert not has_accelerator()
    scope, description = scope_for(1)
    assert description.startswith("CPU: ")
    scope, same = scope_for(("CPU:0",))
    assert same == description
    with scope:
        assert keras.ops.zeros(1).device.type == "cpu"


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (2, "`devices` must be one device on the torch backend; .* Received: devices=2"),
        (("CPU:1",), "`devices` must be CPU:0, .* Received: devices=.'CPU:1'"),
        (("GPU:9",), "`devices` must be among the GPUs here: .* Received: devices=.'GPU:9'"),
    ],
)
def test_other_devices_are_refused_before_any_work(devices, message, config, tmp_path):
    with pytest.raises(ValueError, match=message):
        train_and_evaluate(dataclasses.replace(config, devices=devices), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_several_hosts_are_refused():
    with pytest.raises(RuntimeError, match="Several hosts need the JAX backend.* This is torch"):
        join_hosts(["a:1", "b:1"], 0)


def test_mixed_precision_trains(config, tmp_path):
    config = dataclasses.replace(config, precision="mixed_bfloat16", epochs=8, pca_noise="none")
    results = train_and_evaluate(config, tmp_path / "run", verbose=0)
    losses = [row["loss"] for row in results["history"]]
    assert losses[-1] < losses[0]
    network = keras.saving.load_model(tmp_path / "run" / "last.keras")
    assert {weight.dtype for weight in network.weights if weight.trainable} == {"float32"}
    assert network.get_layer("conv1").compute_dtype == "bfloat16"


def test_dropout_depends_on_the_seed_and_the_step_only():
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5)])
    model.compile("sgd")

    def mask(seed, step):
        model.optimizer.iterations.assign(step)
        callback = DeterministicDropout(seed)
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_train_batch_begin(0)
        return keras.ops.convert_to_numpy(model(np.ones((1, 1000)), training=True)) > 0

    first = mask(0, 7)
    np.testing.assert_array_equal(first, mask(0, 7))
    assert 400 < first.sum() < 600
    # Sums of seed and step would give equal masks.
    for other in (mask(7, 0), mask(1, 6), mask(0, 8)):
        assert 400 < (first == other).sum() < 600
