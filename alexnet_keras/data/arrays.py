"""Image arrays, and `.npz` files of them."""

import dataclasses
import hashlib
import os
import zipfile
import zlib

import numpy as np

from alexnet_keras.files import expand_home

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclasses.dataclass(frozen=True)
class NpzData:
    """The arrays of a data set, as an `.npz` file has them.

    Args:
        x_train, x_test: uint8 `(images, height, width[, 1 or 3])`.
        y_train, y_test: int32 `(images,)`.
        class_names: a name for each label.
        fingerprint: digest of all images and labels.
        splits: names of the training and the validation images.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple
    fingerprint: str
    splits: tuple = ("x_train", "x_test")


def read_npz(name: str | os.PathLike) -> NpzData:
    """Reads an `.npz` file of x_train, y_train, x_test and y_test, the names of Keras' data sets.

    Args:
        name: path of the file. Images x are uint8 `(images, height, width[, 1 or 3])`, labels y
            are whole numbers from 0. An optional array class_names names every label.

    Returns:
        An `NpzData`, whose training images are in a fixed order that mixes the classes.

    Raises:
        ValueError: for another file; the message gives the reason.
    """
    try:
        stored = _read(expand_home(name))
        for split in ("train", "test"):
            _check_images(f"x_{split}", stored[f"x_{split}"])
            _check_labels(f"y_{split}", stored[f"y_{split}"], len(stored[f"x_{split}"]))
        names = _class_names(stored)
    except Exception as error:  # a file can be wrong in more ways than NumPy documents
        raise ValueError(
            f"`dataset` must be an .npz file with {', '.join(ARRAYS)}. Received: "
            f"dataset={str(name)!r}: {error or type(error).__name__}"
        ) from error
    x_train = stored["x_train"]
    x_test = stored["x_test"]
    y_train, y_test = (stored[key].reshape(-1).astype("int32") for key in ("y_train", "y_test"))
    order = fixed_permutation(len(x_train))
    digest = digest_of(x_train, y_train, x_test, y_test)
    return NpzData(x_train[order], y_train[order], x_test, y_test, names, digest)


def digest_of(*arrays: np.ndarray) -> str:
    """Returns the digest of arrays, of their shapes and values."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read(path):
    """Returns a dict of the arrays of an `.npz` file."""
    if path.is_dir():
        raise ValueError("it is a folder")
    with path.open("rb") as file:
        start = file.read(6)
    if not start:
        raise ValueError("it is empty")
    if start == b"\x93NUMPY":
        raise ValueError("it is a single array (np.save); write an .npz with np.savez")
    if not start.startswith(b"PK"):
        raise ValueError(f"it is not an .npz file; it begins with {start!r}")
    try:
        # NumPy leaves a damaged file open that it has opened itself.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            missing = [key for key in ARRAYS if key not in file]
            if missing:
                raise ValueError(f"it has no {', '.join(missing)}")
            keys = [*ARRAYS, "class_names"] if "class_names" in file else ARRAYS
            stored = {key: _read_array(file, key) for key in keys}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"it is truncated or damaged ({error})") from error
    for key, array in stored.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{key} is not an array")
    return stored


def _read_array(file, key):
    """Reads an array; NumPy's own message on one of Python objects advises to unpickle it."""
    try:
        return file[key]
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        dtype = {"x": "uint8", "y": "int32"}.get(key[0], "str")
        raise ValueError(f'{key} holds Python objects; save {key}.astype("{dtype}")') from error


def _check_images(key, x):
    is_shape = x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3))
    if x.dtype != np.uint8 or not is_shape:
        raise ValueError(
            f"{key} must be uint8 of shape (images, height, width[, 3]), not {x.dtype} {x.shape}"
        )
    if not x.size:
        raise ValueError(f"{key} must hold images; it has shape {x.shape}")


def _check_labels(key, y, count):
    if np.issubdtype(y.dtype, np.integer) and y.shape in ((count,), (count, 1)):
        if y.min() < 0:
            raise ValueError(f"{key} must hold labels from 0, not {y.min()}")
        return
    fix = ""
    if y.ndim == 2 and len(y) == count and y.dtype.kind in "iufb":
        fix = f"; of one-hot rows take {key}.argmax(1)"
    elif y.dtype.kind in "US":
        fix = f"; np.unique({key}, return_inverse=True) numbers names"
    elif y.dtype.kind in "fb":
        fix = f'; save {key}.astype("int32")'
    raise ValueError(
        f"{key} must hold a whole number from 0 for each image, shape ({count},), "
        f"not {y.dtype} {y.shape}{fix}"
    )


def _class_names(stored):
    """Returns the stored class names, or else the labels as text."""
    highest = int(max(stored["y_train"].max(), stored["y_test"].max()))
    if "class_names" not in stored:
        images = len(stored["y_train"]) + len(stored["y_test"])
        if highest >= images:
            raise ValueError(
                f"labels must be 0 to classes - 1; {images} images have labels up to {highest}"
            )
        return tuple(str(label) for label in range(highest + 1))
    names = stored["class_names"]
    if names.ndim != 1:
        raise ValueError(f"class_names must be a list of names, not of shape {names.shape}")
    if len(names) <= highest:
        raise ValueError(
            f"class_names must name every class; it has {len(names)} names for labels "
            f"up to {highest}"
        )
    if names.dtype.kind == "S":  # as in the pickles of CIFAR
        names = np.char.decode(names, "utf-8")
    return tuple(str(name) for name in names)


def fixed_permutation(count: int) -> np.ndarray:
    """Returns a fixed permutation, which mixes the classes of sorted data.

    Large sets shuffle a window of images only, which then holds all classes.
    """
    return np.random.RandomState(0).permutation(count)
