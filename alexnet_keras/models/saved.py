"""Models in files."""

import zipfile

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
    except (ValueError, OSError, KeyError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"`{argument}` must be a .keras file of a model. Received: {argument}={path!r}: {reason}"
        ) from error


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
