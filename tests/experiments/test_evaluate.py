import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from alexnet_keras.data import Dataset
from experiments.evaluate import main
from tests.experiments.conftest import save_as_trained, tiny_model


def confident_model(seed):
    """A network of four classes whose predictions differ more than a new network's."""
    keras.utils.set_random_seed(seed)
    model = tiny_model()
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            factor = (
                0.3 if layer.name == "fc8" else 3
            )  # larger ones make predictions of 0 and 1, and so ties
            layer.set_weights([factor * kernel, 0 * bias])
    return model


@pytest.fixture
def models(tmp_path):
    return [save_as_trained(confident_model(seed), tmp_path / f"run{seed}") for seed in range(3)]


def ten_crops(images, size):
    """The paper's ten crops, by hand: four corners and the center, and their mirror images."""
    last = images.shape[1] - size
    corners = [(0, 0), (0, last), (last, 0), (last, last), (last // 2, last // 2)]
    crops = [images[:, y : y + size, x : x + size] for y, x in corners]
    return crops + [crop[:, :, ::-1] for crop in crops]


def expected_probabilities(paths, npz):
    """`(models, images, classes)`: predictions averaged over ten crops, and the labels."""
    info = Dataset(npz, 32, 28).info
    with np.load(npz) as arrays:
        images = arrays["x_test"].astype("float32")
        labels = arrays["y_test"]
    each = []
    for path in paths:
        model = keras.saving.load_model(path, compile=False)
        each.append(
            np.mean(
                [model.predict(c - info.mean_crop, verbose=0) for c in ten_crops(images, 28)],
                axis=0,
            )
        )
    return np.array(each), labels


def error(probabilities, labels):
    return 100 * np.mean(probabilities.argmax(-1) != labels)


def test_predictions_are_averaged_over_crops_and_models(models, tmp_path, tiny_npz):
    data = ["--dataset", tiny_npz, "--image-size", "32", "--batch-size", "60"]
    results = main(["--models", *models, *data, "--workdir", str(tmp_path / "out")])
    each, labels = expected_probabilities(models, tiny_npz)
    singles = [error(p, labels) for p in each]
    assert len(set(singles)) > 1  # or the averages below would show nothing
    assert [m["errors"]["top1_error"] for m in results["models"]] == pytest.approx(singles)
    pairs = [error((each[a] + each[b]) / 2, labels) for a, b in ((0, 1), (1, 2), (2, 0))]
    whole = error(each.mean(0), labels)
    top1 = {name: errors["top1_error"] for name, errors in results["errors"].items()}
    assert top1 == pytest.approx(
        {"1 network": np.mean(singles), "2 networks": np.mean(pairs), "3 networks": whole}
    )
    assert {errors["top5_error"] for errors in results["errors"].values()} == {
        0.0
    }  # there are four classes
    comparison = results["comparisons"][0]
    assert comparison["estimate"] == pytest.approx(whole - np.mean(singles))
    assert (comparison["n"], comparison["paper"], comparison["side"]) == (20, None, -1)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "results.json",
        "ensembles.png",
    }
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results


def test_models_count_by_their_weights(models, tmp_path, tiny_npz):
    data = ["--dataset", tiny_npz, "--image-size", "32", "--workdir", str(tmp_path / "out")]
    results = main(["--models", *models, *data, "--model-weights", "2", "0", "1"])
    each, labels = expected_probabilities(models, tiny_npz)
    weighted = error(2 * each[0] + each[2], labels)
    assert results["errors"]["3 networks, weighted"]["top1_error"] == pytest.approx(weighted)
    assert results["comparisons"][0]["variant"] == "3 networks, weighted"


def test_a_network_without_numbers_is_no_good_one(models, tmp_path, tiny_npz):
    broken = confident_model(9)
    kernel, bias = broken.get_layer("fc8").get_weights()
    broken.get_layer("fc8").set_weights([kernel * np.nan, bias])
    path = save_as_trained(broken, tmp_path / "broken")
    data = ["--dataset", tiny_npz, "--image-size", "32", "--workdir", str(tmp_path / "out")]
    with pytest.raises(
        SystemExit,
        match=r"must predict probabilities. Received: \S*broken\S*, with NaN or infinity",
    ):
        main(["--models", models[0], path, *data])
    large = main(
        [
            "--models",
            *models[:2],
            *data[:-1],
            str(tmp_path / "large"),
            "--model-weights",
            "1e308",
            "1e308",
        ]
    )
    assert large["errors"]["2 networks, weighted"] == large["errors"]["2 networks"]


def test_networks_of_other_classes_do_not_go_together(models, tmp_path, tiny_npz):
    def trained_on(path, **fields):
        (Path(path).parent / "config.json").write_text(
            json.dumps({"dataset": tiny_npz, "image_size": 32, **fields})
        )

    out = ["--workdir", str(tmp_path / "out")]
    names = ["dark", "red", "green", "yellow"]
    trained_on(models[0], data={"class_names": names})
    for fields, arguments, words in (
        (
            {"dataset": "cifar10"},
            [],
            "the same dataset. Received: dataset='.*' in .*, dataset='cifar10' in",
        ),
        (
            {"class_subset": [0, 1, 2, 3]},
            ["--dataset", tiny_npz],
            r"the same class_subset. Received: .*\[0, 1, 2, 3\]",
        ),
        (
            {"hold_out_every": 3},
            [],
            "the same hold_out_every. Received: hold_out_every=10 .* hold_out_every=3",
        ),
        ({"image_size": 64}, [], "the same image_size. Received: image_size=32 .* image_size=64"),
        (
            {"mean_subtraction": "color"},
            ["--dataset", tiny_npz],
            "the same mean_subtraction. Received: mean_subtraction='image' .* "
            "mean_subtraction='color'",
        ),
        (
            {"data": {"class_names": ["Dark", "green", "red", "yellow"]}},
            ["--dataset", tiny_npz],
            "the same classes in the same order. Received: class 1 is 'red' in .*, and 'green' in",
        ),
    ):
        trained_on(models[1], **fields)
        with pytest.raises(SystemExit, match=words):
            main(["--models", *models[:2], *arguments, *out])
    trained_on(models[1], image_size=64)
    assert len(main(["--models", *models[:2], "--image-size", "32", *out])["models"]) == 2


def test_networks_of_other_crops_see_their_own(models, tmp_path, tiny_npz):
    other = save_as_trained(tiny_model(input_shape=(24, 24, 3)), tmp_path / "crops_of_24")
    data = [
        "--dataset",
        tiny_npz,
        "--image-size",
        "32",
        "--workdir",
        str(tmp_path / "out"),
        "--test-views",
        "center",
    ]
    results = main(["--models", other, models[0], *data])
    alone = main(["--models", other, *data[:-4], "--test-views", "center"])
    assert results["models"][0]["errors"] == alone["models"][0]["errors"]
    assert alone["comparisons"] == []


def test_many_classes(tmp_path):
    random = np.random.RandomState(0)
    labels = np.array([0, 21_840, 10_184])
    images = random.randint(0, 255, (3, 32, 32, 3)).astype("uint8")
    names = [str(label) for label in range(21_841)]
    arrays = {
        "x_train": images,
        "y_train": labels,
        "x_test": images,
        "y_test": labels,
        "class_names": names,
    }
    np.savez(tmp_path / "many.npz", **arrays)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 3))
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(21_841, activation="softmax")(x))
    path = save_as_trained(model, tmp_path / "run")
    results = main(
        ["--models", path, "--dataset", str(tmp_path / "many.npz"), "--image-size", "32"]
    )
    each, labels = expected_probabilities([path], str(tmp_path / "many.npz"))
    assert results["models"][0]["errors"]["top1_error"] == pytest.approx(error(each[0], labels))


def test_errors_come_before_any_work(models, tmp_path, tiny_npz):
    keras.Sequential(
        [keras.Input((28, 28, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    ).save(tmp_path / "3.keras")
    (tmp_path / "text.keras").write_text("no model")
    data = ["--dataset", tiny_npz, "--image-size", "32", "--workdir", str(tmp_path / "out")]
    for arguments, words in (
        (
            [*models, str(tmp_path / "3.keras")],
            "`models` must have the same classes. Received: 4 in .*, 3 in .*",
        ),
        ([*models, models[1]], "`models` must differ. Received: the same network twice"),
        ([models[0], str(tmp_path / "text.keras")], "`models` must be a .keras file of a model"),
        ([str(tmp_path / "3.keras")], "`dataset` must have the classes of the model, 3"),
        (
            [*models, "--test-views", "5"],
            "`test_views` must be one of center, ten_crop, nine_crop. Received: test_views='5'",
        ),
        ([*models, "--batch-size", "0"], "`batch_size` must be a positive whole number"),
        (
            [*models, "--model-weights", "1", "2"],
            "`model_weights` must be 3 numbers from 0, one for each model",
        ),
        ([*models, "--model-weights", "0", "0", "0"], "`model_weights` must be 3 numbers from 0"),
        ([*models, "--model-weights", "1", "nan", "1"], "`model_weights` must be 3 numbers from 0"),
    ):
        with pytest.raises(SystemExit, match=re.sub(r"\[", r"\\[", words)):
            main(["--models", *arguments, *data])
    assert not (tmp_path / "out").exists()
