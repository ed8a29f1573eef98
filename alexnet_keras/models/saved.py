"""Models in files."""

import zipfile

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
