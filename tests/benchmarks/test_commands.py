"""That each benchmark runs from end to end, small, and says what it measured."""

import json

import pytest

from benchmarks import growth, input_pipeline, layers, networks, start_up, step_profile, training


def _stored(module, workdir, arguments):
    stored = module.main([*arguments, "--rounds", "1", "--workdir", str(workdir)])
    name = module.__name__.rpartition(".")[2]
    assert json.loads((workdir / f"{name}.json").read_text()) == stored
    assert stored["command"].startswith(f"python -m benchmarks.{name} ")
    return stored, (workdir / f"{name}.md").read_text()


@pytest.mark.slow
def test_training(tmp_path, small_folder):
    """Ours, and what is for a GPU."""
    ways = ["ours", "ours_jax_pipeline"]
    options = [
        "--batch-sizes",
        "2",
        "--precisions",
        "float32",
        "--limit-backend",
        "jax",
        "--classes",
        "10",
    ]
    options += [
        "--seconds",
        "0.01",
        "--dataset",
        str(small_folder),
        "--trace",
        str(tmp_path / "trace"),
    ]
    stored, table = _stored(training, tmp_path, [*options, "--ways", *ways])
    assert stored["flops_per_image"]["inference_flops"] == 2 * (724_406_816 - 990 * 4096)
    assert stored["device"].startswith("JAX on ")
    measured = stored["groups"][0]["ways"]
    assert set(measured) == {*ways, "limit"}
    figures = {"ours": {"training", "inference"}, "ours_jax_pipeline": {"training"}}
    for way, name in zip(ways, ("ours, TensorFlow", "ours, JAX, from JPEGs"), strict=True):
        assert set(measured[way]["turns"][0]) == figures[way]
        assert min(measured[way]["turns"][0].values()) > 0
        assert f"| {name} |" in table
        assert list((tmp_path / "trace" / f"{way}_float32_2").rglob("*.xplane.pb"))
    assert (tmp_path / "training.png").exists()


@pytest.mark.slow
def test_layers(tmp_path):
    options = ["--batch-size", "1", "--layers", "conv1", "norm2", "pool5", "--seconds", "0.01"]
    ways = ["ours", "ours_jax", "keras_jax"]
    stored, table = _stored(
        layers, tmp_path, [*options, "--ways", *ways, "--precision", "bfloat16"]
    )
    assert min(min(stored["ways"][way]["turns"][0].values()) for way in ways) > 0
    assert "a batch of 1, bfloat16" in table
    assert "| pool5 |" in table
    assert (tmp_path / "layers.png").exists()


@pytest.mark.slow
def test_step_profile(tmp_path):
    stored, table = _stored(
        step_profile, tmp_path, ["--batch-size", "1", "--precisions", "bfloat16"]
    )
    ways = stored["groups"][0]["ways"]
    spent, without = (ways[way][0]["layers"] for way in ("ours", "ours_without_normalization"))
    assert set(spent) - set(without) == {"norm1", "norm2"}
    for layer in (
        "conv1",
        "norm1",
        "pool1",
        "conv2",
        "norm2",
        "pool2",
        "conv3",
        "conv4",
        "conv5",
        "pool5",
        "fc6",
        "fc8",
    ):
        assert min(spent[layer]) > 0
    assert spent[step_profile.UPDATE][1] > 0
    assert sum(spent[step_profile.OTHER]) < 0.1 * sum(map(sum, spent.values()))
    assert "| norm1 |" in table
    assert (tmp_path / "step_profile.png").exists()


def test_operations_by_layer():
    operations = [
        ("S/gradient_tape/alexnet_1/conv3_1/convolution/Conv2DBackpropFilter:T", 2.0),
        ("S/alexnet_1/relu3_1/Relu:T", 1.0),
        (
            "CpuExecutable::ExecuteAsyncOnStream",
            0.5,
        ),  # norm1, norm2; then backward, in two passes each
        ("CpuExecutable::ExecuteAsyncOnStream", 0.125),
        ("CpuExecutable::ExecuteAsyncOnStream", 1.0),
        ("CpuExecutable::ExecuteAsyncOnStream", 1.0),
        ("CpuExecutable::ExecuteAsyncOnStream", 3.0),
        ("CpuExecutable::ExecuteAsyncOnStream", 4.0),
        ("S/gradient_norm1/Cast:Cast", 0.5),
        ("S/alexnet_sgd/ResourceApplyKerasMomentum_12:T", 4.0),
        ("S/truediv:RealDiv", 0.25),
        ("EagerLocalExecute: step", 99.0),  # not an operation
        ("ExecutorState::Process", 99.0),
    ]
    passes = {"norm1": (1, 2), "norm2": (1, 2), "conv3": (0, 0), "relu3": (0, 0)}
    assert step_profile.by_layer(operations, passes) == {
        "conv3": [1.0, 2.0],
        "norm1": [0.5, 7.5],
        "norm2": [0.125, 2.0],
        step_profile.UPDATE: [0, 4.0],
        step_profile.OTHER: [0.25, 0],
    }


@pytest.mark.slow
def test_growth(tmp_path):
    stored, table = _stored(
        growth, tmp_path, ["--batch-size", "1", "--image-size", "--classes", "--seconds", "0.01"]
    )
    assert stored["sweeps"]["batch_size"][0]["turns"][0]["parameters"] == 60_965_224
    assert "| 1 |" in table
    assert (tmp_path / "growth.png").exists()


@pytest.mark.slow
def test_networks(tmp_path, capsys):
    options = ["--batch-size", "1", "--classes", "10", "--seconds", "0.01"]
    stored, table = _stored(networks, tmp_path, [*options, "--presets", "cifar", "source"])
    real = stored["networks"]["source"]["turns"][0]
    assert real["parameters"] == 60_965_224 - 990 * 4097
    assert real["step_seconds"] > stored["networks"]["cifar"]["turns"][0]["step_seconds"] > 0
    assert (
        real["peak_memory_mib"] > 3 * 4 * real["parameters"] / 2**20
    )  # weights, gradients, momenta
    assert "| source | 56,909,194 |" in table
    with pytest.raises(SystemExit):
        networks.main(["--presets", "vgg_F"])
    assert "vgg_F" in capsys.readouterr().err


@pytest.mark.slow
def test_start_up(tmp_path, monkeypatch):
    seconds, codes = start_up._seconds, []
    # Of the imports, each of which takes as long as a test should, only that which the step's process does.
    monkeypatch.setattr(start_up, "_seconds", lambda code: codes.append(code) or seconds("pass"))
    stored, table = _stored(start_up, tmp_path, ["--batch-size", "1"])
    turn = stored["turns"][0]
    assert turn["build_and_first_step"] == turn["build"] + turn["first_step"]
    assert codes[1:] == ["import keras", "import alexnet_keras"]
    assert min(turn.values()) > 0
    assert "`import alexnet_keras`" in table


@pytest.mark.slow
def test_input_pipeline(tmp_path, small_folder):
    options = [
        "--dataset",
        str(small_folder),
        "--image-size",
        "32",
        "--crop-size",
        "28",
        "--images",
        "256",
    ]
    options += ["--small", str(small_folder), "--small-steps", "1", "--seconds", "0.01"]
    stored, table = _stored(input_pipeline, tmp_path, options)
    stages = ("read", "decode", "crop", "train")
    assert min(stored[kind][0][stage] for kind in ("stored", "prepared") for stage in stages) > 0
    assert "training pipeline as a share of decoding" in table
    assert (tmp_path / "input_pipeline.png").exists()


@pytest.fixture
def small_folder(tmp_path):
    """A folder with 256 JPEGs of noise in two classes."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for split, count in (("train", 128), ("val", 4)):
        for name in "ab":
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(random.integers(0, 256, (40, 48, 3), dtype="uint8"))
                image.save(tmp_path / "images" / split / name / f"{number}.jpg")
    return tmp_path / "images"
