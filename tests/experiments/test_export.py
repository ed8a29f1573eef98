import keras
import numpy as np
import pytest

from alexnet_keras import VGG, AlexNet
from alexnet_keras import export as exporting
from alexnet_keras.data import Dataset
from experiments.export import main
from tests.experiments.conftest import save_as_trained, tiny_model

TOLERANCES = {"saved_model": 1e-6, "onnx": 1e-5, "float16": 5e-3, "int8": 5e-2}


@pytest.mark.parametrize("kind", TOLERANCES)
def test_each_format_says_what_the_network_says(kind, weights, tmp_path, tiny_npz):
    for module in exporting.FORMATS[kind][1]:
        pytest.importorskip(module)
    data = ["--dataset", tiny_npz, "--image-size", "32", "--workdir", str(tmp_path / "out")]
    results = main(["--weights", weights, *data, "--formats", kind])
    measured = results["formats"]
    assert list(measured) == ["keras", kind]
    assert measured["keras"]["largest_difference"] == 0
    assert 0 <= measured[kind]["largest_difference"] < TOLERANCES[kind]
    assert (
        main(["--weights", weights, *data, "--formats", kind])["formats"][kind]["megabytes"] > 0
    )  # goes on

    model = keras.saving.load_model(weights, compile=False)
    (images, _), *_ = Dataset(tiny_npz, 32, 28).validation(20).as_numpy_iterator()
    path = tmp_path / "out" / f"{kind}{exporting.FORMATS[kind][0]}"
    run = exporting.load_exported(path, kind)
    said = np.concatenate([run(image[None]) for image in images])
    np.testing.assert_allclose(said, model.predict(images, verbose=0), atol=TOLERANCES[kind])


@pytest.mark.parametrize("kind", TOLERANCES)
@pytest.mark.parametrize("config", ["source", "caffenet", "torchvision", "VGG"])
def test_every_network_is_exported(config, kind, tmp_path):
    for module in exporting.FORMATS[kind][1]:
        pytest.importorskip(module)
    sizes = {"classes": 4, "units": (16, 16), "input_shape": (99, 99, 3)}
    model = (
        VGG("A-LRN", filters=(8,) * 5, **sizes)
        if config == "VGG"
        else AlexNet(config, filters=(8,) * 6, **sizes)
    )
    path = tmp_path / f"model{exporting.FORMATS[kind][0]}"
    exporting.export(model, path, kind)
    images = (
        np.random.default_rng(0).uniform(-100, 100, (1, *model.input_shape[1:])).astype("float32")
    )
    said = exporting.load_exported(path, kind)(images)
    np.testing.assert_allclose(said, model.predict(images, verbose=0), atol=TOLERANCES[kind])


@pytest.mark.parametrize("kind", TOLERANCES)
def test_mixed_precision_is_exported_in_float32(kind, tmp_path):
    for module in exporting.FORMATS[kind][1]:
        pytest.importorskip(module)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = AlexNet(
            "source", classes=4, units=(16, 16), filters=(8,) * 6, input_shape=(99, 99, 3)
        )
    finally:
        keras.config.set_dtype_policy("float32")
    exact = AlexNet("source", classes=4, units=(16, 16), filters=(8,) * 6, input_shape=(99, 99, 3))
    exact.set_weights(model.get_weights())
    path = tmp_path / f"model{exporting.FORMATS[kind][0]}"
    exporting.export(model, path, kind)
    images = np.random.default_rng(0).uniform(-100, 100, (1, 99, 99, 3)).astype("float32")
    said = exporting.load_exported(path, kind)(images)
    np.testing.assert_allclose(said, exact.predict(images, verbose=0), atol=TOLERANCES[kind])
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
