import os
import textwrap

import numpy as np
import pytest
from PIL import Image

from alexnet_keras.data import folders
from alexnet_keras.data.folders import read_folder
from alexnet_keras.data.options import ImageSelection
from alexnet_keras.data.sources import open_image_source


def fill(root, *paths):
    """Writes small images at paths; "4 train/cat" stands for four of them in a folder."""
    for path in paths:
        count, _, folder = path.partition(" ")
        names = [path]
        if count.isdecimal():
            names = [f"{folder}/{number}.png" for number in range(int(count))]
        for number, name in enumerate(names):
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            image = Image.new("RGB", (8, 8), (number, 0, 0))
            image.save(file, format="TIFF" if file.suffix == ".tif" else None)


def read(root, **options):
    return read_folder(ImageSelection(str(root), **options))


def names_of(root, files):
    return sorted(file.removeprefix(f"{root}/") for file, _ in files)


def test_classes_that_do_not_fit_are_found_before_the_images_are_decoded(tmp_path, monkeypatch):
    fill(tmp_path, *(f"3 {label}" for label in ("cats", "dogs", "foxes")))

    def refuse(names):
        raise ValueError(f"not {', '.join(names)}")

    with monkeypatch.context() as context:
        context.setattr(folders, "corrupt_files", lambda *arguments: pytest.fail("decoded"))
        with pytest.raises(ValueError, match="^not foxes, cats$"):
            read(tmp_path, class_subset=(2, 0), check_classes=refuse)
        with pytest.raises(ValueError, match="`class_subset` must be different numbers from 0 to"):
            read(tmp_path, class_subset=(0, 3))
    assert read(tmp_path).class_names == ("cats", "dogs", "foxes")


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ("train", "val"),
        ("Train", "Test"),
        ("train", "Val"),
        ("train", "testing"),
        ("training_set", "test_set"),
        ("Training Data", "validation-data"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("ILSVRC2012_img_train", "ILSVRC2012_img_val"),
        ("train2017", "val2017"),
    ],
)
def test_usual_names_of_the_two_parts(train, validation, tmp_path, capsys):
    fill(tmp_path, *(f"3 {train}/{label}" for label in ("cats", "dogs")))
    fill(tmp_path, f"2 {validation}/cats", f"1 {validation}/dogs", "2 single_prediction")
    data = read(tmp_path)
    assert data.class_names == ("cats", "dogs")
    expected = [f"{train}/{label}/{n}.png" for label in data.class_names for n in range(3)]
    assert names_of(tmp_path, data.train) == expected
    expected = [f"{validation}/{name}" for name in ("cats/0.png", "cats/1.png", "dogs/0.png")]
    assert names_of(tmp_path, data.validation) == expected
    assert [label for file, label in data.train if "dogs" in file] == [1, 1, 1]
    out = capsys.readouterr().out
    for line in (
        f"Images in {tmp_path}:",
        "2 classes: cats, dogs",
        f"6 training images in {train}",
        f"3 validation images in {validation}",
        "not used: single_prediction",
    ):
        assert line in out


def test_validation_goes_before_test(tmp_path, capsys):
    fill(tmp_path, *(f"2 {part}/{label}" for part in ("train", "valid", "test") for label in "ab"))
    assert names_of(tmp_path, read(tmp_path).validation)[0] == "valid/a/0.png"
    assert "not used: test\n" in capsys.readouterr().out


def test_held_out_images_beside_validation_images_are_refused_before_any_is_read(
    tmp_path, monkeypatch
):
    fill(tmp_path, *(f"2 {part}/{label}" for part in ("train", "val") for label in "ab"))
    monkeypatch.setattr("alexnet_keras.data.folders.corrupt_files", None)  # which reads them
    message = f"`hold_out_every` needs .*hold_out_every=3, dataset='{tmp_path}', which has val$"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, hold_out_every=3)


def test_class_names_may_contain_split_names(tmp_path, capsys):
    fill(tmp_path, "5 steam_train", "5 contest", "5 interval")
    data = read(tmp_path, hold_out_every=5)
    assert data.class_names == ("contest", "interval", "steam_train")
    assert names_of(tmp_path, data.validation) == [f"{label}/0.png" for label in data.class_names]
    assert "12 training images and 3 validation images" in capsys.readouterr().out


# Paths of images, and the expected message.
UNCLEAR = {
    "nothing": ([], "holds no folders"),
    "one class": (["4 a"], r"holds 1 class folder\(s\): a. Use two or more"),
    "a folder too far up": (
        ["2 set/train/a", "2 set/train/b", "2 more"],
        r"folder set holds train. Use dataset=.*/set'$",
    ),
    "classes a folder too far up": (
        ["2 set/a", "2 set/b"],
        r"folder set holds a, b. Use dataset=.*/set'$",
    ),
    "two training folders": (
        ["2 train/a", "2 Training/a"],
        "Keep one training and at most one validation folder",
    ),
    "two validation folders": (
        ["2 train/a", "2 val/a", "2 valid/a"],
        "at most one validation folder",
    ),
    "no training folder": (["2 test/a", "2 test/b"], "holds test. Keep one training"),
    "classes and a test": (
        ["2 cats", "2 dogs", "2 test"],
        "holds cats, dogs, test. Keep one training",
    ),
    "a class or a part": (
        ["2 car", "2 train"],
        "If train is a class, put all class folders into a folder train",
    ),
    "unknown names": (
        ["2 x/a", "2 x/b", "2 y/a", "2 y/b"],
        "folders x, y each hold a, b. Rename one to train",
    ),
    "classes beside images": (
        ["2 images/a", "2 images/b", "2 samples"],
        "folder images holds a, b, and samples holds images. "
        "If images has the class folders, use dataset=",
    ),
    "unknown names of which one has more classes": (
        ["2 x/a", "2 x/b", "2 x/c", "2 y/a", "2 y/b"],
        "folders x, y each hold a, b. Rename one to train",
    ),
    "unknown names of which one has a class": (
        ["2 x/a", "2 x/b", "2 y/a"],
        "folders x, y each hold a. Rename one",
    ),
    "an unknown name": (
        ["2 train/a", "2 train/b", "2 more/a"],
        "more has class folders of train. Rename more to val",
    ),
    "flat": (["3 train"], "train holds 3 images, such as 0.png, outside of class folders. Put"),
    "no folders": (
        ["0.png", "1.png"],
        "holds 2 images, such as 0.png, outside of class folders. Put",
    ),
    "flat validation": (
        ["2 train/a", "2 train/b", "2 val"],
        "val holds 2 images, .* or move val elsewhere: then",
    ),
    "flat test": (
        ["2 train/a", "2 train/b", "2 test"],
        "test holds 2 images, .* or move test elsewhere: then",
    ),
    "ImageNet's validation": (
        ["2 train/a", "2 train/b", "val/ILSVRC2012_val_00000001.JPEG"],
        "The classes of ImageNet's validation images are in another file: .* imagenet2012",
    ),
    "other classes": (
        ["2 train/a", "2 train/b", "2 val/c"],
        "val has the class folders c, which train has not",
    ),
    "no image in a class": (
        ["2 a", "2 b", "c/x.tif", "c/y.tif"],
        r"without images: c \(2 \.tif\). Images end in \.jpg",
    ),
    "none in validation": (
        ["2 train/a", "2 train/b", "2 val/a", "val/b/x.tif"],
        r"without images: b \(1 \.tif\)",
    ),
    "one image": (["2 a", "1 b"], "Class b has one image, which is held out"),
}


def test_content_changes_with_exchanged_names_and_not_with_the_place(tmp_path):
    sizes = {"a": 8, "b": 9}
    for label, size in sizes.items():
        for number in range(3):
            file = (
                tmp_path / "first" / label / f"{number}.bmp"
            )  # whose size follows from its pixels
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (size, size)).save(file)
    before = read(tmp_path / "first").content
    (tmp_path / "first").rename(tmp_path / "second")
    assert read(tmp_path / "second").content == before
    for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
        (tmp_path / "second" / old).rename(tmp_path / "second" / new)
    assert read(tmp_path / "second").content != before


@pytest.mark.parametrize("label", ["images", "photos"])
def test_images_may_be_one_folder_deeper(label, tmp_path):
    fill(tmp_path, f"3 cats/{label}", f"3 dogs/{label}")
    assert read(tmp_path).class_names == ("cats", "dogs")


@pytest.mark.parametrize("case", UNCLEAR)
def test_an_unclear_layout_is_reported(case, tmp_path):
    paths, message = UNCLEAR[case]
    fill(tmp_path, *paths)
    with pytest.raises(
        ValueError, match=f"(?s)`dataset` must be a folder with train/CLASS/ .*{message}"
    ):
        read(tmp_path)


def test_an_empty_class_folder_is_reported(tmp_path):
    fill(tmp_path, "2 a", "2 b")
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match=r"without images: c \(empty\)"):
        read(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        {"cat": ["cat.0.jpg", "cat.1.jpg"], "dog": ["dog.0.jpg", "dog.1.jpg"]},
        {
            "big dog": ["big dog_001.png", "big dog_2.png"],
            "n01440764": ["n01440764_18.JPEG", "n01440764_9.JPEG"],
        },
    ],
)
def test_the_lines_of_the_message_sort_the_classes_of_the_names(names, tmp_path):
    fill(tmp_path, *(f"train/{file}" for files in names.values() for file in files))
    (tmp_path / "train" / "labels.csv").write_text("")
    with pytest.raises(
        ValueError, match=f"by the class in their names: {', '.join(names)}\n"
    ) as error:
        read(tmp_path)
    exec(textwrap.dedent(str(error.value).split("\n", 1)[1]))
    for label, files in names.items():
        assert sorted(file.name for file in (tmp_path / "train" / label).iterdir()) == sorted(files)
    assert read(tmp_path, hold_out_every=2).class_names == tuple(names)


def test_files_that_are_left_out_are_counted_and_named(tmp_path, capsys):
    kinds = ["0.jpg", "1.JPEG", "2.jpe", "3.jfif", "4.png", "5.bmp", "6.gif", "7.webp"]
    (tmp_path / "a").mkdir()
    for name, format in zip(kinds, ["JPEG"] * 4 + ["PNG", "BMP", "GIF", "WEBP"], strict=True):
        Image.new("RGB", (8, 8)).save(tmp_path / "a" / name, format)
    fill(tmp_path, "3 b", "b/x.tif", "b/deep/y.tif", "loose.png")
    (tmp_path / "b" / "noending").write_text("text")
    (tmp_path / "b" / "linked").symlink_to(tmp_path / "a")
    data = read(tmp_path)
    assert names_of(tmp_path, data.train + data.validation) == sorted(
        [f"a/{name}" for name in kinds] + [f"b/{n}.png" for n in range(3)]
    )
    out = capsys.readouterr().out
    for line in (
        "left out, 2 (.tif): b/",
        "left out, 1 (no ending): b/noending",
        "left out, 1 (a linked folder): b/linked",
        "left out, 1 (in no class folder): loose.png",
    ):
        assert line in out


def test_hidden_and_system_files_are_ignored(tmp_path, capsys):
    parts = [f"2 {part}/{label}" for part in ("train", "val") for label in "ab"]
    hidden = [
        "train/.ipynb_checkpoints/x.png",
        "train/a/.ipynb_checkpoints/x.png",
        ".hidden/x.png",
        "train/a/._x.png",
    ]
    system = ["__MACOSX/train/a/x.png", "train/__MACOSX/x.png", "train/a/@eaDir/x.png"]
    fill(tmp_path, *parts, *hidden, *system)
    for name in ("Thumbs.db", "train/desktop.ini", "train/.DS_Store", "val/b/Thumbs.db"):
        (tmp_path / name).write_text("")
    data = read(tmp_path)
    assert data.class_names == ("a", "b")
    assert (len(data.train), len(data.validation)) == (4, 4)
    out = capsys.readouterr().out
    assert "left out" not in out
    assert "not used" not in out


def test_a_class_without_usable_images_is_reported(tmp_path):
    fill(tmp_path, "3 train/a", "3 train/b", "2 val/a", "2 val/b")
    for number in range(2):
        (tmp_path / "val" / "b" / f"{number}.png").write_text("text")
    message = "class b, where all 2 are corrupt:\n.*0.png: not a JPEG, PNG, BMP, GIF or WebP image"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, skip_corrupt=True)
    fill(tmp_path, "1 val/b")
    data = read(tmp_path, skip_corrupt=True)
    assert names_of(tmp_path, data.skipped and [(data.skipped[0], 0)]) == ["val/b/1.png"]
    for number in range(3):
        (tmp_path / "train" / "a" / f"{number}.png").write_text("text")
    with pytest.raises(ValueError, match="class a, where all 3 are corrupt"):
        read(tmp_path, skip_corrupt=True)


def test_classes_without_validation_images_are_reported(tmp_path, capsys):
    fill(tmp_path, "2 train/a", "2 train/b", "2 train/c", "1 val/b")
    assert len(read(tmp_path).validation) == 1
    assert "classes without validation images: a, c" in capsys.readouterr().out


def test_photographs_are_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned right: the stored left column is seen on top
    image = Image.new("RGB", (16, 8))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    fill(tmp_path, "2 a", "2 b")
    for n in range(2):
        image.save(tmp_path / "a" / f"{n}.png", exif=exif)
    source = open_image_source(ImageSelection(str(tmp_path), hold_out_every=2))
    images = [source.decode(path).numpy() for path, label in source.train if label == 0]
    assert [image.shape for image in images] == [(16, 8, 3)]
    np.testing.assert_array_equal(images[0][:, 0, 0], [255] * 8 + [0] * 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "data/flowers",
            "'data/flowers': neither an existing file or folder nor the name of a TFDS set",
        ),
        (
            "no flowers",
            "'no flowers': neither an existing file or folder nor the name of a TFDS set",
        ),
        ("./flowers", "'./flowers', which does not exist"),
        ("/no/flowers/", "'/no/flowers/', which does not exist"),
        ("text.txt", "'text.txt', a file of another kind"),
    ],
)
def test_a_missing_folder_is_reported(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("text")
    with pytest.raises(
        ValueError, match=f"`dataset` must be the TFDS name .* Received: dataset={message}"
    ):
        open_image_source(ImageSelection(name))


def test_names_of_folders_need_not_be_utf_8(tmp_path, capsys):
    root = tmp_path / os.fsdecode(b"ds\xe9t\xe9")
    fill(root, "3 cats", "3 dogs")
    (root / "cats" / os.fsdecode(b"\xe9.png")).write_text("not an image")
    source = open_image_source(ImageSelection(str(root), skip_corrupt=True))
    assert (source.train_count, source.validation_count) == (4, 2)
    assert [os.fsencode(path)[-5:] for path in source.skipped] == [b"\xe9.png"]
    paths = sorted(path for path, _ in source.train.as_numpy_iterator())
    assert paths[0] == os.fsencode(root / "cats" / "1.png")
    assert "ds\\udce9t\\udce9" in capsys.readouterr().out
