import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from alexnet_keras.data import tiny_imagenet
from alexnet_keras.data.options import ImageSelection
from alexnet_keras.data.sources import open_image_source
from alexnet_keras.data.tiny_imagenet_classes import CLASS_NAMES
from alexnet_keras.plots import in_words


def write_folder(folder, classes, gray=()):
    """An unzipped Tiny ImageNet: two training images and one validation image a class, by color."""
    annotations = []
    for number, label in enumerate(classes):
        pixels = np.full((64, 64, 3), number, "uint8")
        image = Image.fromarray(pixels).convert("L" if label in gray else "RGB")
        (folder / "train" / label / "images").mkdir(parents=True)
        (folder / "train" / label / f"{label}_boxes.txt").write_text("0 0 63 63")
        for i in range(2):
            image.save(folder / "train" / label / "images" / f"{label}_{i}.JPEG", quality=100)
        (folder / "val" / "images").mkdir(parents=True, exist_ok=True)
        # In another order than the classes.
        image.save(folder / "val" / "images" / f"val_{len(classes) - number}.JPEG", quality=100)
        annotations.append(f"val_{len(classes) - number}.JPEG\t{label}\t0\t0\t63\t63\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(annotations))
    (folder / "test" / "images").mkdir(parents=True)
    image.save(folder / "test" / "images" / "test_0.JPEG")
    (folder / "wnids.txt").write_text("\n".join(classes))
    (folder / "words.txt").write_text("")
    return folder


def colors_and_labels(images, source):
    """The gray value of each image, which `write_folder` made its class, and its label."""
    return [(int(source.decode(image)[0, 0, 0]), int(label)) for image, label in images]


@pytest.fixture
def of_two_hundred(tmp_path, monkeypatch):
    """TFDS' folder with an unzipped set of 3 images a class."""
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(tiny_imagenet, "_COUNTS", {"train": 400, "validation": 200})
    manual = tmp_path / "tfds" / "downloads" / "manual"
    return write_folder(manual / "tiny-imagenet-200", list(CLASS_NAMES), gray=["n01443537"])


def test_classes():
    # The first and the last of the authors' wnids.txt in order, and their words in words.txt.
    assert list(CLASS_NAMES) == sorted(CLASS_NAMES)
    assert len(set(CLASS_NAMES.values())) == len(CLASS_NAMES) == 200
    words = {"n01443537": "goldfish", "n02124075": "Egyptian cat", "n12267677": "acorn"}
    assert words.items() <= CLASS_NAMES.items()


def test_by_name_from_an_unzipped_folder(of_two_hundred):
    source = open_image_source(ImageSelection("tiny_imagenet"))
    assert source.class_names[:2] == ("goldfish", "European fire salamander")
    assert in_words(source.class_names) == list(source.class_names)
    assert (source.train_count, source.validation_count) == (400, 200)
    assert source.splits == ("train", "validation")
    train = colors_and_labels(source.train, source)
    assert sorted(train) == sorted(2 * [(number, number) for number in range(200)])
    validation = colors_and_labels(source.validation, source)
    assert sorted(validation) == [(number, number) for number in range(200)]
    labels = [label for _, label in train]
    assert labels != sorted(labels)  # TFDS mixes the classes


def test_by_name_from_the_archive(of_two_hundred, monkeypatch):
    manual = of_two_hundred.parent
    archive = shutil.make_archive(manual / "tiny-imagenet-200", "zip", manual, "tiny-imagenet-200")
    shutil.rmtree(of_two_hundred)
    # The fixture's archive is not the authors' one.
    with pytest.raises(ValueError, match="wrong checksum"):
        open_image_source(ImageSelection("tiny_imagenet"))
    info = tiny_imagenet.TinyImageNet.url_infos[tiny_imagenet.URL]
    with open(archive, "rb") as file:
        content = file.read()
    monkeypatch.setattr(info, "size", len(content))
    monkeypatch.setattr(info, "checksum", hashlib.sha256(content).hexdigest())
    source = open_image_source(ImageSelection("tiny_imagenet"))
    assert (source.train_count, source.validation_count) == (400, 200)


def test_an_incomplete_folder_is_refused(of_two_hundred):
    (of_two_hundred / "train" / "n01443537" / "images" / "n01443537_0.JPEG").unlink()
    with pytest.raises(
        ValueError, match="must hold 400 train images of 200 classes. Received: 399"
    ):
        open_image_source(ImageSelection("tiny_imagenet"))


def test_as_a_folder(tmp_path, capsys):
    classes = ["n02124075", "n01443537", "n12267677"]
    folder = write_folder(tmp_path / "tiny-imagenet-200", sorted(classes))
    source = open_image_source(ImageSelection(str(folder)))
    assert source.class_names == ("goldfish", "Egyptian cat", "acorn")
    assert (source.train_count, source.validation_count) == (6, 3)
    assert source.splits == ("train", "val")
    assert sorted(colors_and_labels(source.validation, source)) == [(0, 0), (1, 1), (2, 2)]
    assert sorted(colors_and_labels(source.train, source)) == [(n, n) for n in (0, 0, 1, 1, 2, 2)]
    printed = capsys.readouterr().out
    assert "3 validation images in val" in printed
    assert "not used: test" in printed


@pytest.mark.parametrize("damage", ["missing file", "damaged line"])
def test_a_damaged_list_is_named(damage, tmp_path):
    folder = write_folder(tmp_path / "tiny-imagenet-200", ["n01443537", "n12267677"])
    if damage == "missing file":
        (folder / "val" / "images" / "val_1.JPEG").unlink()
    else:
        (folder / "val" / "val_annotations.txt").write_text("val_1.JPEG n01443537\n")
    with pytest.raises(
        ValueError, match="val_annotations.txt must list files in images/ .* does not exist"
    ):
        open_image_source(ImageSelection(str(folder)))


def test_validation_images_may_be_sorted_into_class_folders(tmp_path):
    classes = ["n01443537", "n12267677"]
    folder = write_folder(tmp_path / "tiny-imagenet-200", classes)
    for line in (folder / "val" / "val_annotations.txt").read_text().splitlines():
        name, label = line.split("\t")[:2]
        (folder / "val" / label).mkdir()
        (folder / "val" / "images" / name).rename(folder / "val" / label / name)
    (folder / "val" / "images").rmdir()
    source = open_image_source(ImageSelection(str(folder)))
    assert source.class_names == tuple(classes)
    assert sorted(colors_and_labels(source.validation, source)) == [(0, 0), (1, 1)]
