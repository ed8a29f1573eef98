"""Each benchmark runs from end to end on a small setting and stores what it measures."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet_keras.data.options import ImageSelection
from alexnet_keras.data.sources import open_image_source
from benchmarks import (
    devices,
    harness,
    inference,
    input_pipeline,
    layers,
    networks,
    scaling,
    start_up,
    step_profile,
    training,
)
from tests import processes
from tests.benchmarks import narrow

RESULTS = Path(__file__).parents[2] / "results" / "benchmarks"


def run_and_read(module, workdir, arguments):
    """Runs a benchmark once; returns its results and its table."""
    stored = module.main([*arguments, "--rounds", "1", "--workdir", str(workdir)])
    name = module.__name__.rpartition(".")[2]
    assert json.loads((workdir / f"{name}.json").read_text()) == stored
    assert stored["command"].startswith(f"python -m benchmarks.{name} ")
    return stored, (workdir / f"{name}.md").read_text()


@pytest.mark.slow
def test_training(tmp_path, small_folder, narrow_workers):
    implementations = {
        "alexnet_keras": ("alexnet_keras, TensorFlow", {"training", "inference"}),
        "alexnet_keras_jax_pipeline": ("alexnet_keras, JAX, from JPEGs", {"training"}),
    }
    trace = tmp_path / "trace"
    options = ["--batch-sizes", "2", "--precisions", "float32", "--limit-backend", "jax"]
    options += ["--classes", "10", "--seconds", "0.01", "--dataset", str(small_folder)]
    options += ["--trace", str(trace), "--implementations", *implementations]
    stored, table = run_and_read(training, tmp_path, options)
    group = stored["groups"][0]
    assert group["flops_per_image"]["inference_flops"] == 2 * sum(narrow.multiply_adds(10))
    assert stored["device"].startswith("JAX on ")
    measured = group["implementations"]
    assert set(measured) == {*implementations, "limit"}
    for name, (label, figures) in implementations.items():
        first_round = measured[name]["rounds"][0]
        assert set(first_round) == figures
        assert min(first_round.values()) > 0
        assert f"| {label} |" in table
        assert list((trace / f"{name}_float32_2").rglob("*.xplane.pb"))
    assert (tmp_path / "training.png").exists()


@pytest.mark.slow
def test_training_of_small_networks(tmp_path, narrow_workers):
    options = ["--networks", "cifar_13pct", "--implementations", "alexnet_keras", "keras"]
    options += ["--batch-sizes", "2", "--precisions", "float32", "--classes", "10"]
    options += ["--epoch-images", "10", "--seconds", "0.01"]
    stored, table = run_and_read(training, tmp_path, options)
    (group,) = stored["groups"]
    assert group["network"] == "cifar_13pct"
    # Crops of 24 pixels, maps of 12 and 6: two convolutions, two local layers and fc8.
    multiply_adds = [24**2 * 64 * 75, 12**2 * 64 * 1600, 36 * 32 * 576, 36 * 32 * 288, 1152 * 10]
    assert group["flops_per_image"]["inference_flops"] == 2 * sum(multiply_adds)
    assert set(group["implementations"]) == {"alexnet_keras", "limit"}
    figures = group["implementations"]["alexnet_keras"]["rounds"][0]
    assert set(figures) == {"training", "inference", "epoch"}
    assert min(figures.values()) > 0
    share = f"| {figures['epoch']:,.1f} ({figures['epoch']:,.1f}-{figures['epoch']:,.1f}) | "
    assert f"{share}{100 * figures['epoch'] / figures['training']:.0f}% |" in table
    assert "\ncifar_13pct, float32, batch 2: images/s" in table
    assert "Without Keras, Conv2D(groups=2): Keras has no locally connected layers." in table
    assert (tmp_path / "training.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--networks", "cifar", "vgg_A"],
            "--networks must be among the presets .*: vgg_A",
        ),
        (
            ["--networks", "cifar_13pct", "--implementations", "keras", "tensorflow"],
            "--implementations must hold one that can build cifar_13pct. Received: keras tensorf",
        ),
        (["--networks", "cifar", "--epoch-images", "999"], "classes, 1000. Received: 999"),
    ],
)
def test_networks_that_cannot_be_measured(options, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        training.main(options)
    assert re.search(message, capsys.readouterr().err)


def stored_group(network="paper", flops=6e8, **epoch):
    """A group of `benchmarks.training`, with the limit at 10 images/s for 0.6 GFLOP."""
    limit = {"matrix_product": 6e9, "bandwidth": 1e9}
    rounds = {"training": 10.0, "inference": 40.0}
    return {
        "network": network,
        "precision": "float32",
        "batch_size": 128,
        "flops_per_image": {"training_flops": flops, "inference_flops": flops / 3},
        "left_out": {},
        "implementations": {
            "alexnet_keras": {"rounds": [rounds | epoch]},
            "pytorch": {"rounds": [rounds]},
            "limit": {"rounds": [limit], "description": "TensorFlow on CPU"},
        },
    }


def test_table_and_picture_of_several_networks():
    """Each group has the operations of its own network, and only some have epochs."""
    groups = [stored_group(), stored_group("small", 3e8, epoch=9.0)]
    stored = {"groups": groups, "machine": {"processor": "CPU", "cores": 2}}
    text = training.table(stored)
    training_cell = "10.0 (10.0-10.0)"
    inference = "40.0 (40.0-40.0)"
    assert f"TensorFlow | {training_cell} | 100% | {inference} | 133% |\n" in text
    assert f"TensorFlow | {training_cell} | 50% | {inference} | 67% | 9.0 (9.0-9.0) | 90% |" in text
    assert f"eager | {training_cell} | 50% | {inference} | 67% |  |  |" in text
    assert "\nsmall, float32, batch 128: images/s" in text
    assert "An image in small costs 0.30 GFLOP" in text
    titles = [axis.get_title("left") for axis in training.plot(stored).axes]
    assert titles == ["float32, batch 128", "small, float32, batch 128"]


@pytest.mark.parametrize(
    ("networks", "title"),
    [
        (["paper", "paper"], "Training AlexNet on CPU, 2 cores"),
        (["cifar", "small", "cifar"], "Training cifar, small on CPU, 2 cores"),
        (["small", "paper"], "Training small, AlexNet on CPU, 2 cores"),
    ],
)
def test_picture_names_the_networks(networks, title):
    groups = [stored_group(network) for network in networks]
    stored = {"groups": groups, "machine": {"processor": "CPU", "cores": 2}}
    assert training.plot(stored).get_suptitle() == title


def test_interrupted_training_benchmark_keeps_the_earlier_results(tmp_path, monkeypatch):
    path = tmp_path / "training.json"
    partial = tmp_path / "training_partial.json"
    path.write_text("earlier")
    group = stored_group()
    options = ["--precisions", "float32", "--implementations", "alexnet_keras"]
    options += ["--workdir", str(tmp_path)]
    monkeypatch.setattr(training, "_measure_group", Mock(side_effect=[group, KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        training.main(options)
    assert path.read_text() == "earlier"
    assert json.loads(partial.read_text())["groups"] == [group]
    monkeypatch.setattr(training, "_measure_group", Mock(side_effect=[group, group]))
    training.main(options)
    assert json.loads(path.read_text())["groups"] == [group, group]
    assert not partial.exists()


@pytest.mark.parametrize("folder", ["", "bfloat16", "h200", "h200/pipeline"])
def test_table_of_results_of_one_network(folder):
    """Results that were stored before networks could be chosen keep their tables."""
    path = RESULTS / folder / "training.json"
    table = training.table(json.loads(path.read_text()))
    assert path.with_suffix(".md").read_text().endswith(f"\n\n{table}\n")


@pytest.mark.slow
def test_layers(tmp_path, narrow_workers):
    implementations = ["alexnet_keras", "keras_jax"]
    options = ["--batch-size", "1", "--precision", "bfloat16", "--seconds", "0.01"]
    options += ["--layers", "conv1", "norm2", "pool5", "--implementations", *implementations]
    stored, table = run_and_read(layers, tmp_path, options)
    for name in implementations:
        assert min(stored["implementations"][name]["rounds"][0].values()) > 0
    assert "a batch of 1, bfloat16" in table
    assert "| pool5 |" in table
    assert (tmp_path / "layers.png").exists()


@pytest.mark.slow
def test_step_profile(tmp_path, narrow_workers):
    options = ["--batch-size", "1", "--precisions", "bfloat16"]
    stored, table = run_and_read(step_profile, tmp_path, options)
    rounds = stored["groups"][0]["implementations"]
    spent = rounds["alexnet_keras"][0]["layers"]
    without = rounds["alexnet_keras_without_normalization"][0]["layers"]
    assert set(spent) - set(without) == {"norm1", "norm2"}
    for layer in (
        *("conv1", "norm1", "pool1", "conv2", "norm2", "pool2"),
        *("conv3", "conv4", "conv5", "pool5", "fc6", "fc8"),
    ):
        assert min(spent[layer]) > 0
    assert spent[step_profile.UPDATE][1] > 0
    assert "| norm1 |" in table
    assert (tmp_path / "step_profile.png").exists()


@pytest.mark.slow
def test_step_profile_of_a_network_without_normalization(tmp_path, forked_workers):
    options = ["--network", "four_layer", "--classes", "10", "--batch-size", "2"]
    stored, table = run_and_read(step_profile, tmp_path, [*options, "--precisions", "float32"])
    rounds = stored["groups"][0]["implementations"]
    assert set(rounds) == {"alexnet_keras"}
    assert {"conv1", "conv2", "conv3", "pool3", "fc8"} <= set(rounds["alexnet_keras"][0]["layers"])
    assert "| | forward | backward | share |" in table.splitlines()


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        (step_profile, ["--network", "lenet"], "--network must be among the presets of AlexNet, "),
        (devices, ["--preset", "vgg_A"], "--preset must be among the presets of AlexNet, paper, "),
        (inference, ["--networks", "vgg_A"], "--networks must be among the presets of AlexNet, "),
        (inference, ["--networks", "cifar_13pct"], "must have no locally connected layers"),
    ],
)
def test_networks_that_a_benchmark_does_not_measure(module, arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        module.main(arguments)
    assert message in capsys.readouterr().err


def test_operations_by_layer():
    compiled = "CpuExecutable::ExecuteAsyncOnStream"
    operations = [
        ("S/gradient_tape/alexnet_1/conv3_1/convolution/Conv2DBackpropFilter:T", 2.0),
        ("S/alexnet_1/relu3_1/Relu:T", 1.0),
        ("S/alexnet_1/relu4_1/Relu:T", 1.5),
        (compiled, 0.5),  # norm1 forward
        (compiled, 0.125),  # norm2 forward
        (compiled, 1.0),  # norm2 backward, in two passes
        (compiled, 1.0),
        (compiled, 3.0),  # norm1 backward
        (compiled, 4.0),
        ("S/gradient_norm1/Cast:Cast", 0.5),
        ("S/alexnet_sgd/ResourceApplyKerasMomentum_12:T", 4.0),
        ("S/truediv:RealDiv", 0.25),
        ("EagerLocalExecute: step", 99.0),  # not an operation
        ("ExecutorState::Process", 99.0),
    ]
    passes = {"norm1": (1, 2), "norm2": (1, 2)}
    passes |= dict.fromkeys(("conv3", "relu3", "local4", "relu4"), (0, 0))
    assert step_profile.by_layer(operations, passes) == {
        "conv3": [1.0, 2.0],
        "local4": [1.5, 0],
        "norm1": [0.5, 7.5],
        "norm2": [0.125, 2.0],
        step_profile.UPDATE: [0, 4.0],
        step_profile.OTHER: [0.25, 0],
    }
    with pytest.raises(ValueError, match=r"must have 6 compiled passes.* Received: 5"):
        step_profile.by_layer(operations[:3] + operations[4:], passes)


def test_step_profile_without_the_reader_of_profiles(monkeypatch, capsys):
    monkeypatch.setattr(harness, "measure_in_rounds", None)  # not called
    find_spec = {"tensorflow": "found"}.get
    monkeypatch.setattr(harness, "util", SimpleNamespace(find_spec=find_spec))
    with pytest.raises(SystemExit, match="2"):
        step_profile.main([])
    assert "reading a profile needs jax, which is not installed" in capsys.readouterr().err


@pytest.mark.slow
def test_scaling(tmp_path, narrow_workers):
    options = ["--batch-size", "1", "--image-size", "--classes", "--seconds", "0.01"]
    stored, table = run_and_read(scaling, tmp_path, options)
    measured = stored["sweeps"]["batch_size"][0]["rounds"][0]
    assert measured["parameters"] == narrow.parameters(1000)
    assert min(measured.values()) > 0
    assert f"{narrow.parameters(1000):,} |" in table
    assert "| 1 |" in table
    assert (tmp_path / "scaling.png").exists()
    assert not (tmp_path / "scaling_partial.json").exists()


def test_scaling_stores_each_point(tmp_path, monkeypatch):
    path = tmp_path / "scaling.json"
    path.write_text("earlier")
    rounds = [{"step_seconds": 1.0, "peak_memory_mib": 2.0, "parameters": 3}]
    killed = SystemExit("a worker has ended with exit status -9; see above")
    monkeypatch.setattr(scaling, "_measure", Mock(side_effect=[rounds, killed]))
    with pytest.raises(SystemExit, match="status -9"):
        scaling.main(["--batch-size", "1", "4096", "--workdir", str(tmp_path)])
    sweeps = json.loads((tmp_path / "scaling_partial.json").read_text())["sweeps"]
    assert sweeps["batch_size"] == [{"value": 1, "rounds": rounds}]
    assert path.read_text() == "earlier"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # 51 pixels leave maps of 11, 5 and 2, which no pool of 3x3 fits.
        (["--image-size", "224", "51"], r"--image-size 51: .*at least 52 pixels. Received: "),
        (["--batch-size", "--image-size", "--classes"], "must have a value. Received: none"),
    ],
)
def test_points_that_scaling_cannot_measure(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(scaling, "_measure", None)  # not called
    with pytest.raises(SystemExit, match="2"):
        scaling.main(arguments)
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.slow
def test_networks(tmp_path, forked_workers):
    options = ["--batch-size", "1", "--classes", "10", "--seconds", "0.01"]
    options += ["--presets", "cifar", "small"]
    stored, table = run_and_read(networks, tmp_path, options)
    # The convolutions have 152,768 and 155,072 parameters. The crops of both trainings, 28 and 56
    # pixels, leave 3x3x64 values for fc6.
    parameters = {
        "cifar": 152_768 + (576 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 10,
        "small": 155_072 + (576 + 1) * 512 + (512 + 1) * 512 + (512 + 1) * 10,
    }
    for name, count in parameters.items():
        figures = stored["networks"][name]["rounds"][0]
        assert figures["parameters"] == count
        assert min(figures.values()) > 0
        assert f"| {name} | {count:,} |" in table


def test_networks_of_an_unknown_preset(capsys):
    with pytest.raises(SystemExit, match="2"):
        networks.main(["--presets", "vgg_F"])
    assert "vgg_F" in capsys.readouterr().err


@pytest.mark.slow
def test_start_up(tmp_path, monkeypatch):
    codes = []

    def run(command, **options):
        codes.append(command[2])
        return processes.run(command[1:], env=options["env"])

    names = {name: getattr(subprocess, name) for name in ("PIPE", "DEVNULL")}
    for module in (start_up, harness):
        monkeypatch.setattr(module, "subprocess", SimpleNamespace(run=run, **names))
    stored, table = run_and_read(start_up, tmp_path, ["--batch-size", "1", "--preset", "cifar"])
    figures = stored["rounds"][0]
    assert figures["build_and_first_step"] == figures["build"] + figures["first_step"]
    first_lines = [code.splitlines()[0] for code in codes[1:3]]
    assert first_lines == ["import keras", "import alexnet_keras"]
    assert codes[3] == start_up._STEP
    assert min(figures.values()) > 0
    assert "`import alexnet_keras`" in table
    assert "the preset `cifar`, batches of 1" in table


class Starts:
    """Stands for `subprocess.run` of `start_up`; takes no time and notes the backends."""

    def __init__(self):
        self.backends = []

    def __call__(self, command, **options):
        self.backends.append(options.get("env", os.environ)["KERAS_BACKEND"])
        return SimpleNamespace(stdout=f"1.0 2.0 {time.time()}")


@pytest.mark.parametrize(
    ("shell", "arguments", "backend", "setting"),
    [
        ("jax", [], "tensorflow", "batches of 128."),
        ("tensorflow", ["--backend", "jax"], "jax", "batches of 128, the backend `jax`."),
    ],
)
def test_start_up_measures_its_backend(shell, arguments, backend, setting, tmp_path, monkeypatch):
    starts = Starts()
    stand_in = SimpleNamespace(run=starts, PIPE=subprocess.PIPE, DEVNULL=subprocess.DEVNULL)
    for module in (start_up, harness):
        monkeypatch.setattr(module, "subprocess", stand_in)
    monkeypatch.setenv("KERAS_BACKEND", shell)
    stored, table = run_and_read(start_up, tmp_path, arguments)
    assert set(starts.backends) == {backend}
    assert stored["backend"] == backend
    assert f"Seconds, median (range); the preset `paper`, {setting}\n" in table


@pytest.mark.parametrize("folder", ["", "small"])
def test_table_of_start_up_without_a_stored_backend(folder):
    """Results that were stored before backends could be chosen keep their tables."""
    path = RESULTS / folder / "start_up.json"
    table = start_up.table(json.loads(path.read_text()))
    assert path.with_suffix(".md").read_text().endswith(f"\n\n{table}\n")


def test_start_up_of_an_unknown_preset(capsys):
    with pytest.raises(SystemExit):
        start_up.main(["--preset", "none"])
    assert "Received: preset='none'" in capsys.readouterr().err


@pytest.mark.slow
def test_input_pipeline(tmp_path, small_folder):
    options = ["--dataset", str(small_folder), "--image-size", "32", "--crop-size", "28"]
    options += ["--images", "256", "--small", str(small_folder), "--small-steps", "1"]
    stored, table = run_and_read(input_pipeline, tmp_path, [*options, "--seconds", "0.01"])
    for kind in ("stored", "prepared"):
        for stage in ("read", "decode", "crop", "train"):
            assert stored[kind][0][stage] > 0
    assert "training pipeline as a share of decoding" in table
    assert (tmp_path / "input_pipeline.png").exists()


def test_prepared_images_with_one_image_of_a_class(tmp_path, monkeypatch):
    """A data set of one image of class 2, which comes first, and of 50 images of others."""
    labels = np.array([[2], *([[0], [1]] * 25)], "int32")
    images = np.zeros((51, 1, 8, 8, 3), "uint8")
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = SimpleNamespace(training_images=Mock(return_value=batches))
    monkeypatch.setattr("alexnet_keras.data.Dataset", Mock(return_value=dataset))
    options = SimpleNamespace(dataset="any", image_size=8, crop_size=8, images=51)
    folder = input_pipeline._prepare(options, tmp_path)
    source = open_image_source(ImageSelection(str(folder)))
    assert sorted(int(label) for _, label in source.train) == [0] * 25 + [1] * 25 + [2]


@pytest.fixture
def small_folder(tmp_path):
    """A folder with 256 JPEGs of noise in two classes."""
    random = np.random.default_rng(0)
    for split, count in (("train", 128), ("val", 4)):
        for name in "ab":
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (40, 48, 3), dtype="uint8")
                Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return tmp_path / "images"
