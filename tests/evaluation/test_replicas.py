"""Errors measured by several replicas, in processes of their own, which may split the CPU."""

import json
import os

import pytest

from tests import processes

CODE = """
import json, os, sys
import keras, numpy as np
from alexnet_keras import AlexNet
from alexnet_keras.data import Dataset
from alexnet_keras.evaluation.evaluate import evaluate
from alexnet_keras.distributed import scope_for

keras.utils.set_random_seed(0)
random = np.random.RandomState(0)
whole = random.randint(0, 256, (12, 16, 16, 3)).astype("uint8")
options = dict(input_shape=(13, 13, 3), filters=(4,) * 6, kernel_sizes=(3,) * 6, paddings=(1,) * 6)
options |= dict(units=(4, 4), activation="tanh", conv_layers=("conv1", "conv2"))
options |= dict(hidden_layers=("fc7",))
scope_for(3)  # so many logical devices; later scopes use the first ones
errors = {}
cases = json.loads(sys.argv[1])
for replicas, some in ((1, cases), (3, cases), (2, cases[:2])):
    with scope_for(replicas)[0]:
        for normalization, count, views in some:
            keras.utils.set_random_seed(1)
            model = AlexNet("cifar", classes=3, normalization=normalization, **options)
            np.savez("x.npz", x_train=whole, y_train=np.arange(12) % 3, x_test=whole[:count],
                     y_test=np.arange(count) % 3)
            dataset = Dataset("x.npz", 16, 13, cache_dir="cache")
            batch_size = 6 * {"center": 2, "ten_crop": 10, "dense": 2}[views]
            found = evaluate(model, dataset, views, batch_size, verbose=0)
            errors[f"{replicas} {normalization} {count} {views}"] = found
print(json.dumps(errors))
"""
# With and without normalization, number of images, views. Neither 2 nor 3 replicas divide 7 images;
# of 1 image, all replicas but one get none. Two replicas evaluate the first two cases.
CASES = {
    "tensorflow": [
        (True, 1, "center"),
        (False, 7, "center"),
        (True, 7, "ten_crop"),
        (True, 7, "dense"),
    ],
    "jax": [(True, 7, "ten_crop")],
}


@pytest.mark.slow
@pytest.mark.parametrize("backend", CASES)
def test_the_errors_are_those_of_one_device(backend, tmp_path):
    flags = f"{processes.COMPILE_FAST} --xla_force_host_platform_device_count=3"
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    environment |= {"XLA_FLAGS": flags} if backend == "jax" else {}
    result = processes.run(["-c", CODE, json.dumps(CASES[backend])], cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    errors = json.loads(result.stdout.splitlines()[-1])
    for name, found in errors.items():
        replicas, _, case = name.partition(" ")
        assert found == pytest.approx(errors[f"1 {case}"], rel=1e-5), (replicas, case)
    # Not the same number for every case.
    assert len({round(found["loss"], 4) for found in errors.values()}) == len(CASES[backend])
