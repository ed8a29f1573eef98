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
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        return "it is damaged, or a file of another kind"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def load_weights(model, path):
    """Loads the weights of `path`, a `.keras` or `.weights.h5` file, into `model`.

    Raises:
        ValueError: when there is no such file, or it holds the weights of another model.
    """
    path = str(path)
    try:
        if path.endswith(".keras"):
            theirs = keras.saving.load_model(path, compile=False)
            _check_same_layers(model, theirs)
            model.set_weights(theirs.get_weights())
        else:
            with h5py.File(path) as file:
                stored = []
                file.visititems(lambda name, item: stored.append(name) if isinstance(item, h5py.Dataset) else None)
            if len(stored) != len(model.weights):
                raise ValueError(f"it holds {len(stored)} weights, this model has {len(model.weights)}")
            model.load_weights(path)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            "`weights` must be the path of a .keras or .weights.h5 file that holds the weights of this model "
            f"({model.count_params():,} parameters). Received: weights={path!r}: {error}"
        ) from error


def _check_same_layers(model, theirs):
    ours, theirs = ({w.path: tuple(w.shape) for w in m.weights} for m in (model, theirs))
    for path in (*ours, *theirs):
        if ours.get(path) != theirs.get(path):
            raise ValueError(f"{path} is {theirs.get(path, 'not there')} in the file, {ours.get(path, 'not')} here")
