"""Implementations that are compared give the same probabilities, and their figures are right."""

import json
import subprocess
from importlib import util
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from keras import ops

from alexnet_keras import Classifier
from benchmarks import harness, inference, predictors
from tests.benchmarks.test_commands import run_and_read

CLASSES = 10
COUNT = 3
ONE_VIEW = [name for name in inference.IMPLEMENTATIONS if name not in inference._VIEWS]
ROUNDED = {"litert": 0.01, "litert_int8": 0.04}  # weights of 16 and 8 bits


def is_installed(name):
    needed = {inference.IMPLEMENTATIONS[name].backend}
    if name in ("onnxruntime", "openvino"):
        needed |= {"onnxruntime", "tf2onnx"}
    return all(map(util.find_spec, needed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    installed = [name for name in ONE_VIEW if is_installed(name)]
    predictors.write_files("small", CLASSES, folder, installed, COUNT)
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    """Probabilities of the center crops, of 56 of 64 pixels, less the mean."""
    crops = np.load(folder / "images.npy")[:, 4:60, 4:60].astype("float32") - predictors.MEAN
    network = Classifier.load(folder / "classifier.keras").network
    return ops.convert_to_numpy(network(crops, training=False))


# torch.compile takes minutes; each run of the benchmark checks its probabilities.
@pytest.mark.parametrize("name", [name for name in ONE_VIEW if name != "pytorch_compile"])
def test_probabilities(name, folder, expected):
    if not is_installed(name):
        pytest.skip(f"{inference.IMPLEMENTATIONS[name].label} is not installed")
    images = np.load(folder / "images.npy")
    predictions = predictors.load(name, "small", CLASSES, folder, COUNT)(images)
    predictors.check_probabilities(name, predictions, folder)
    if name == "classifier":
        labels = [[int(label) for label in each.names] for each in predictions]
        expected = np.take_along_axis(expected, np.array(labels), 1)
        predictions = np.stack([each.probabilities for each in predictions])
    tolerance = ROUNDED.get(name, 1e-4) * expected.max()
    np.testing.assert_allclose(predictions, expected, rtol=0, atol=tolerance)


def test_other_probabilities_end_the_process(folder, expected):
    with pytest.raises(SystemExit, match="model_call must give the network's probabilities"):
        predictors.check_probabilities("model_call", expected[:, ::-1], folder)
    with pytest.raises(SystemExit, match="onnxruntime must give"):
        predictors.check_probabilities("onnxruntime", np.full_like(expected, np.nan), folder)


@pytest.mark.parametrize("name", ["model_call", "litert", "litert_int8"])
def test_probabilities_of_another_image_end_the_process(name, folder, expected):
    with pytest.raises(SystemExit, match=f"{name} must give the network's probabilities"):
        predictors.check_probabilities(name, expected[1:], folder)


def test_latencies(monkeypatch):
    durations = iter([9.0, 9.0, 0.25, 0.5, 0.25, 9.0])  # the first two calls warm up
    now = [0.0]

    def predict(images):
        assert images == "images"
        now[0] += next(durations)

    monkeypatch.setattr(inference, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    measured = inference.Latencies(predict, "images", seconds=1.0)()
    assert measured["latencies_ms"] == [250, 500, 250]
    assert measured["peak_memory_mib"] > 50  # Python and Keras


def test_figures_over_all_rounds():
    rounds = [
        {"latencies_ms": [2.0, 4.0], "peak_memory_mib": 7.0},
        {"latencies_ms": [8.0, 6.0], "peak_memory_mib": 9.0},
    ]
    figures = inference._pooled({"description": "device", "rounds": rounds}, batch_size=3)
    assert figures["calls"] == 4
    assert figures["latency_ms"] == 5
    assert figures["latency_ms_p99"] == pytest.approx(6 + 0.97 * 2)  # 2, 4, 6, 8: at 2.97
    assert figures["peak_memory_mib"] == 9
    assert figures["rounds"] == [
        {"latency_ms": 3, "images_per_second": pytest.approx(1000)},
        {"latency_ms": 7, "images_per_second": pytest.approx(3 * 2 / 0.014)},
    ]


def test_comparisons():
    latencies = {"classifier": 12.0, "pytorch": 16.0, "pytorch_compile": 24.0, "litert": 8.0}
    latencies |= {"onnxruntime": 10.0, "litert_int8": 4.0, "classifier_ten_crop": 126.0}
    measured = {name: {"latency_ms": latency} for name, latency in latencies.items()}
    assert inference._comparisons({"implementations": measured}) == [
        "- Classifier.predict takes 1.50 times the latency of the fastest runtime, "
        "LiteRT, float16 weights.",
        "- Classifier.predict takes 0.75 times the latency of PyTorch at its best, PyTorch, eager.",
        "- Ten crops: 10.50 times the center crop's time.",
    ]


@pytest.mark.parametrize("arguments", [["--networks", "vgg_F"], ["--at-once", "0"]])
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        inference.main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_interrupted_benchmark_keeps_the_earlier_results(tmp_path, monkeypatch):
    (tmp_path / "inference.json").write_text("earlier")
    group = {"network": "paper", "batch_size": 1, "implementations": {}}
    monkeypatch.setattr(harness, "run_worker", Mock())
    monkeypatch.setattr(inference, "_measure_start_up", Mock(return_value={}))
    monkeypatch.setattr(inference, "_measure_group", Mock(side_effect=[group, KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        inference.main(["--implementations", "classifier", "--workdir", str(tmp_path)])
    assert (tmp_path / "inference.json").read_text() == "earlier"
    partial = json.loads((tmp_path / "inference_partial.json").read_text())
    assert partial["groups"] == [group]


def test_hidden_modules_are_not_found(capfd):
    start = inference._START_CLASSIFIER.partition("import numpy")[0] + "import colorsys"
    assert harness.seconds_to_run(start, "classifier", "") > 0
    with pytest.raises(subprocess.CalledProcessError):
        harness.seconds_to_run(start, "classifier", "", "colorsys")
    assert "import of colorsys halted" in capfd.readouterr().err


@pytest.mark.slow
def test_command(tmp_path, narrow_workers):
    names = ["classifier", "classifier_ten_crop"]
    options = ["--networks", "small", "--batch-sizes", "2", "--classes", "10", "--seconds", "0.01"]
    stored, table = run_and_read(inference, tmp_path, [*options, "--implementations", *names])
    start_up = stored["start_up_seconds"]["small"]
    assert list(start_up) == ["classifier", "classifier_all_installed"]
    for label, (seconds,) in zip(inference._STARTS.values(), start_up.values(), strict=False):
        assert seconds > 0
        assert f"| {label} | {seconds:.2f}" in table
    (group,) = stored["groups"]
    for name in names:
        figures = group["implementations"][name]
        assert figures["latency_ms_p99"] >= figures["latency_ms"] > 0
        assert f"| {inference.IMPLEMENTATIONS[name].label} |" in table
    assert "small, 2 images in a call, rounds: 1" in table
    assert "Ten crops: " in table
    assert (tmp_path / "inference.png").exists()
