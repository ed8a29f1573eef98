"""Weights in the package, and weights that are downloaded once.

    from alexnet_keras import AlexNet, pretrained

    print(*pretrained.available())
    model = AlexNet(weights="imagenet")

To add weights to the package, write their file into `alexnet_keras/weights/` by `write_weights`.
Then add an entry with the file's name to `REGISTRY`. The entry with `is_default` is the network of
`alexnet predict`, `features` and `explain` without a classifier.
"""

import contextlib
import dataclasses
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from alexnet_keras.data.imagenet_names import imagenet_names
from alexnet_keras.files import check_suffix, check_writable, expand_home, replacing, sha256

FOLDER = Path(__file__).parent / "weights"  # of the files that come with the package
_SUBFOLDER = Path("models") / "alexnet_keras"  # of Keras' cache


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """Description of named weights. Either `file` or `url` is given.

    Args:
        preset: preset of the network.
        classes: number of classes; 0 for the conv layers only.
        size: size of the file in bytes.
        sha256: hash of the file.
        license: license and terms.
        card: path of the model card in the repository.
        file: name of a file in `alexnet_keras/weights` that `write_weights` has written.
        url: address of a `.pth` file of torchvision's alexnet.
        overrides: fields of the preset's configuration that differ.
        image_size: side that the shorter side of a photograph is scaled to, in pixels.
        mean: color that is subtracted from RGB images 0-255; `None` for the mean in the file.
        class_names: function that returns the name of each label; `None` for names in the file.
        is_default: whether commands take this network if none is given; one entry is.
    """

    preset: str
    classes: int
    size: int
    sha256: str
    license: str
    card: str
    file: str = ""
    url: str = ""
    overrides: Mapping = dataclasses.field(default_factory=dict)
    image_size: int = 256
    mean: tuple[float, float, float] | None = None
    class_names: Callable[[], Iterable[str]] | None = None
    is_default: bool = False


REGISTRY = {
    "imagenet": Pretrained(
        preset="torchvision",
        classes=1000,
        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        size=244_408_911,
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        license="BSD-3-Clause (torchvision); the terms of ImageNet may apply to the weights",
        card="docs/models/imagenet.md",
        mean=(123.675, 116.28, 103.53),  # 255 times torchvision's 0.485, 0.456, 0.406
        class_names=lambda: imagenet_names().values(),
    ),
    "tiny_imagenet": Pretrained(
        preset="tiny_imagenet",
        classes=200,
        file="tiny_imagenet.npz",
        size=2_930_652,
        sha256="a4e02d7b51103e43498a130ffd20ac023f2d2465a018bfabf8813185c983fe2f",
        license="Apache-2.0; the terms of ImageNet may apply to the weights",
        card="docs/models/tiny_imagenet.md",
        overrides={"input_shape": (56, 56, 3)},
        image_size=64,
        is_default=True,
    ),
    "imagenette_conv": Pretrained(
        preset="source",
        classes=0,
        file="imagenette_conv.npz",
        size=4_670_722,
        sha256="e38e34e29cf28170e0d7778fcff4eea1b55d83d5cd5c599fe7a235bbed933fc2",
        license="Apache-2.0; the terms of ImageNet may apply to the weights",
        card="docs/models/imagenette_conv.md",
    ),
}


def available() -> dict[str, Pretrained]:
    """Returns the named weights, which `AlexNet(weights=name)` loads.

    Returns:
        dict from names to descriptions: preset, classes, license, and the file in the package or
        the address that the first use downloads from.

    Example:

    >>> available()["imagenet"].preset
    'torchvision'
    """
    return dict(REGISTRY)


def default_name() -> str:
    """Returns the name of the network that commands take if none is given."""
    return next(name for name, entry in REGISTRY.items() if entry.is_default)


def classifier_names() -> list[str]:
    """Returns the names of the weights with classes, which `Classifier.pretrained` takes."""
    return [name for name, entry in REGISTRY.items() if entry.classes]


def load_pretrained(model: keras.Model, name: str) -> None:
    """Sets a model's weights to the named weights.

    Args:
        model: a network of the same configuration, which `AlexNet` checks. It may lack the top.
        name: one of `available()`.

    Raises:
        ValueError: for a model of other layers or shapes, or what `read_layers` raises.
    """
    stored = read_layers(name)
    layers = [layer for layer in model.layers if layer.weights]
    for layer in layers:
        expected = [tuple(weight.shape) for weight in layer.weights]
        found = [array.shape for array in stored.get(layer.name, [])]
        if expected != found:
            entry = REGISTRY[name]
            raise ValueError(
                f"`weights` {name!r} belong to the preset {entry.preset} with {entry.classes} "
                f"classes. Received: a model whose {layer.name} has shapes {expected}, not "
                f"{found or 'there'}"
            )
    for layer in layers:
        layer.set_weights(stored[layer.name])


def read_layers(name: str, argument: str = "weights") -> dict[str, list[np.ndarray]]:
    """Returns the weights of this name, after a download if they are not on this machine.

    Args:
        name: one of `available()`.
        argument: name of the argument in the message.

    Returns:
        dict from a layer's name to float32 arrays, as `layer.set_weights` takes them.

    Raises:
        ValueError: for an unknown name, or a file that is damaged or can't be downloaded. The
            message names the file and its place. An existing file stays.
    """
    layers = {}
    for key, array in _read_arrays(name, argument).items():
        layer, _, weight = key.partition("/")
        if weight:
            layers.setdefault(layer, []).append(array.astype("float32"))
    return layers


def preparation(
    name: str, argument: str = "name"
) -> tuple[Sequence[float] | np.ndarray, tuple[str, ...]]:
    """Returns the mean to subtract from images, and the names of the classes.

    Args:
        name: one of `available()`.
        argument: name of the argument in the message.

    Returns:
        `(mean, class_names)`: a mean color `(3,)` or mean image `(height, width, 3)`, RGB 0-255;
        and a name for each label.

    Raises:
        ValueError: as for `read_layers`, or for weights of the conv layers only.
    """
    entry = _entry(name, argument)
    if not entry.classes:
        raise ValueError(
            f"`{argument}` must be weights with classes. Received: {argument}={name!r}, conv "
            "layers only"
        )
    mean = entry.mean
    class_names = entry.class_names() if entry.class_names else ()
    if mean is None or not class_names:
        arrays = _read_arrays(name, argument)
        mean = arrays["mean"] if mean is None else mean
        class_names = class_names or arrays["class_names"].tolist()
    return mean, tuple(class_names)


def write_weights(
    path: str | os.PathLike,
    model: keras.Model,
    *,
    layers: Iterable[str] | None = None,
    dtype: str = "float16",
    mean: np.ndarray | Sequence[float] | None = None,
    class_names: Iterable[str] = (),
) -> dict:
    """Writes a model's weights as one file of the package.

    Args:
        path: path of the `.npz` file.
        model: a trained network.
        layers: names of the layers; `None` for all.
        dtype: type of the numbers. float16 rounds each to 11 binary digits.
        mean: mean color or mean image to subtract; `None` for no entry in the file.
        class_names: a name for each label.

    Returns:
        dict with the file's `size` and `sha256`, for an entry of `REGISTRY`.

    Raises:
        ValueError: for an unknown layer, a weight outside the range of the type, or a path that
            does not end in .npz.
    """
    check_suffix(path, ".npz")
    chosen = model.layers
    if layers is not None:
        names = [model.get_layer(name).name for name in layers]  # raises for an unknown name
        chosen = [layer for layer in model.layers if layer.name in names]
    arrays = {}
    for layer in chosen:
        for weight in layer.weights:
            key = f"{layer.name}/{weight.name}"
            arrays[key] = _rounded(key, keras.ops.convert_to_numpy(weight), dtype)
    if mean is not None:
        arrays["mean"] = np.asarray(mean, "float32")
    labels = list(class_names)
    if labels:
        arrays["class_names"] = np.array(labels, dtype=str)
    path = expand_home(path)
    with replacing(path) as partial:
        np.savez(partial, **arrays)
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def _rounded(key, array, dtype):
    with np.errstate(over="ignore"):
        rounded = array.astype(dtype)
    if not np.isfinite(rounded).all():
        raise ValueError(
            f"`model` must have weights in the range of {dtype}. Received: {key} up to "
            f"{np.abs(array).max():g}"
        )
    return rounded


def _entry(name, argument):
    if name not in REGISTRY:
        raise ValueError(
            f"`{argument}` must be one of {', '.join(REGISTRY)}. Received: {argument}={name!r}"
        )
    return REGISTRY[name]


def _read_arrays(name, argument):
    """Returns the arrays in the file of this name."""
    entry = _entry(name, argument)
    if entry.file:
        path = FOLDER / entry.file
        _check_file(path, entry, argument, name, "Install alexnet_keras again")
    else:
        path = _converted(name, entry, argument)
    try:
        # NumPy leaves a damaged file open that it has opened itself.
        with open(path, "rb") as opened, np.load(opened) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"`{argument}` {name!r} must be in a file without damage. "
            f"Received: {str(path)!r}, which is damaged. Delete it, and run again"
        ) from error


def _converted(name, entry, argument):
    """Returns the path of the converted file in Keras' cache; the first call downloads it."""
    folder = _cache()
    path = folder / f"{name}-{entry.sha256[:8]}.npz"
    if not path.exists():
        from alexnet_keras.convert import load_torchvision
        from alexnet_keras.models import AlexNet

        check_writable(folder, "KERAS_HOME")
        original = _download(name, entry, argument, folder)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")  # later processes read the same file
        try:
            model = AlexNet(entry.preset, classes=entry.classes, **entry.overrides)
        finally:
            keras.config.set_dtype_policy(before)
        load_torchvision(model, original)
        with replacing(path) as partial:
            write_weights(partial, model, dtype="float32")
    return path


def _cache():
    """Returns the package's folder in Keras' cache, `$KERAS_HOME` or `~/.keras`."""
    return expand_home(os.environ.get("KERAS_HOME", "~/.keras")) / _SUBFOLDER


def _download(name, entry, argument, folder):
    """Returns the path of the downloaded file, after a check of its hash."""
    path = folder / entry.url.rpartition("/")[2]
    if path.exists():
        _check_file(path, entry, argument, name, "Delete it, or put the right file there")
        return path
    try:
        # Keras' progress bar is not part of a command's output.
        with replacing(path) as partial, contextlib.redirect_stdout(sys.stderr):
            keras.utils.get_file(
                partial.name,
                origin=entry.url,
                file_hash=entry.sha256,
                hash_algorithm="sha256",
                cache_dir=str(folder.parents[1]),
                cache_subdir=str(_SUBFOLDER),
            )
    except Exception as error:  # Keras raises a bare Exception if a server does not answer
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"`{argument}` {name!r} can't be downloaded: {reason}. Put the file {entry.url} "
            f"({entry.size:,} bytes, SHA-256 {entry.sha256}) at {path}"
        ) from error
    return path


def _check_file(path, entry, argument, name, advice):
    """Raises a `ValueError` for a file that is missing or not the entry's."""
    expected = f"SHA-256 {entry.sha256}"
    try:
        size = path.stat().st_size
        found = f"SHA-256 {sha256(path)}" if size == entry.size else f"{size:,} bytes"
    except OSError as error:
        found = error.strerror or str(error)
    if found != expected:
        raise ValueError(
            f"`{argument}` {name!r} must be the file {str(path)!r} with {entry.size:,} bytes and "
            f"{expected}. Received: {found}. {advice}"
        )
