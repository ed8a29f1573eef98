"""Images as arrays in an `.npz` file."""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import numpy as np

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclasses.dataclass(frozen=True)
class Arrays:
    """What `read_arrays` has read.

    Args:
        x_train, x_test: uint8 `(images, height, width[, 1 or 3])`.
        y_train, y_test: int32 `(images,)`.
        class_names: a name for each label.
        fingerprint: changes whenever the training images have changed.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple
    fingerprint: str


def read_arrays(name):
    """Reads an `.npz` file with x_train, y_train, x_test, y_test, as Keras' own data sets have them.

    Args:
        name: path of the file. x: uint8 `(images, height, width[, 1 or 3])`; y: labels from 0. An array class_names
            may name every label.

    Returns:
        an `Arrays`; the training images are in a fixed order that mixes the classes.

    Raises:
        ValueError: for a file that is no such one; the message says why.
    """
    try:
        with np.load(Path(name).expanduser(), allow_pickle=False) as file:
            missing = [key for key in ARRAYS if key not in file]
            if missing:
                raise ValueError(f"it has no {', '.join(missing)}")
            x_train, y_train, x_test, y_test = (file[key] for key in ARRAYS)
            names = tuple(str(n) for n in file["class_names"]) if "class_names" in file else None
        for key, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
            if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[-1] not in (1, 3)):
                raise ValueError(
                    f"x_{key} must be uint8 of shape (images, height, width[, 3]), not {x.dtype} {x.shape}"
                )
            if not np.issubdtype(y.dtype, np.integer) or y.size != len(x) or y.min() < 0:
                raise ValueError(f"y_{key} must hold a label from 0 for each of the {len(x)} images of x_{key}")
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"`dataset` must be an .npz file with {', '.join(ARRAYS)}. Received: dataset={name!r}: {error}"
        ) from error
    y_train, y_test = y_train.reshape(-1).astype("int32"), y_test.reshape(-1).astype("int32")
    classes = int(max(y_train.max(), y_test.max())) + 1
    if names is not None and len(names) < classes:
        raise ValueError(
            f"`dataset` must name every class in class_names. Received: {len(names)} names and labels up to "
            f"{classes - 1} in {name!r}"
        )
    digest = hashlib.blake2b(np.ascontiguousarray(x_train).data, digest_size=16).hexdigest()
    order = mixed_order(len(x_train))
    names = names or tuple(str(label) for label in range(classes))
    return Arrays(x_train[order], y_train[order], x_test, y_test, names, digest)


def mixed_order(count):
    """A fixed permutation. Data sorted by class need it, as a window of images is shuffled and not all of them."""
    return np.random.RandomState(0).permutation(count)
