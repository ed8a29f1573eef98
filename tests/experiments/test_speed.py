"""Training throughput in the pages: its numbers, and stored benchmarks that lack them."""

import json
import re

import pytest

from experiments.reporting.speed import speed_figure, speed_sentences


def group(precision, batch_size, **speeds):
    """A stored group of the full-size network with one round."""
    implementations = {name: {"rounds": [{"training": speed}]} for name, speed in speeds.items()}
    return {"precision": precision, "batch_size": batch_size, "implementations": implementations}


CPU = group("float32", 128, alexnet_keras=30.0, alexnet_keras_jax=20.0, pytorch=24.0, limit=1.0)
GPU = group("bfloat16", 2048, alexnet_keras_jax=9000.0, pytorch=4000.0, pytorch_compile=6000.0)


def store(workdir, cpu_groups, gpu_groups):
    machine = {"processor": "A chip", "cores": 2}
    for folder, device, groups in (
        ("", "TensorFlow on A chip", cpu_groups),
        ("h200", "JAX on A GPU", gpu_groups),
    ):
        path = workdir / "benchmarks" / folder / "training.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": machine, "device": device, "groups": groups}))
    return workdir


def test_sentences(tmp_path):
    other = group("float32", 32, alexnet_keras=99.0, pytorch=1.0)
    assert speed_sentences(store(tmp_path, [other, CPU], [GPU])) == (
        "On 2 cores of an A chip, alexnet_keras trains 30.0 images per second (float32, batches of "
        "128): 1.25 times PyTorch's best. On one A GPU, it trains 9,000 images per second "
        "(bfloat16, batches of 2048): 1.50 times PyTorch's best."
    )


@pytest.mark.parametrize("use", [speed_sentences, speed_figure])
@pytest.mark.parametrize(
    ("cpu_groups", "gpu_groups", "message"),
    [
        (
            [{**CPU, "batch_size": 32}, {**CPU, "precision": "bfloat16"}],
            [GPU],
            "benchmarks/training.json must have paper in float32, batch size 128. "
            "Received: paper in float32, batch size 32; paper in bfloat16, batch size 128",
        ),
        (
            [{**CPU, "network": "small"}],
            [GPU],
            "must have paper in float32, batch size 128. Received: small in float32, batch size",
        ),
        (
            [CPU],
            [group("bfloat16", 2048, alexnet_keras_jax=1.0, limit=1.0)],
            "benchmarks/h200/training.json must have one of the implementations pytorch_compile, "
            "pytorch in bfloat16, batch size 2048. Received: alexnet_keras_jax, limit",
        ),
        (
            [group("float32", 128, pytorch=1.0)],
            [GPU],
            "one of the implementations alexnet_keras, alexnet_keras_jax in float32",
        ),
    ],
)
def test_benchmarks_without_the_shown_results(use, cpu_groups, gpu_groups, message, tmp_path):
    workdir = store(tmp_path, cpu_groups, gpu_groups)
    with pytest.raises(ValueError, match=re.escape(message)):
        use(workdir)
