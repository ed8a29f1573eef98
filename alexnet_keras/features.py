"""Activations of a classifier's layers for photographs, in memory and in a file."""

import functools
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from alexnet_keras.checks import check_whole_number
from alexnet_keras.compiled import CompiledModel
from alexnet_keras.data.photographs import (
    Photograph,
    list_photographs,
    prepared_batches,
    progress,
)
from alexnet_keras.files import (
    check_writable,
    expand_home,
    holding,
    read_npz,
    replacing,
    write_text,
)
from alexnet_keras.layers import Preparation
from alexnet_keras.models import fingerprint
from alexnet_keras.models.inspection import LINEAR_LAYERS, activation_after, with_activation
from alexnet_keras.record import check_folder

if TYPE_CHECKING:
    from alexnet_keras.classifier import Classifier

SUFFIXES = (".npz", ".h5", ".hdf5")
_CHUNK = 256  # images in a file, which bounds the memory for large layers
TEXTS = ("files", "skipped", "reasons")


class FeatureExtractor:
    """Computes the outputs of layers, with or without their activations.

    The activation of a convolution or dense layer is its own, or the next activation layer, such as
    relu5 for conv5. It is applied to the layer's linear output, so for a ReLU `max(before, 0)` is
    `after` to the bit. Other layers have one output.

    Args:
        preparation: the `Preparation` layer of a classifier.
        network: its network.
        layers: names of layers of the network.
        before_activation: whether to leave the activations out.
        batch_size: images that pass through the network at a time.

    Attributes:
        layers: names of the layers, without repetitions.

    Raises:
        ValueError: for an unknown name, or for no names.
    """

    def __init__(
        self,
        preparation: Preparation,
        network: keras.Model,
        layers: Iterable[str],
        before_activation: bool,
        batch_size: int,
    ):
        self.layers = tuple(dict.fromkeys(layers))
        _check_layers(network, self.layers)
        self._image_size = preparation.image_size
        self._batch_size = batch_size
        outputs = {}
        self._activations = {}
        for name in self.layers:
            outputs[name], activation = linear_output(network, network.get_layer(name))
            self._activations[name] = None if before_activation else activation
        images = keras.Input((self._image_size, self._image_size, 3))
        inner = keras.Model(network.inputs[0], outputs)
        self._model = keras.Model(images, inner(preparation(images)))
        self._run = CompiledModel(self._model, batch_size)

    def read(self, photographs: Sequence[Photograph], bar: tqdm) -> dict:
        """Computes the features of images.

        Args:
            photographs: list of `Photograph`.
            bar: progress bar to update.

        Returns:
            dict of arrays, as `Classifier.features` returns them.
        """
        texts = {name: [] for name in TEXTS}
        outputs = self._model.output
        parts = [{name: np.zeros((0, *outputs[name].shape[1:]), "float32") for name in self.layers}]
        for batch in prepared_batches(photographs, self._image_size, self._batch_size, bar):
            batch.print_errors()
            for photograph, error in zip(batch.photographs, batch.errors, strict=True):
                if error is None:
                    texts["files"].append(photograph.source)
                else:
                    texts["skipped"].append(photograph.source)
                    texts["reasons"].append(error)
            if len(batch.images):
                parts.append(self.compute(batch.images))
        arrays = {name: np.array(lines, str) for name, lines in texts.items()}
        return arrays | {
            name: np.concatenate([part[name] for part in parts]) for name in self.layers
        }

    def compute(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the features of prepared images.

        Args:
            images: uint8 `(count, image_size, image_size, 3)`, at most `batch_size` of them.

        Returns:
            dict from the name of each layer to its values, float32 `(count, ...)`.

        Raises:
            ValueError: for more images than `batch_size`.
        """
        outputs = self._run(images)
        values = {}
        for name, activation in self._activations.items():
            output = outputs[name]
            if activation is not None:
                output = ops.convert_to_numpy(activation(ops.convert_to_tensor(output)))
            values[name] = np.asarray(output, "float32")
        return values


def _check_layers(network, layers):
    known = [layer.name for layer in network.layers]
    unknown = [name for name in layers if name not in known]
    if unknown or not layers:
        raise ValueError(
            f"`layers` must be among the layers of the network, {', '.join(known)}. "
            f"Received: {', '.join(map(str, unknown)) or 'none'}"
        )


def linear_output(network: keras.Model, layer: keras.layers.Layer) -> tuple:
    """Returns the symbolic output of a layer without activation, and its activation or `None`."""
    if not isinstance(layer, LINEAR_LAYERS):
        return layer.output, None
    if layer.activation is keras.activations.linear:
        _, activation = activation_after(network, layer)
        return layer.output, activation
    linear = with_activation(layer, keras.activations.linear, f"{layer.name}_linear")
    return linear(layer.input), layer.activation


def write_features(
    classifier: "Classifier",
    images: str | os.PathLike | Sequence,
    layers: Iterable[str],
    path: str | os.PathLike,
    *,
    before_activation: bool = False,
    batch_size: int = 32,
    chunk: int = _CHUNK,
) -> Path:
    """Writes the activations of layers for image files to a file.

    Until the file is whole, its chunks are in the folder `NAME.partial`. Repeat a stopped call to
    resume it from there.

    Args:
        classifier: a `Classifier`.
        images: a path, or a list of paths; each is a file, a folder or a glob.
        layers, before_activation, batch_size: as for `Classifier.features`.
        path: new file. `.npz` for NumPy; `.h5` or `.hdf5` for HDF5.
        chunk: images in a chunk.

    Returns:
        The path. The file has an array for each layer, float32 `(images, ...)`, with the paths of
        the rows in `files`. Files that can't be read are in `skipped`, with their `reasons`.

    Raises:
        ValueError: for a file that exists or has another ending, an unknown layer, or a folder of
            another call; for a path without images, or without readable ones.
        OSError: if a file can't be written; the previous file stays.
    """
    path = check_new_file(path)
    check_whole_number("chunk", chunk)
    files = list_files(images)
    extractor = classifier.feature_extractor(layers, before_activation, batch_size)
    settings = {
        "model": fingerprint(classifier.model),
        "color_order": classifier.preparation.color_order,
        "layers": extractor.layers,
        "before_activation": before_activation,
        "images": _digest(files),
        "chunk": chunk,
    }
    folder = path.with_name(f"{path.name}.partial")
    expected = "a new file, or one whose .partial folder has the same classifier, layers and images"
    with holding(folder, "path"):
        check_folder(folder / "settings.json", settings, argument="path", expected=expected)
        write_text(folder / "settings.json", json.dumps(settings) + "\n")
        _write_chunks(extractor, files, folder, chunk)
        _assemble(folder, path, extractor.layers)
    shutil.rmtree(folder, ignore_errors=True)
    return path


def list_files(images: str | os.PathLike | Sequence) -> list[str]:
    """Lists image files.

    Args:
        images: a path, or a list of paths; each is a file, a folder or a glob.

    Raises:
        ValueError: for anything but paths, or a path without images.
    """
    found = list_photographs(images)
    if not all(isinstance(photograph.image, str) for photograph in found):
        raise ValueError("`images` must be paths of files. Received: arrays or Pillow images")
    return [str(photograph.image) for photograph in found]


def check_new_file(path: str | os.PathLike) -> Path:
    """Returns the path of a new file of features.

    Raises:
        ValueError: for a file that exists or has another ending, or a folder that can't be written.
    """
    path = expand_home(path)
    if path.suffix not in SUFFIXES or path.exists():
        reason = "which exists" if path.exists() else "with another ending"
        raise ValueError(
            f"`path` must be a new file that ends in {', '.join(SUFFIXES)}. "
            f"Received: path={str(path)!r}, {reason}"
        )
    check_writable(path.parent, "path", "a file in a folder")
    return path


def _digest(files):
    """Returns a digest of the paths, sizes and times of files."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        try:
            status = Path(file).stat()
            state = f"{status.st_size}:{status.st_mtime_ns}"
        except OSError:  # a link that leads nowhere; it is listed with the reason
            state = ""
        digest.update(os.fsencode(f"{file}:{state};"))
    return digest.hexdigest()


def _write_chunks(extractor, files, folder, chunk):
    """Writes the missing chunks."""
    parts = [files[i : i + chunk] for i in range(0, len(files), chunk)]
    missing = [number for number in range(len(parts)) if not _chunk_path(folder, number).exists()]
    with progress(len(files), "Features") as bar:
        bar.update(len(files) - sum(len(parts[number]) for number in missing))
        for number in missing:
            arrays = extractor.read([Photograph(file, file) for file in parts[number]], bar)
            with replacing(_chunk_path(folder, number)) as partial:
                np.savez(partial, **arrays)


def _chunk_path(folder, number):
    return folder / f"{number:06d}.npz"


def _assemble(folder, path, layers):
    """Writes the file from the chunks, with one chunk at a time in memory."""
    chunks = sorted(folder.glob("[0-9]*.npz"))
    texts = {name: np.concatenate([read_npz(file, name)[0] for file in chunks]) for name in TEXTS}
    if not len(texts["files"]):
        shutil.rmtree(folder, ignore_errors=True)  # it has no features
        raise ValueError(
            "`images` must hold an image that can be read. "
            f"Received: {texts['skipped'][0]}: {texts['reasons'][0]}"
        )
    write = _write_npz if path.suffix == ".npz" else _write_hdf5
    with replacing(path) as partial:
        write(partial, texts, {name: functools.partial(_arrays, chunks, name) for name in layers})


def _arrays(chunks, name) -> Iterator[np.ndarray]:
    for file in chunks:
        (array,) = read_npz(file, name)
        yield array


def _write_npz(path, texts, layers):
    count = len(texts["files"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in texts.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array)
        for name, arrays in layers.items():
            shape = (count, *next(arrays()).shape[1:])
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_2_0(file, header)
                for array in arrays():
                    file.write(np.ascontiguousarray(array, "<f4").tobytes())


def _write_hdf5(path, texts, layers):
    count = len(texts["files"])
    with h5py.File(path, "w") as file:
        for name, array in texts.items():
            encoded = [os.fsencode(text) for text in array.tolist()]
            file.create_dataset(name, (len(array),), h5py.string_dtype(), encoded or None)
        for name, arrays in layers.items():
            shape = (count, *next(arrays()).shape[1:])
            dataset = file.create_dataset(name, shape, "float32")
            first = 0
            for array in arrays():
                dataset[first : first + len(array)] = array
                first += len(array)
