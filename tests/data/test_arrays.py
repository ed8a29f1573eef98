import io
import zipfile

import numpy as np
import pytest

from alexnet_keras.data.arrays import read_npz
from alexnet_keras.data.options import ImageSelection
from alexnet_keras.data.sources import open_image_source

IMAGES = np.arange(4 * 5 * 6 * 3, dtype="uint8").reshape(4, 5, 6, 3)
LABELS = np.array([0, 1, 2, 1])
ARRAYS = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS}


def npz(**changes):
    file = io.BytesIO()
    np.savez(file, **ARRAYS | changes)
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, IMAGES)
    return file.getvalue()


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def damaged():
    """Pixels that do not fit the checksum of their member."""
    content = bytearray(npz())
    content[content.index(IMAGES.tobytes()) + 7] ^= 255
    return bytes(content)


FILES = {
    "empty": (b"", "it is empty"),
    "single array": (npy(), r"it is a single array \(np.save\); write an .npz with np.savez"),
    "page": (
        b"<!DOCTYPE html><html></html>",
        "it is not an .npz file; it begins with b'<!DOCT'",
    ),
    "truncated": (npz()[:-100], "it is truncated or damaged"),
    "damaged": (damaged(), "it is truncated or damaged"),
    "no array": (
        zipped(x_train="text", y_train="text", x_test="text", y_test="text"),
        "x_train is not an array",
    ),
    "other archive": (zipped(readme="text"), "it has no x_train, y_train, x_test, y_test"),
    "object images": (
        npz(x_train=np.array([None])),
        r'x_train holds Python objects; save x_train.astype\("uint8"\)$',
    ),
    "object labels": (
        npz(y_test=LABELS.astype(object)),
        r'y_test holds Python objects; save y_test.astype\("int32"\)$',
    ),
    "object names": (
        npz(class_names=np.array(["a", "b", "c"], object)),
        r'class_names holds Python objects; save class_names.astype\("str"\)$',
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_another_kind_is_reported_in_one_line(kind, tmp_path):
    content, message = FILES[kind]
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    expected = (
        rf"^`dataset` must be an \.npz file with x_train, .*Received: dataset='{path}': .*{message}"
    )
    for read, argument in (
        (read_npz, str(path)),
        (open_image_source, ImageSelection(str(path))),
    ):
        with pytest.raises(ValueError, match=expected) as error:
            read(argument)
        assert "\n" not in str(error.value)


def test_a_folder_no_file_and_a_file_without_permission(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="it is a folder"):
        read_npz(tmp_path)
    with pytest.raises(ValueError, match="No such file or directory"):
        read_npz(tmp_path / "none.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(ValueError, match=r"folder\.npz holds no folders"):
        open_image_source(ImageSelection(str(tmp_path / "folder.npz")))

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ValueError, match="Permission denied"):
        read_npz(tmp_path / "secret.npz")


CHANGES = {
    "one-hot": (
        {"y_train": np.eye(4, dtype="float32")},
        r"y_train must hold a whole number .* shape \(4,\), not float32 \(4, 4\); "
        "of one-hot rows take y_train.argmax",
    ),
    "float": (
        {"y_test": LABELS + 0.0},
        r'y_test .* shape \(4,\), not float64 \(4,\); save y_test.astype\("int32"\)$',
    ),
    "string": (
        {"y_train": np.array(list("abcd"))},
        r"y_train .* not <U1 \(4,\); np.unique\(y_train, return_inverse",
    ),
    "boolean": (
        {"y_train": LABELS > 0},
        r'y_train .* not bool \(4,\); save y_train.astype\("int32"\)$',
    ),
    "too few": ({"y_train": LABELS[:3]}, r"y_train .* shape \(4,\), not int64 \(3,\)"),
    "other axes": (
        {"y_train": LABELS.reshape(2, 2)},
        r"y_train .* shape \(4,\), not int64 \(2, 2\)",
    ),
    "negative": ({"y_test": LABELS - 1}, "y_test must hold labels from 0, not -1"),
    "huge": (
        {"y_train": LABELS * 10**12},
        "labels must be 0 to classes - 1; 8 images have labels up to 2000000000000",
    ),
    "no test images": (
        {"x_test": IMAGES[:0], "y_test": LABELS[:0]},
        r"x_test must hold images; .* \(0, 5, 6, 3\)",
    ),
    "no training images": (
        {"x_train": IMAGES[:0], "y_train": LABELS[:0]},
        "x_train must hold images",
    ),
    "no pixels": ({"x_train": IMAGES[:, :0]}, r"x_train must hold images; .* \(4, 0, 6, 3\)"),
    "float images": (
        {"x_train": IMAGES / 255},
        r"x_train must be uint8 of shape .*, not float64 \(4, 5, 6, 3\)",
    ),
    "few names": (
        {"class_names": ["a", "b"]},
        "class_names must name every class; it has 2 names for labels up to 2",
    ),
    "one name": ({"class_names": "a"}, r"class_names must be a list of names, not of shape \(\)"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_arrays_of_another_kind_are_reported(case, tmp_path):
    changes, message = CHANGES[case]
    (tmp_path / "data.npz").write_bytes(npz(**changes))
    with pytest.raises(ValueError, match=f"Received: dataset='{tmp_path}/data.npz': {message}"):
        read_npz(tmp_path / "data.npz")


def test_the_fingerprint_is_of_all_arrays_and_their_shapes(tmp_path):
    found = {}
    for name, changes in (
        ("same", {}),
        ("other training labels", {"y_train": LABELS[::-1]}),
        ("other labels", {"y_test": LABELS[::-1]}),
        ("other images", {"x_test": IMAGES[::-1]}),
        ("other shape", {"x_train": IMAGES.reshape(len(IMAGES), *IMAGES.shape[2:0:-1], -1)}),
    ):
        (tmp_path / "data.npz").write_bytes(npz(**changes))
        found[name] = read_npz(tmp_path / "data.npz").fingerprint
    assert len(set(found.values())) == len(found)
    (tmp_path / "data.npz").write_bytes(npz())
    assert read_npz(tmp_path / "data.npz").fingerprint == found["same"]


def test_labels_may_be_a_column(tmp_path):
    (tmp_path / "data.npz").write_bytes(
        npz(y_train=LABELS[:, None], class_names=["a", "b", "c", "none"])
    )
    arrays = read_npz(tmp_path / "data.npz")
    assert arrays.class_names == ("a", "b", "c", "none")
    stored = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    assert [stored[image.tobytes()] for image in arrays.x_train] == arrays.y_train.tolist()


def test_class_names_may_be_bytes(tmp_path):
    names = [b"cat", b"dog", "Käfer".encode()]
    (tmp_path / "data.npz").write_bytes(npz(class_names=np.array(names)))
    assert read_npz(tmp_path / "data.npz").class_names == ("cat", "dog", "Käfer")
