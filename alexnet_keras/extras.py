"""Checks for optional libraries, with errors that name the package's extra."""

import contextlib
import importlib.util
from collections.abc import Iterator

# The library and the extra that installs it, by the module that is imported.
_EXTRAS = {
    "tensorflow": ("TensorFlow", "tensorflow"),
    "tensorflow_datasets": ("TensorFlow Datasets", "tensorflow"),
    "importlib_resources": ("importlib_resources", "tensorflow"),
    "tensorboard": ("TensorBoard", "tensorflow"),
    "jax": ("JAX", "jax"),
    "torch": ("PyTorch", "torch"),
    "matplotlib": ("Matplotlib", "plots"),
    "faiss": ("Faiss", "retrieval"),
    "onnx": ("ONNX", "export"),
    "onnxruntime": ("ONNX Runtime", "export"),
    "tf2onnx": ("tf2onnx", "export"),
    "ai_edge_litert": ("LiteRT", "export"),
    "scipy": ("SciPy", "experiments"),
    "nbclient": ("nbclient", "notebooks"),
    "nbformat": ("nbformat", "notebooks"),
}


class MissingExtraError(ModuleNotFoundError):
    """Error for a missing optional library. The message has the command that installs it."""


def require(purpose: str, *modules: str) -> None:
    """Checks that optional libraries are installed, without importing them.

    Args:
        purpose: purpose of the libraries, such as `"drawing figures"`, for the message.
        *modules: names of the modules, each of an extra.

    Raises:
        MissingExtraError: if one is not installed.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise _error(purpose, missing)


def _error(purpose, modules):
    libraries = ", ".join(_EXTRAS[module][0] for module in modules)
    extras = ",".join(dict.fromkeys(_EXTRAS[module][1] for module in modules))
    text = f"{purpose} needs {libraries}: pip install 'alexnet_keras[{extras}]'"
    return MissingExtraError(text, name=modules[0])


@contextlib.contextmanager
def extra(purpose: str) -> Iterator[None]:
    """Context for imports of optional libraries, whose errors name the missing extra.

    Args:
        purpose: as for `require`.

    Raises:
        MissingExtraError: if a library of an extra is not installed.

    Example:

    >>> with extra("reading TFDS data sets"):
    ...     import tensorflow_datasets as tfds
    """
    try:
        yield
    except MissingExtraError:  # an inner context has a more exact purpose
        raise
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in _EXTRAS:
            raise
        raise _error(purpose, [module]) from error
