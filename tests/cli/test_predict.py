import dataclasses
import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from alexnet_keras import Classifier, pretrained
from alexnet_keras.cli import main
from tests.test_classifier import NAMES, SIZE, tiny_network
from tests.test_pretrained import shipped  # noqa: F401  a fixture


@pytest.fixture
def paths(random, tmp_path):
    """The command's paths: a classifier, an image, and a folder with an image and a broken one."""
    classifier = Classifier.from_network(tiny_network(), (120, 110, 100), NAMES, image_size=SIZE)
    classifier.save(tmp_path / "classifier.keras")
    (tmp_path / "folder").mkdir()
    for name in ("one.png", "folder/two.png"):
        image = random.randint(0, 256, (40, 50, 3)).astype("uint8")
        Image.fromarray(image).save(tmp_path / name)
    return [str(tmp_path / name) for name in ("classifier.keras", "one.png", "folder")]


def test_prints_classes(paths, capsys):
    main(["predict", *paths, "--top", "2"])
    predictions = Classifier.load(paths[0]).predict(paths[1:], 2)
    expected = []
    for prediction in predictions:
        expected.append(prediction.source)
        for name, value in zip(prediction.names, prediction.probabilities, strict=True):
            expected.append(f"  {100 * value:6.2f}%  {name}")
    assert capsys.readouterr().out.splitlines() == expected
    assert len(expected) == 6


def test_prints_json_and_goes_on_after_a_broken_file(paths, tmp_path, capsys):
    (tmp_path / "folder" / "broken.png").write_text("no image")
    with pytest.raises(SystemExit) as end:
        main(["predict", *paths, "--json", "--test-views", "ten_crop"])
    assert end.value.code == 1
    out, err = capsys.readouterr()
    one, broken, two = json.loads(out)
    assert broken == {
        "image": str(tmp_path / "folder" / "broken.png"),
        "error": "not a JPEG, PNG, BMP, GIF or WebP image",
    }
    assert "broken.png is left out" in err
    (first, _) = Classifier.load(paths[0]).predict(
        [paths[1], f"{paths[2]}/two.png"], test_views="ten_crop"
    )
    assert [entry["name"] for entry in one["classes"]] == list(first.names)
    probabilities = [entry["probability"] for entry in one["classes"]]
    np.testing.assert_allclose(probabilities, first.probabilities, atol=1e-6)
    assert two["image"].endswith("two.png")


def test_prints_json_where_no_image_can_be_read(paths, tmp_path, capsys):
    (tmp_path / "broken.png").write_text("no image")
    with pytest.raises(SystemExit, match="`images` must hold an image that can be read"):
        main(["predict", paths[0], str(tmp_path / "broken.png"), "--json"])
    (broken,) = json.loads(capsys.readouterr().out)
    assert broken["image"] == str(tmp_path / "broken.png")
    assert broken["error"] == "not a JPEG, PNG, BMP, GIF or WebP image"


def test_draws_a_figure(paths, tmp_path):
    pytest.importorskip("matplotlib")
    main(["predict", *paths, "--figure", str(tmp_path / "out.png")])
    with Image.open(tmp_path / "out.png") as figure:
        assert len(set(figure.convert("L").tobytes())) > 10  # it is not blank


def test_a_figure_replaces_no_file(paths, tmp_path):
    before = (tmp_path / "one.png").read_bytes()
    with pytest.raises(SystemExit, match="`figure` must be a new file .*one.png', which exists"):
        main(["predict", *paths, "--figure", paths[1]])
    assert (tmp_path / "one.png").read_bytes() == before


def test_a_link_that_leads_nowhere_is_one_image_that_cannot_be_read(paths, tmp_path, capsys):
    (tmp_path / "folder" / "gone.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(SystemExit, match="1"):
        main(["predict", *paths])
    assert "gone.jpg is left out: not a file" in capsys.readouterr().err
    main(["features", *paths, "--layers", "fc6", "--output", str(tmp_path / "f.npz")])
    assert "gone.jpg is left out: not a file" in capsys.readouterr().err
    with np.load(tmp_path / "f.npz") as file:
        assert [path.rsplit("/")[-1] for path in file["files"]] == ["one.png", "two.png"]


def test_a_classifier_stands_first_and_without_a_name(paths, tmp_path):
    classifier, image, _ = paths
    for arguments in (
        ["predict", image, classifier],
        ["predict", image, str(tmp_path)],  # the folder of classifier.keras
        ["predict", "--network", "tiny_imagenet", classifier, image],
    ):
        with pytest.raises(SystemExit, match="`images` must have a classifier as the first path"):
            main(arguments)
    # A folder of photographs is not a training because of its config.json.
    (tmp_path / "folder" / "config.json").write_text('{"camera": 1}')
    main(["predict", classifier, str(tmp_path / "folder")])
    with pytest.raises(SystemExit, match="`network` must be one of"):
        main(["predict", "--network", "none", str(tmp_path / "folder")])


def test_names_that_the_terminal_lacks_are_printed_as_escapes(paths, tmp_path, monkeypatch):
    name = "Gr\u00f6\u00dfe \u65e5.png"
    (tmp_path / "one.png").rename(tmp_path / name)
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, "latin-1"))
    main(["predict", paths[0], str(tmp_path / name)])
    sys.stdout.flush()
    assert b"Gr\xf6\xdfe \\u65e5.png" in printed.getvalue()


def test_writes_features(paths, tmp_path):
    arguments = [
        "--layers",
        "conv5",
        "fc6",
        "--before-activation",
        "--output",
        str(tmp_path / "f.npz"),
    ]
    main(["features", *paths, *arguments])
    expected = Classifier.load(paths[0]).features(
        paths[1:], ["conv5", "fc6"], before_activation=True
    )
    with np.load(tmp_path / "f.npz") as file:
        assert file["files"].tolist() == [paths[1], f"{paths[2]}/two.png"]
        for name in ("conv5", "fc6"):
            np.testing.assert_allclose(file[name], expected[name], atol=1e-6)


def test_errors_are_one_line(paths, tmp_path):
    classifier, image, _ = paths
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text('{"preset": "cifar"}')
    for arguments, words in (
        (
            ["predict", str(tmp_path / "text.keras"), image],
            "alexnet predict: `path` must be a .keras file of a model.*text.keras",
        ),
        (
            ["predict", str(tmp_path / "begun"), image],
            "`path` must be a .keras file of a model.*classifier.keras': file not found",
        ),
        (
            ["predict", classifier, str(tmp_path / "none")],
            "alexnet predict: `images` must be image files",
        ),
        (["predict", classifier, image, "--top", "9"], "`top` must be a whole number from 1 to 4"),
        (["predict", classifier, image, "--batch-size", "0"], "`batch_size` must be a positive"),
        (["predict", classifier, image, "--figure", "out.gif"], "`figure` must be a new file"),
        (
            ["features", classifier, image, "--layers", "fc9"],
            "alexnet features: `layers` must be among the layers of the network",
        ),
    ):
        with pytest.raises(SystemExit, match=words) as end:
            main(arguments)
        assert "\n" not in str(end.value)


def test_weights_with_a_name(paths, capsys, monkeypatch):
    classifier = Classifier.load(paths[0])
    monkeypatch.setattr(Classifier, "pretrained", lambda name, _: {"imagenet": classifier}[name])
    main(["predict", *paths])
    expected = capsys.readouterr().out
    main(["predict", "--network", "imagenet", *paths[1:]])
    assert capsys.readouterr().out == expected
    with pytest.raises(
        SystemExit,
        match="`network` must be one of imagenet, tiny_imagenet. Received: network='paper'",
    ):
        main(["predict", "--network", "paper", *paths[1:]])
    with pytest.raises(
        SystemExit, match="at least one path after the classifier.* Received: '.*keras' only"
    ):
        main(["predict", paths[0]])


def test_features_of_weights_with_a_name(paths, tmp_path, monkeypatch):
    classifier = Classifier.load(paths[0])
    monkeypatch.setattr(Classifier, "pretrained", lambda name, _: {"imagenet": classifier}[name])
    output = str(tmp_path / "f.npz")
    main(["features", "--network", "imagenet", *paths[1:], "--layers", "fc7", "--output", output])
    expected = classifier.features(paths[1:], "fc7")
    with np.load(output) as file:
        np.testing.assert_allclose(file["fc7"], expected["fc7"], atol=1e-6)
    with pytest.raises(
        SystemExit, match="alexnet features: `network` must be one of imagenet, tiny_imagenet. Re"
    ):
        main(["features", "--network", "paper", *paths[1:], "--layers", "fc7"])


@pytest.mark.usefixtures("shipped")
def test_the_network_of_the_package_is_taken_without_another(paths, tmp_path, monkeypatch, capsys):
    _, image, folder = paths
    entry = pretrained.REGISTRY["tiny"]
    monkeypatch.setitem(pretrained.REGISTRY, "convs", dataclasses.replace(entry, classes=0))
    output = str(tmp_path / "f.npz")
    features = ["features", folder, "--output", output, "--layers", "fc7"]
    with pytest.raises(
        SystemExit, match="one of imagenet, tiny_imagenet, tiny. Received: network='convs'"
    ):
        main(["predict", "--network", "convs", image])
    default = pretrained.REGISTRY["tiny_imagenet"]
    monkeypatch.setitem(
        pretrained.REGISTRY, "tiny_imagenet", dataclasses.replace(default, is_default=False)
    )
    monkeypatch.setitem(pretrained.REGISTRY, "tiny", dataclasses.replace(entry, is_default=True))
    main(["predict", image, folder])
    out, err = capsys.readouterr()
    assert err.startswith("Network: tiny, which comes with the package\n")
    main(["predict", "--network", "tiny", image, folder])
    assert capsys.readouterr().out == out
    main(features)
    expected = Classifier.pretrained("tiny").features(folder, "fc7")
    with np.load(output) as file:
        np.testing.assert_allclose(file["fc7"], expected["fc7"], atol=1e-6)


def test_one_network_is_the_default():
    assert sum(entry.is_default for entry in pretrained.REGISTRY.values()) == 1
