import keras
import numpy as np
import pytest

from alexnet_keras import VGG, AlexNet
from alexnet_keras import export as exporting
from alexnet_keras.data import Dataset
from experiments.export import main
from tests.conftest import draw_large_weights
from tests.experiments.conftest import save_as_trained, tiny_model

TOLERANCES = {"saved_model": 1e-6, "onnx": 1e-5, "float16": 5e-3, "int8": 5e-2}
# Of small networks, whose logits do not hide errors as saturated probabilities would.
LOGITS = {
    "classes": 4,
    "units": (16, 16),
    "input_shape": (99, 99, 3),
    "classifier_activation": None,
}


def images_of_some_colors(random):
    """Three images of noise about a color each."""
    colors = random.uniform(-100, 100, (3, 1, 1, 3))
    return (colors + random.uniform(-50, 50, (3, 99, 99, 3))).astype("float32")


def assert_outputs(path, kind, images, model):
    """Compares an exported file with the network, whose outputs must differ between images."""
    run = exporting.load_exported(path, kind)
    found = np.concatenate([run(image[None]) for image in images])
    expected = np.concatenate([model.predict(image[None], verbose=0) for image in images])
    largest = np.abs(expected).max()
    assert np.ptp(expected, axis=0).max() > 0.1 * largest
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCES[kind] * largest)


@pytest.mark.parametrize("kind", TOLERANCES)
def test_each_format_says_what_the_network_says(kind, tmp_path, tiny_npz, random):
    for module in exporting.FORMATS[kind][1]:
        pytest.importorskip(module)
    model = tiny_model(classifier_activation=None)
    draw_large_weights(model, random)
    weights = save_as_trained(model, tmp_path / "run")
    data = ["--dataset", tiny_npz, "--image-size", "32", "--workdir", str(tmp_path / "out")]
    results = main(["--weights", weights, *data, "--formats", kind])
    measured = results["formats"]
    assert list(measured) == ["keras", kind]
    assert measured["keras"]["largest_difference"] == 0
    assert 0 <= measured[kind]["largest_difference"] < TOLERANCES[kind]
    assert (
        main(["--weights", weights, *data, "--formats", kind])["formats"][kind]["megabytes"] > 0
    )  # goes on

    (images, _), *_ = Dataset(tiny_npz, 32, 28).validation(20).as_numpy_iterator()
    path = tmp_path / "out" / f"{kind}{exporting.FORMATS[kind][0]}"
    assert_outputs(path, kind, images, model)


@pytest.mark.parametrize("kind", TOLERANCES)
@pytest.mark.parametrize("config", ["source", "caffenet", "torchvision", "VGG"])
def test_every_network_is_exported(config, kind, tmp_path, random):
    for module in exporting.FORMATS[kind][1]:
        pytest.importorskip(module)
    if config == "VGG":
        model = VGG("A-LRN", filters=(8,) * 5, **LOGITS)
    else:
        model = AlexNet(config, filters=(8,) * 6, **LOGITS)
    draw_large_weights(model, random)
    path = tmp_path / f"model{exporting.FORMATS[kind][0]}"
    exporting.export(model, path, kind)
    images = images_of_some_colors(random)
    assert_outputs(path, kind, images, model)


@pytest.mark.parametrize("kind", TOLERANCES)
def test_mixed_precision_is_exported_in_float32(kind, tmp_path, random):
    for module in exporting.FORMATS[kind][1]:
        pytest.importorskip(module)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = AlexNet("source", filters=(8,) * 6, **LOGITS)
    finally:
        keras.config.set_dtype_policy("float32")
    draw_large_weights(model, random)
    exact = AlexNet("source", filters=(8,) * 6, **LOGITS)
    exact.set_weights(model.get_weights())
    path = tmp_path / f"model{exporting.FORMATS[kind][0]}"
    exporting.export(model, path, kind)
    images = images_of_some_colors(random)
    assert_outputs(path, kind, images, exact)
    assert {file.name for file in tmp_path.iterdir()} == {
        path.name
    }  # nothing half written beside it


def test_weights_of_few_bits_are_small(tmp_path):
    pytest.importorskip("ai_edge_litert")
    model = tiny_model(filters=(64,) * 6, units=(256, 256))
    sizes = {}
    for kind in ("float16", "int8"):
        exporting.export(model, tmp_path / f"{kind}.tflite", kind)
        sizes[kind] = exporting.size_of(tmp_path / f"{kind}.tflite") / (4 * model.count_params())
    assert sizes["float16"] == pytest.approx(0.5, rel=0.1)
    assert sizes["int8"] == pytest.approx(0.25, rel=0.2)


def test_logits_are_compared_as_probabilities(tmp_path, tiny_npz, monkeypatch):
    # Logits that all differ by 5 are the same probabilities.
    def load_exported(path, kind):
        return lambda image: model.predict_on_batch(image) + 5

    model = tiny_model(classifier_activation=None)
    weights = save_as_trained(model, tmp_path / "run")
    monkeypatch.setattr(exporting, "load_exported", load_exported)
    data = ["--dataset", tiny_npz, "--image-size", "32", "--workdir", str(tmp_path / "out")]
    measured = main(["--weights", weights, *data, "--formats", "saved_model", "--images", "3"])[
        "formats"
    ]
    assert measured["saved_model"]["largest_difference"] < 1e-6


def test_errors_come_before_any_work(weights, tmp_path, tiny_npz, monkeypatch):
    data = ["--dataset", tiny_npz, "--image-size", "32", "--workdir", str(tmp_path / "out")]
    for arguments, words in (
        (
            ["--formats", "caffe"],
            "`formats` must be among saved_model, onnx, float16, int8. Received: caffe",
        ),
        (["--images", "0"], "`images` must be a positive whole number"),
    ):
        with pytest.raises(SystemExit, match=words):
            main(["--weights", weights, *data, *arguments])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        SystemExit,
        match=r"exporting to onnx needs ONNX, tf2onnx, ONNX Runtime: "
        r"pip install 'alexnet_keras\[export\]'",
    ):
        main(["--weights", weights, *data, "--formats", "onnx"])
    with pytest.raises(
        SystemExit,
        match=r"`weights` must be a file. Received: weights='none.keras': file not found",
    ):
        main(["--weights", "none.keras", *data, "--formats", "onnx"])
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "there").mkdir()
    for path in ("there", "wrong.ending"):
        with pytest.raises(ValueError, match="`path` must be new and have no ending. Received"):
            exporting.export(tiny_model(), tmp_path / path, "saved_model")
