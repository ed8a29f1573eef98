"""Towers on two devices, in separate processes, as JAX reads the device count at its start."""

import math
import re
import textwrap

import pytest

from alexnet_keras.distributed import two_towers
from tests import processes

TWO_DEVICES = {**processes.WITH_JAX, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
# The layers of the source's network, with both normalizations, at a size that compiles quickly.
PREPARE = """
    import alexnet_keras, jax, keras, numpy as np
    from alexnet_keras.distributed import two_towers
    from alexnet_keras.models import alexnet_config

    stages = alexnet_config("source").stages
    options = dict(filters=(8, 16, 24, 24, 16, 16), units=(32, 32), dropout=0.0)
    options |= dict(stages=stages, classes=5)
    random = np.random.RandomState(0)
    images, labels = random.normal(0, 60, (8, 32, 32, 3)).astype("float32"), np.arange(8) % 5

    def model():
        keras.utils.set_random_seed(0)
        model = alexnet_keras.AlexNet("cifar", **options)
        model.compile(alexnet_keras.AlexNetSGD(0.01), "sparse_categorical_crossentropy")
        return model
"""


def run(code, flags=""):
    code = textwrap.dedent(PREPARE) + textwrap.dedent(code)
    environment = {**TWO_DEVICES, "XLA_FLAGS": f"{TWO_DEVICES['XLA_FLAGS']} {flags}"}
    result = processes.run(["-c", code], env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow(20)
def test_two_devices_compute_what_one_does():
    run(
        """
        one = model()
        before = np.asarray(one(images))
        for _ in range(5):
            one.train_on_batch(images, labels)
        # it has learned something
        assert np.abs(one.predict(images, verbose=0) - before).max() > 0.01
        keras.distribution.set_distribution(two_towers())
        two = model()
        np.testing.assert_allclose(before, two(images), rtol=1e-5, atol=1e-6)
        for _ in range(5):
            two.train_on_batch(images, labels)
        of_one = one.variables + one.optimizer.variables
        of_two = two.variables + two.optimizer.variables
        for a, b in zip(of_one, of_two, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=a.path)
    """,
        processes.COMPILE_FAST,
    )


@pytest.mark.slow(20)
def test_each_device_holds_its_tower_and_data_crosses_where_the_paper_says():
    out = run(
        """
        for devices in (["cpu:0"], ["cpu:0", "cpu:0"], ["cpu:0", "gpu:7"]):
            try:
                two_towers(devices)
            except ValueError as error:
                print(error)
        one = model()
        keras.distribution.set_distribution(two_towers())
        two = model()
        two.train_on_batch(images, labels)
        for variable in two.weights + two.optimizer.variables:
            parts = sorted(variable.value.addressable_shards, key=lambda part: part.device.id)
            places = [part.index[-1:] for part in parts]
            print("placed", variable.path, variable.shape[-1:], *places, sep="|")
        two = model()
        for variable, value in zip(two.weights, one.get_weights(), strict=True):
            shards = variable.value.addressable_shards
            (first, second) = sorted(shards, key=lambda part: part.device.id)
            half = value.shape[-1] // 2
            if "fc8" not in variable.path:
                np.testing.assert_array_equal(first.data, value[..., :half])
                np.testing.assert_array_equal(second.data, value[..., half:])

        values = [variable.value for variable in two.trainable_variables]

        def loss(values, images):
            outputs, _ = two.stateless_call(values, [], images, training=True)
            return -keras.ops.mean(keras.ops.log(outputs[:, 0]))

        print(jax.jit(jax.grad(loss)).lower(values, images).compile().as_text())
    """,
        processes.COMPILE_FAST,
    )
    assert out.count("`devices` must be two of cpu:0, cpu:1. Received: devices=[") == 3
    placed = {
        path: rest
        for _, path, *rest in (
            line.split("|") for line in out.splitlines() if line[:7] == "placed|"
        )
    }
    halves = [path for path, (_, first, second) in placed.items() if first != second]
    for layer in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"):
        for weight in ("kernel", "bias"):
            assert sum(layer in path and weight in path for path in halves) == 2, (
                layer,
                weight,
            )  # and its momentum
    assert not any("fc8" in path for path in halves)
    crossing = {}
    for shape, kind, name in re.findall(
        r"= (\(.*?\)|\S+) "
        r"(all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("
        r".*op_name=\"([^\"]*)\"",
        out,
    ):
        layer = re.search(r"(conv\d|norm\d|pool\d|spatial\w*\d|flatten|fc\d)", name)
        crossing.setdefault(layer and layer[0], []).append((kind, shape.split("{")[0]))
    assert set(crossing) <= {"conv3", "flatten", "fc6", "fc7", "fc8", None}, crossing
    assert all(re.fullmatch(r"f32\[8(,1)?\]", shape) for _, shape in crossing.get(None, ())), (
        crossing
    )  # of the loss
    # Into conv3 all maps of conv2 go to both devices, 8x8 positions of 16 maps for 8 images; back
    # come their gradients.
    assert sorted(crossing["conv3"]) == [
        ("all-gather", "f32[8,8,8,16]"),
        ("all-reduce", "f32[8,8,8,16]"),
    ]
    # Count the numbers that cross for an image. Forward, the paper's GPUs send each other half of
    # the inputs of conv3, fc6 and fc7. For fc8, XLA sends sums of both halves. Backward, it sends
    # whole gradients where halves would do.
    inputs = 8 * 8 * 16 + 4 * 4 * 16 + 32
    crossed = 0
    for kind, shape in (exchange for exchanges in crossing.values() for exchange in exchanges):
        size = math.prod(int(length) for length in re.findall(r"\d+", shape.partition("[")[2]))
        crossed += (
            (2 if kind == "all-reduce" else 1) * size / 8
            if "[8,1]" not in shape and "[8]" not in shape
            else 0
        )
    assert crossed == inputs + 2 * 5 + 2 * inputs


def test_needs_jax():
    with pytest.raises(
        RuntimeError, match="KERAS_BACKEND=jax before keras is imported. This is tensorflow"
    ):
        two_towers()
