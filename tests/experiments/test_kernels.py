import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from alexnet_keras import VGG
from alexnet_keras.analysis import KernelSnapshots
from experiments.kernels import main
from tests.experiments.conftest import save_as_trained, tiny_model


def save(folder, tower=None, **overrides):
    """A network whose kernels in one of the towers are gray."""
    model = tiny_model(**overrides)
    if tower is not None:
        kernel = np.array(model.get_layer("conv1").kernel)
        part = slice(4 * tower, 4 * tower + 4)
        kernel[..., part] = kernel[..., part].mean(2, keepdims=True)
        model.get_layer("conv1").kernel.assign(kernel)
    return save_as_trained(model, folder)


def test_towers_of_which_one_is_gray(tmp_path, tiny_npz, capsys):
    weights = [save(tmp_path / name, tower) for name, tower in (("a", 0), ("b", 1), ("c", 0))]
    (tmp_path / "a" / "config.json").write_text(
        json.dumps({"dataset": tiny_npz, "image_size": 32, "seed": 5})
    )
    snapshots = KernelSnapshots(tmp_path / "snapshots")
    snapshots.set_model(tiny_model())
    snapshots.on_epoch_begin(0)
    snapshots.on_epoch_end(0)
    workdir = tmp_path / "results" / "kernels"
    arguments = [
        "--weights",
        *weights,
        "--workdir",
        str(workdir),
        "--layers",
        "conv3",
        "--feature-maps",
        "pool1",
    ]
    results = main([*arguments, "--snapshots", str(tmp_path / "snapshots")])
    assert results == json.loads((workdir / "results.json").read_text())
    assert {path.name for path in workdir.iterdir()} == {
        *{
            "config.json",
            "results.json",
            "measures.png",
            "comparisons.png",
            "feature_maps_pool1.png",
        },
        *{f"kernels_{name}_{layer}.png" for name in "abc" for layer in ("conv1", "conv3")},
        *{"kernels_by_epoch.png", "kernels_by_epoch.gif"},
    }
    means = [model["means"]["colorfulness"] for model in results["models"]]
    assert [np.argmin(pair) for pair in means] == [0, 1, 0]
    assert np.ptp(means[0]) == pytest.approx(results["tests"]["colorfulness"]["gaps"][0])
    assert results["tests"]["colorfulness"]["p"] < 0.001
    assert results["models"][0]["seed"] == 5
    assert "Device: CPU" in capsys.readouterr().out
    assert (
        main([*arguments, "--snapshots", str(tmp_path / "snapshots")])["tests"] == results["tests"]
    )


def test_epoch_takes_the_kernels_that_the_training_kept(tmp_path):
    weights = save(tmp_path / "run", tower=1)
    before = tiny_model()
    snapshots = KernelSnapshots(tmp_path / "run" / "snapshots")
    snapshots.set_model(before)
    snapshots.on_epoch_begin(0)
    results = main(["--weights", weights, "--epoch", "0", "--workdir", str(tmp_path / "first")])
    kernels = np.array(before.get_layer("conv1").kernel).transpose(3, 0, 1, 2).reshape(2, 4, -1, 3)
    assert results["settings"]["epoch"] == 0
    for pair, own in zip(results["models"][0]["kernels"]["colorfulness"], kernels, strict=True):
        gray = own.mean(-1, keepdims=True)
        expected = ((own - gray) ** 2).sum((1, 2)) / (own**2).sum((1, 2))
        np.testing.assert_allclose(pair, expected, rtol=1e-4)
    assert main(["--weights", weights])["models"][0]["means"]["colorfulness"][1] < 1e-6
    with pytest.raises(SystemExit, match=re.escape("`epoch` must be one of [0]")):
        main(["--weights", weights, "--epoch", "3"])


def test_one_tower_has_nothing_to_compare(tmp_path, capsys):
    results = main(["--weights", save(tmp_path / "run", towers=1)])
    assert results["tests"] == {}
    assert (tmp_path / "run" / "kernels" / "kernels_run_conv1.png").exists()
    assert "One tower" in capsys.readouterr().out


def test_errors_come_before_anything_is_written(tmp_path, tiny_npz):
    weights = save(tmp_path / "run")
    vgg = VGG("A", filters=(8,) * 5, units=(16, 16), classes=4, input_shape=(32, 32, 3))
    vgg = save_as_trained(vgg, tmp_path / "vgg")
    other = tmp_path / "other"
    other.mkdir()
    (other / "results.json").write_text("{}")
    for arguments, words in (
        (["--weights", str(tmp_path / "none.keras")], "`weights` must be a .keras file of a model"),
        (["--weights", tiny_npz], "`weights` must be a .keras file of a model"),
        (
            ["--weights", weights, "--layers", "conv9"],
            "`weights` must have a layer conv9. Received: a model with image, ",
        ),
        (
            ["--weights", weights, "--feature-maps", "conv1"],
            "`dataset` and `image_size` must be given",
        ),
        (["--weights", vgg], "`weights` must have a layer conv1. Received: a model with image, "),
        (["--weights", vgg, "--epoch", "1"], "`weights` must have a layer conv1. "),
        (["--weights", weights, "--image", "3"], "`image` needs `feature_maps` (--feature-maps), "),
        (
            ["--weights", weights, "--dataset", tiny_npz],
            "`dataset` needs `feature_maps` (--feature-maps), ",
        ),
        (
            ["--weights", weights, "--image-size", "32"],
            "`image_size` needs `feature_maps` (--feature-maps), ",
        ),
        (["--weights", weights, "--snapshots", str(tmp_path)], "`snapshots` must be a folder that"),
        (["--weights", weights, "--epoch", "1"], "`snapshots` must be a folder that"),
        (
            ["--weights", weights, "--epoch", "1", "--layers", "conv3"],
            "`epoch` can't be combined with `layers`",
        ),
        (
            ["--weights", weights, "--seed=-1"],
            "`seed` must be a whole number from 0 to 2**31 - 1. Received: seed=-1",
        ),
        (
            ["--weights", weights, "--feature-maps", "fc6"],
            "`feature_maps` (--feature-maps) must be layers with output maps. Received: 'fc6' of",
        ),
        (["--weights", weights, "--permutations", "0"], "`permutations` must be a positive"),
        (
            ["--weights", weights, "--workdir", str(other)],
            "`workdir` must be a new folder, or one of the same",
        ),
        (
            [
                "--weights",
                weights,
                "--feature-maps",
                "conv1",
                "--dataset",
                tiny_npz,
                "--image-size=32",
                "--image",
                "20",
            ],
            "`image` must be a file, or a number below 20",
        ),
    ):
        with pytest.raises(SystemExit, match=re.escape(words)):
            main(arguments)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["best.keras"]
    assert [path.name for path in other.iterdir()] == ["results.json"]


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "truncated"])
def test_an_image_that_is_none(kind, tmp_path, tiny_npz):
    path = tmp_path / "image.png"
    whole = io.BytesIO()
    Image.fromarray(np.zeros((40, 40, 3), "uint8")).save(whole, "PNG")
    contents = {"text": b"not an image", "empty": b"", "truncated": whole.getvalue()[:60]}
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(contents[kind])
    weights = save(tmp_path / "run")
    data = ["--dataset", tiny_npz, "--image-size", "32", "--feature-maps", "conv1"]
    with pytest.raises(SystemExit) as raised:
        main(["--weights", weights, *data, "--image", str(path)])
    words = "`image` must be an image file, or the number of a validation image. Received: image="
    assert words + repr(str(path)) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["best.keras"]


def test_folders_of_one_name_are_told_apart(tmp_path):
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "c" / "run_1"]
    results = main(["--weights", *map(save, folders), "--workdir", str(tmp_path / "results")])
    assert len(results["models"]) == len(results["tests"]["colorfulness"]["p_each"]) == 3


def test_results_of_another_model_stay(tmp_path):
    workdir = tmp_path / "results"
    main(["--weights", save(tmp_path / "a"), "--workdir", str(workdir)])
    before = {path: path.read_bytes() for path in workdir.iterdir()}
    with pytest.raises(SystemExit, match="which holds other settings: models: "):
        main(["--weights", save(tmp_path / "b"), "--workdir", str(workdir)])
    assert {path: path.read_bytes() for path in workdir.iterdir()} == before


def has_color(path, color, other):
    """Whether a picture has a pixel with much more of one color, 0-2, than of another."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    return (pixels[..., color] > pixels[..., other] + 50).any()


def test_kernels_of_a_network_of_bgr_are_drawn_in_rgb(tmp_path):
    model = tiny_model()
    kernel = np.zeros(model.get_layer("conv1").kernel.shape, "float32")
    kernel[:, :, 2] = 1  # each kernel sees red only
    model.get_layer("conv1").kernel.assign(kernel)
    weights = save_as_trained(model, tmp_path / "run")
    config = {"pretrained": "x", "mean_subtraction": "color", "image_size": 32}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    np.savez(tmp_path / "run" / "preparation.npz", mean=np.zeros(3), color_order="BGR")
    snapshots = KernelSnapshots(tmp_path / "run" / "snapshots")
    snapshots.set_model(model)
    snapshots.on_epoch_begin(0)
    workdir = tmp_path / "results"
    main(["--weights", weights, "--workdir", str(workdir), "--snapshots", str(snapshots.folder)])
    for name in ("kernels_run_conv1.png", "kernels_by_epoch.png"):
        assert has_color(workdir / name, 0, 2)
        assert not has_color(workdir / name, 2, 0)
