"""Activations of a hidden layer for a whole data set, on disk in chunks."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from alexnet_keras.checks import check_whole_number, is_whole_number
from alexnet_keras.data.info import center
from alexnet_keras.files import (
    check_writable,
    expand_home,
    holding,
    read_json,
    read_npz,
    replacing,
    write_text,
)
from alexnet_keras.models import fingerprint
from alexnet_keras.models.inspection import layer_of
from alexnet_keras.record import check_folder

SPLITS = ("train", "validation")
_CHUNK = 4096  # images in a file


class Activations:
    """Activations in a folder, written by `write_activations`.

    Args:
        folder: path of the folder.

    Attributes:
        about: dict of the model's fingerprint, the layer, its units, and the images.

    Raises:
        ValueError: for a folder without activations, or with some of them missing.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = expand_home(folder)
        path = self.folder / "activations.json"
        if not path.exists():
            raise ValueError(
                "`folder` must be one that write_activations wrote. Received: "
                f"folder={str(folder)!r}"
            )
        self.about = read_json(path)
        missing = [
            path.name for split in SPLITS for path in self._paths(split) if not path.exists()
        ]
        if missing:
            raise ValueError(
                f"`folder` must have all activations. Received: folder={str(folder)!r} without "
                f"{', '.join(missing[:3])}. Run write_activations again to resume it"
            )

    def count(self, split: str) -> int:
        """Returns the number of images of `"train"` or `"validation"`."""
        return self.about[f"{split}_count"]

    def labels(self, split: str) -> np.ndarray:
        """Returns the labels of a split, int32 `(images,)`."""
        return np.concatenate(list(self.chunks(split, "labels")))

    def chunks(self, split: str, kind: str = "activations") -> Iterator[np.ndarray]:
        """Reads the files of a split one by one.

        Args:
            split: `"train"` or `"validation"`.
            kind: `"activations"`, float32 `(images, units)`; `"pixels"`, uint8
                `(images, pixel_size**2 * 3)`; or `"labels"`, int32 `(images,)`.

        Yields:
            An array for each file, in the order of the images.

        Raises:
            ValueError: for a damaged file.
        """
        for path in self._paths(split):
            try:
                (array,) = read_npz(path, kind)
            except ValueError as error:
                raise ValueError(f"{error}. Delete it, and run write_activations again") from error
            yield array

    def rows(self, split: str, numbers: Sequence[int], kind: str = "activations") -> np.ndarray:
        """Returns the rows of some images, in the order of `numbers`; `kind` as for `chunks`.

        Raises:
            IndexError: for a number that no image has.
        """
        order = np.argsort(numbers)
        ordered = np.asarray(numbers)[order]
        first = 0
        parts = []
        for chunk in self.chunks(split, kind):
            in_chunk = (ordered >= first) & (ordered < first + len(chunk))
            parts.append(chunk[ordered[in_chunk] - first])
            first += len(chunk)
        return np.concatenate(parts)[np.argsort(order)]

    def _paths(self, split):
        return _paths(self.folder, split, self.about)


def write_activations(
    model: keras.Model,
    dataset: Any,
    folder: str | os.PathLike,
    layer: str = "fc7",
    pixel_size: int | None = None,
    batch_size: int = 128,
    chunk: int = _CHUNK,
    argument: str = "folder",
) -> Activations:
    """Writes the activations of a layer for the center crops of all images to a folder.

    The folder also gets the labels and scaled-down crops. Repeat a stopped call to resume it; files
    of the same model and images are not computed again.

    Args:
        model: an AlexNet.
        dataset: an `alexnet_keras.data.Dataset`.
        folder: folder of the files, made if it does not exist.
        layer: name of the layer; the paper's is `"fc7"`.
        pixel_size: side of the small crops, in pixels; `None` for 32, or less for smaller crops.
        batch_size: images that pass through the network at a time.
        chunk: images in a file, a multiple of `batch_size`.
        argument: name of the argument that gives the folder, for messages.

    Returns:
        `Activations`.

    Raises:
        ValueError: for an unknown layer, or a model of another image size; for a folder with other
            content, such as another model's activations, or in use by another process.

    Reference: section 6.1 of Krizhevsky et al. (2012); images of 32x32 pixels: Krizhevsky and
    Hinton (2011), "Using very deep autoencoders for content-based image retrieval".
    """
    about = check_activations(
        model, dataset, folder, layer, pixel_size, batch_size, chunk, argument
    )
    folder = expand_home(folder)
    network = keras.Model(model.input, model.get_layer(layer).output)
    with holding(folder, argument):
        write_text(folder / "activations.json", json.dumps(about, indent=1) + "\n")
        for split in SPLITS:
            missing = [
                number
                for number, path in enumerate(_paths(folder, split, about))
                if not path.exists()
            ]
            if missing:
                _write_split(network, dataset, folder, split, about, missing, batch_size)
    return Activations(folder)


def check_activations(
    model: keras.Model,
    dataset: Any,
    folder: str | os.PathLike,
    layer: str = "fc7",
    pixel_size: int | None = None,
    batch_size: int = 128,
    chunk: int = _CHUNK,
    argument: str = "folder",
) -> dict:
    """Checks the arguments of `write_activations`, and returns its description."""
    info = dataset.info
    folder = expand_home(folder)
    output = layer_of(model, layer).output
    if len(output.shape) != 2:
        raise ValueError(
            f"`layer` must be fully connected. Received: layer={layer!r}, whose output is "
            f"{output.shape}"
        )
    if model.input_shape[1:] != (info.crop_size, info.crop_size, 3):
        raise ValueError(
            f"`model` must take crops of {info.crop_size} pixels. Received: a model of input "
            f"{model.input_shape}"
        )
    pixel_size = min(32, info.crop_size) if pixel_size is None else pixel_size
    check_whole_number("pixel_size", pixel_size, 1, info.crop_size, "the side of the crops")
    check_whole_number("batch_size", batch_size)
    if not is_whole_number(chunk) or chunk % batch_size:
        raise ValueError(
            f"`chunk` must be a multiple of `batch_size`. Received: chunk={chunk}, "
            f"batch_size={batch_size}"
        )
    mean = np.ascontiguousarray(info.mean_image, "float32")
    about = {
        **{"model": fingerprint(model), "layer": layer, "units": output.shape[1]},
        **{"mean": hashlib.blake2b(mean.tobytes(), digest_size=16).hexdigest()},
        **{"dataset": info.name, "images": info.fingerprint, "image_size": info.image_size},
        **{"crop_size": info.crop_size, "pixel_size": pixel_size, "chunk": chunk},
        **{"train_count": info.train_count, "validation_count": info.validation_count},
    }
    expected = "a new folder, or one with the activations of this model on these images"
    check_writable(folder, argument)
    check_folder(folder / "activations.json", about, argument=argument, expected=expected)
    return about


def _write_split(network, dataset, folder, split, about, missing, batch_size):
    """Writes the missing files of a split.

    Args:
        network: model from crops less the mean to the layer.
        dataset: a `Dataset`.
        folder: folder of the files.
        split: `"train"` or `"validation"`.
        about: description of the files.
        missing: rising list of the numbers of the files to write.
        batch_size: images that pass through the network at a time.
    """
    first = missing[0]
    images = dataset.training_images if split == "train" else dataset.validation_images
    batches = images(batch_size).skip(first * about["chunk"] // batch_size).as_numpy_iterator()
    count = about[f"{split}_count"]
    size = about["pixel_size"]
    written = first * about["chunk"]
    with tqdm(total=count, initial=written, desc=f"Activations, {split}", unit="image") as bar:
        for number in range(first, missing[-1] + 1):
            path = _paths(folder, split, about)[number]
            expected = min(about["chunk"], count - written)
            if number not in missing:
                for _ in range(-(-expected // batch_size)):
                    next(batches)
                written += expected
                bar.update(expected)
                continue
            parts = []
            read = 0
            while read < expected:
                whole, labels = next(batches)
                crops = center(whole, about["crop_size"])
                activations = network.predict_on_batch(
                    crops.astype("float32") - dataset.info.mean_crop
                )
                parts.append(
                    (np.asarray(activations, "float32"), _scaled_down(crops, size), labels)
                )
                read += len(labels)
                bar.update(len(labels))
            activations, pixels, labels = (
                np.concatenate(part) for part in zip(*parts, strict=True)
            )
            with replacing(path) as partial:
                np.savez(partial, activations=activations, pixels=pixels, labels=labels)
            written += read


def _scaled_down(crops, size):
    if size != crops.shape[1]:
        crops = crops.astype("float32")
        crops = keras.ops.image.resize(
            crops, (size, size), antialias=True, data_format="channels_last"
        )
        crops = np.round(keras.ops.convert_to_numpy(crops)).clip(0, 255).astype("uint8")
    return crops.reshape(len(crops), -1)


def _paths(folder, split, about):
    chunks = -(-about[f"{split}_count"] // about["chunk"])
    return [folder / f"{split}-{number:05d}.npz" for number in range(chunks)]
