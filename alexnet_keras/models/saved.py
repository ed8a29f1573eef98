"""Models in files."""

import os
import zipfile
from pathlib import Path

import h5py
import keras


def load_model(path, argument="weights"):
    """The model in a `.keras` file, for predictions; Keras' safe mode stays on.

    Args:
        path: of the file.
        argument: what the message calls it.

    Raises:
        ValueError: when there is no such file, or it holds no model.
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
    """Why a file is not loaded. Keras calls each file that is not a whole archive one that is not found."""
    if not path.exists():
        return "there is no such file"
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


def load_weights(model, path):
    """Loads the weights of `path`, a `.keras` or `.weights.h5` file, into `model`; an optimizer's state is left out.

    Raises:
        ValueError: when there is no such file, or it holds the weights of another model.
    """
    path = str(path)
    try:
        if path.endswith(".keras"):
            theirs = keras.saving.load_model(path, compile=False)
            _check_same_weights(_shapes(model), _shapes(theirs))
            model.set_weights(theirs.get_weights())
        else:
            _check_same_weights(_shapes(model), _stored_shapes(model, path))
            model.load_weights(path)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            "`weights` must be the path of a .keras or .weights.h5 file that holds the weights of this model "
            f"({model.count_params():,} parameters). Received: weights={path!r}: {_reason_against(Path(path), error)}"
        ) from error


def _shapes(model):
    """Shapes of a model's weights by their paths, such as `"fc8/kernel"`."""
    return {weight.path: tuple(weight.shape) for weight in model.weights}


def _stored_shapes(model, path):
    """Shapes of the weights in a `.weights.h5` file, by the paths that they have in `model` where it has them.

    The file of a compiled model holds its optimizer's variables, too, beside the layers.
    """
    paths = {(layer.name, i): w.path for layer in model.layers for i, w in enumerate(layer.weights)}
    stored, named = {}, False
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
    return _shapes(
        model
    )  # without names, as old versions of Keras wrote it: Keras itself compares the shapes


def _check_same_weights(ours, theirs):
    for path in (*ours, *theirs):
        if ours.get(path) != theirs.get(path):
            raise ValueError(
                f"{path} is {theirs.get(path, 'not there')} in the file, {ours.get(path, 'not')} here"
            )
