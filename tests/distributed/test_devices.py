import keras
import pytest
import tensorflow as tf

from alexnet_keras.distributed.devices import (
    DeviceRequest,
    has_accelerator,
    parse_devices,
    scope_for,
)


@pytest.mark.parametrize(
    ("devices", "request_", "option"),
    [
        (3, DeviceRequest((0, 1, 2)), 3),
        (["2"], DeviceRequest((0, 1)), 2),  # from a command line
        (("GPU:0", "GPU:2"), DeviceRequest((0, 2), "GPU"), ("GPU:0", "GPU:2")),
        (["CPU:1"], DeviceRequest((1,), "CPU"), ("CPU:1",)),
    ],
)
def test_devices_are_a_number_or_names(devices, request_, option):
    assert parse_devices(devices) == request_
    assert parse_devices(devices).option == option
    assert parse_devices(devices).count == len(request_.indices)


@pytest.mark.parametrize(
    "devices",
    [
        0,
        -1,
        1.5,
        None,
        "2",
        [],
        ["0"],
        ["2", "3"],
        ["GPU:0", "GPU:00"],
        ["GPU:0", "CPU:1"],
        ["gpu:0"],
        [0.5],
    ],
)
def test_other_devices_are_refused(devices):
    with pytest.raises(
        ValueError,
        match="`devices` must be a positive whole number, or different names of one kind",
    ):
        parse_devices(devices)


def device(kind):
    return tf.config.PhysicalDevice(f"/physical_device:{kind}:0", kind)


@pytest.mark.parametrize(
    ("backend", "listed", "expected"),
    [
        ("tensorflow", [device("CPU")], False),
        ("tensorflow", [device("CPU"), device("GPU")], True),
        ("tensorflow", [device("CPU"), device("TPU")], True),
        ("jax", ["cpu:0", "cpu:1"], False),
        ("jax", ["gpu:0"], True),
    ],
)
def test_an_accelerator_is_any_device_but_a_cpu(backend, listed, expected, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda: listed)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: listed)
    assert has_accelerator() == expected


def test_a_backend_without_training_is_named(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(ValueError, match="tensorflow, jax and torch backends. Received: numpy"):
        scope_for(1)


def test_a_divided_gpu_counts_once_for_each_part(monkeypatch):
    part = tf.config.LogicalDeviceConfiguration(memory_limit=1024)
    divided = {"GPU": [part, part]}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [device(kind)])
    monkeypatch.setattr(
        tf.config, "get_logical_device_configuration", lambda gpu: divided.get(gpu.device_type)
    )
    with pytest.raises(ValueError, match="among the GPUs here: GPU:0, GPU:1. Received"):
        scope_for(3)
