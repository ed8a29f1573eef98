"""Saved models and weights."""

import os
import zipfile
from pathlib import Path

import h5py
import keras


def load_model(path: str | os.PathLike, argument: str = "weights") -> keras.Model:
    """Loads the model in a `.keras` file for predictions. Keras' safe mode stays on.

    Args:
        path: path of the file.
        argument: name of the argument in the message.

    Raises:
        ValueError: for a missing file, or a file without a model.
    """
    import alexnet_keras  # noqa: F401  registers the layers

    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # a file can be wrong in more ways than Keras documents
        raise ValueError(
            f"`{argument}` must be a .keras file of a model. Received: {argument}={str(path)!r}: "
            f"{_reason_against(Path(path), error)}"
        ) from error


def _reason_against(path, error):
    """Returns why a file is not loaded. Keras calls every damaged archive a missing file."""
    if not path.exists():
        return "file not found"
    if path.is_dir():
        return "it is a folder"
    if not os.access(path, os.R_OK):
        return "it can't be read: permission denied"
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        return "its name does not end in .keras"
    is_whole = {".keras": zipfile.is_zipfile, ".h5": h5py.is_hdf5, ".hdf5": h5py.is_hdf5}[
        path.suffix
    ]
    if not is_whole(path):
        return "it is damaged, or a file of another kind"
    # The first line: Keras adds whole arrays in further lines.
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def load_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Loads weights into a model, without an optimizer's state.

    Args:
        model: a network.
        path: path of a `.keras` or `.weights.h5` file.

    Raises:
        ValueError: for a missing file, or the weights of another model.
    """
    path = str(path)
    try:
        if path.endswith(".keras"):
            stored = keras.saving.load_model(path, compile=False)
            _check_same_weights(_shapes(model), _shapes(stored))
            model.set_weights(stored.get_weights())
        else:
            _check_same_weights(_shapes(model), _stored_shapes(model, path))
            model.load_weights(path)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            "`weights` must be the path of a .keras or .weights.h5 file that holds the weights of "
            f"this model ({model.count_params():,} parameters). Received: weights={path!r}: "
            f"{_reason_against(Path(path), error)}"
        ) from error


def _shapes(model):
    """Returns the shapes of a model's weights by their paths, such as `"fc8/kernel"`."""
    return {weight.path: tuple(weight.shape) for weight in model.weights}


def _stored_shapes(model, path):
    """Returns the shapes of the weights in a `.weights.h5` file, by their paths in `model`.

    The file of a compiled model also holds its optimizer's variables, beside the layers.
    """
    paths = {}
    for layer in model.layers:
        for index, weight in enumerate(layer.weights):
            paths[layer.name, index] = weight.path
    stored = {}
    named = False
    with h5py.File(path) as file:
        for key, group in file.get("layers", {}).items():
            variables = group.get("vars", group)
            named |= "name" in variables.attrs
            name = variables.attrs.get("name", key)
            for index, array in variables.items():
                if isinstance(array, h5py.Dataset):
                    stored[paths.get((name, int(index)), f"{name}/{index}")] = tuple(array.shape)
    if named or len(stored) != len(paths):
        return stored
    # Old versions of Keras wrote no names. Keras itself then compares the shapes.
    return _shapes(model)


def _check_same_weights(expected, stored):
    """Refuses stored shapes that the model does not have."""
    for path in (*expected, *stored):
        if expected.get(path) != stored.get(path):
            raise ValueError(
                f"{path} is {stored.get(path, 'missing')} in the file, "
                f"{expected.get(path, 'missing')} in the model"
            )
