import shutil

import numpy as np
import pytest
from PIL import Image

from alexnet_keras import Classifier
from alexnet_keras.cli import main
from tests.test_classifier import NAMES, SIZE, tiny_network

pytest.importorskip("matplotlib")


@pytest.fixture
def paths(random, tmp_path):
    """The command's paths: a classifier, an image, and a folder with another of its name."""
    classifier = Classifier.from_network(tiny_network(), (120, 110, 100), NAMES, image_size=SIZE)
    classifier.save(tmp_path / "classifier.keras")
    (tmp_path / "folder").mkdir()
    for name in ("one.png", "folder/one.png"):
        image = random.randint(0, 256, (40, 50, 3)).astype("uint8")
        Image.fromarray(image).save(tmp_path / name)
    return [str(tmp_path / name) for name in ("classifier.keras", "one.png", "folder")]


@pytest.mark.parametrize(
    "options",
    [
        ["--layer", "conv5"],
        ["--method", "occlusion", "--class", "green"],
        ["--method", "saliency"],
        ["--method", "guided_backpropagation"],
    ],
    ids=str,
)
def test_writes_a_picture_for_each_image(options, paths, tmp_path, capsys):
    main(["explain", *paths, *options, "--out", str(tmp_path / "out")])
    method = options[1] if options[0] == "--method" else "grad_cam"
    names = [f"one_{method}.png", f"one_2_{method}.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    predictions = Classifier.load(paths[0]).predict(paths[1:], 4)
    lines = capsys.readouterr().out.splitlines()
    for line, name, prediction in zip(lines, names, predictions, strict=True):
        shares = dict(zip(prediction.names, prediction.probabilities, strict=True))
        class_name = "green" if "--class" in options else prediction.names[0]
        share = f"{100 * shares[class_name]:.2f}%"
        assert line == f"{prediction.source}: {class_name}, {share}: {tmp_path / 'out' / name}"
        with Image.open(tmp_path / "out" / name) as picture:
            assert len(np.unique(np.asarray(picture.convert("L")))) > 10  # it is not blank


def test_no_picture_is_replaced(paths, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one_grad_cam.png").write_text("mine")
    for class_name in ("red", "green"):
        main(["explain", *paths[:2], "--class", class_name, "--out", str(tmp_path / "out")])
    names = ["one_grad_cam.png", "one_2_grad_cam.png", "one_3_grad_cam.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    assert (tmp_path / "out" / "one_grad_cam.png").read_text() == "mine"


def test_pictures_are_not_explained_themselves(paths, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path / "folder")
    for _ in range(2):
        main(["explain", paths[0], "."])
    assert len(capsys.readouterr().out.splitlines()) == 2
    main(["explain", paths[0], "explanations/one_grad_cam.png"])  # asked for by name
    assert "explanations/one_grad_cam.png: " in capsys.readouterr().out
    shutil.rmtree("explanations")
    for _ in range(2):
        main(["explain", *paths[:2], ".", "--out", "."])
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(": ")[0] for line in lines] == [paths[1], "one.png"]


def test_a_link_to_itself_is_one_image_that_cannot_be_read(paths, tmp_path, capsys):
    (tmp_path / "folder" / "loop.png").symlink_to("loop.png")
    with pytest.raises(SystemExit):
        main(["explain", paths[0], str(tmp_path / "folder"), "--out", str(tmp_path / "out")])
    assert "loop.png" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir())


def test_long_names_are_shortened(paths, tmp_path):
    long = tmp_path / f"{'ä' * 120}.png"
    (tmp_path / "one.png").rename(long)
    main(["explain", paths[0], str(long), "--out", str(tmp_path / "out")])
    (picture,) = (tmp_path / "out").iterdir()
    assert picture.name == f"{'ä' * 90}_grad_cam.png"


def test_pictures_are_written_batch_by_batch(paths, tmp_path, monkeypatch):
    from alexnet_keras import plots

    draw = plots.plot_explanations

    def draw_the_first(explanations):
        if any((tmp_path / "out").iterdir()):
            raise KeyboardInterrupt
        return draw(explanations)

    monkeypatch.setattr(plots, "plot_explanations", draw_the_first)
    with pytest.raises(SystemExit):
        main(["explain", *paths, "--batch-size", "1", "--out", str(tmp_path / "out")])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one_grad_cam.png"]


def test_goes_on_after_a_broken_file(paths, tmp_path, capsys):
    (tmp_path / "folder" / "broken.png").write_text("no image")
    with pytest.raises(SystemExit) as end:
        main(["explain", *paths, "--out", str(tmp_path / "out")])
    assert end.value.code == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and "broken.png is left out" in err


def test_errors_are_one_line(paths, tmp_path):
    (tmp_path / "file").write_text("no folder")
    for options, words in (
        (["--layer", "conv9"], "alexnet explain: `layer` must be a layer of the network"),
        (["--class", "cow"], "`class_name` must be a class of the classifier, such as dark, red"),
        (["--method", "saliency", "--layer", "conv5"], "`layer` needs --method grad_cam"),
        (["--out", str(tmp_path / "file")], "`out` must be a folder that can be written"),
        (["--batch-size", "0"], "`batch_size` must be a positive whole number"),
    ):
        with pytest.raises(SystemExit, match=words) as end:
            main(["explain", *paths, *options])
        assert "\n" not in str(end.value)
    with pytest.raises(SystemExit, match="`images` must be image files, folders of images"):
        main(["explain", paths[0], str(tmp_path / "none")])


def test_weights_with_a_name_are_explained(paths, tmp_path, monkeypatch):
    classifier = Classifier.load(paths[0])
    monkeypatch.setattr(Classifier, "pretrained", lambda name, _: {"imagenet": classifier}[name])
    for start, folder in ((["--network", "imagenet"], "named"), ([paths[0]], "file")):
        main(["explain", *start, paths[1], "--out", str(tmp_path / folder)])
    named, file = (tmp_path / folder / "one_grad_cam.png" for folder in ("named", "file"))
    assert named.read_bytes() == file.read_bytes()
