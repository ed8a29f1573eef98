"""Saved models and weights."""

import itertools
import json
import os
import re
import zipfile
from pathlib import Path

import h5py
import keras

from alexnet_keras.files import expand_home
from alexnet_keras.layers.local_response_normalization import LocalResponseNormalization
from alexnet_keras.layers.preparation import Preparation
from alexnet_keras.layers.replaced_weights import weights_replaced
from alexnet_keras.layers.spatial_response_normalization import SpatialResponseNormalization
from alexnet_keras.models.head import TOP
from alexnet_keras.pretrained import REGISTRY, load_pretrained

_MISSING = "file not found"
_NORMALIZATIONS = (LocalResponseNormalization, SpatialResponseNormalization)
_POOLS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_PLAIN_RELU = {"max_value": None, "negative_slope": 0, "threshold": 0}


def is_on_hub(path: str | os.PathLike) -> bool:
    """Returns whether a path is an address of Hugging Face."""
    return str(path).startswith("hf://")


def _with_home(path):
    """Returns a path with the home folder for `~`; an address of Hugging Face stays as it is."""
    return str(path) if is_on_hub(path) else str(expand_home(path))


def check_exists(path: str | os.PathLike, argument: str = "weights") -> None:
    """Raises a `ValueError` for a missing file; an address of Hugging Face is not asked.

    This is a fast check, before the check of the packages that a command needs.

    Args:
        path: path of the file.
        argument: name of the argument in the message.
    """
    if not is_on_hub(path) and not Path(_with_home(path)).exists():
        raise ValueError(
            f"`{argument}` must be a file. Received: {argument}={str(path)!r}: {_MISSING}"
        )


def load_model(path: str | os.PathLike, argument: str = "weights") -> keras.Model:
    """Loads the network in a `.keras` file for predictions. Keras' safe mode stays on.

    Args:
        path: path of the file, or `"hf://user/model"`. The network inside a classifier is taken.
        argument: name of the argument in the message.

    Raises:
        ValueError: for a missing file, or a file without a model.
    """
    model = load_whole_model(path, argument)
    try:
        return network_of(model)
    except ValueError as error:
        raise _not_a_model(path, argument, error) from error


def load_whole_model(path: str | os.PathLike, argument: str = "weights") -> keras.Model:
    """Loads the model in a `.keras` file as it is, with its preparation if it is a classifier."""
    import alexnet_keras  # noqa: F401  registers the layers

    try:
        with weights_replaced():
            return keras.saving.load_model(_with_home(path), compile=False)
    except Exception as error:  # a file can be wrong in more ways than Keras documents
        raise _not_a_model(path, argument, error) from error


def read_model_config(path: str | os.PathLike, argument: str = "weights") -> dict:
    """Returns the configuration in a `.keras` file, without using the devices.

    Args:
        path: path of the file.
        argument: name of the argument in the message.

    Raises:
        ValueError: for a missing file, or a file without a model.
    """
    try:
        with zipfile.ZipFile(_with_home(path)) as archive:
            return json.loads(archive.read("config.json"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _not_a_model(path, argument, error) from error


def _not_a_model(path, argument, error):
    return ValueError(
        f"`{argument}` must be a .keras file of a model. Received: {argument}={str(path)!r}: "
        f"{_reason_against(path, error)}"
    )


def preparation_of(model: keras.Model) -> Preparation | None:
    """Returns the `Preparation` layer of a classifier; `None` for another model."""
    return next((layer for layer in model.layers if isinstance(layer, Preparation)), None)


def check_has_no_preparation(model: keras.Model, name: str | None = None) -> None:
    """Raises a `ValueError` for a classifier, which would subtract the mean a second time.

    Args:
        model: a network of crops less the mean.
        name: its name in the message; `None` for none.
    """
    if preparation_of(model) is not None:
        raise ValueError(
            "`model` must be a network that takes crops less the mean. Received: a classifier"
            f"{'' if name is None else f', {name}'}, which has its own preparation. Give its "
            "`network`"
        )


def preparation_in(path: str | os.PathLike) -> Preparation | None:
    """Returns the `Preparation` layer in the file of a classifier; `None` for another model.

    Args:
        path: path of a `.keras` or `.h5` file, or `"hf://user/model"`.

    Raises:
        ValueError: for a missing or damaged file.
    """
    if str(path).endswith(".keras"):  # another network is not loaded twice
        layers = read_model_config(path)["config"].get("layers", ())
        if all(layer["class_name"] != Preparation.__name__ for layer in layers):
            return None
    return preparation_of(load_whole_model(path))


def network_of(model: keras.Model) -> keras.Model:
    """Returns the network in a classifier; another model as it is.

    Raises:
        ValueError: for a model with a `Preparation` and not one network behind it.
    """
    if preparation_of(model) is None:
        return model
    networks = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if len(networks) != 1:
        raise ValueError(
            "`model` must have one network, a keras.Model, behind its Preparation. "
            f"Received: a model with {len(networks)}"
        )
    return networks[0]


def _reason_against(path, error):
    """Returns why a file is not loaded. Keras calls every damaged archive a missing file."""
    # The first line: Keras adds whole arrays in further lines.
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if is_on_hub(path):
        if isinstance(error, ImportError):
            return "it needs huggingface_hub: pip install huggingface_hub"
        return _missing_class(error) or reason
    path = Path(path)
    if not path.exists():
        return _MISSING
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
    if path.name.endswith(".weights.h5") and "No model config" in reason:
        return "it holds weights without a network: give it to AlexNet as `weights`"
    return _missing_class(error) or reason


def _missing_class(error):
    """Returns the import that a file with layers of another package needs, or an empty string.

    Keras' message has it after the whole configuration of the model.
    """
    found = re.search(
        r"Could not locate (?:class|function) '(\w+)'.*?'module': '([\w.]+)'", str(error), re.DOTALL
    )
    if not found:
        return ""
    return f"it has {found[1]} of the module {found[2]}, which must be imported first"


def load_weights(model: keras.Model, weights: str | os.PathLike) -> None:
    """Loads weights into a model, without an optimizer's state.

    Args:
        model: a network. For a model without fc8, a file may have fc6, fc7 and fc8 in addition.
        weights: one of `alexnet_keras.pretrained.available()`, `"hf://user/model"`, or the path of
            a `.keras`, `.weights.h5` or `.pth` file.

    Raises:
        ValueError: for a missing file, or the weights of another model.
    """
    weights = _with_home(weights)
    if weights in REGISTRY:
        load_pretrained(model, weights)
    elif weights.endswith((".pth", ".pt")):
        from alexnet_keras.convert import load_torchvision

        load_torchvision(model, weights)
    else:
        _load_keras_weights(model, weights)


def _load_keras_weights(model, path):
    try:
        if path.endswith(".keras") or is_on_hub(path):
            with weights_replaced():
                stored = network_of(keras.saving.load_model(path, compile=False))
            _check_same_weights(_shapes(model), _without_top(model, _shapes(stored)))
            _check_order_and_normalization(model, stored)
            arrays = {weight.path: weight for weight in stored.weights}
            for weight in model.weights:
                weight.assign(arrays[weight.path])
        else:
            _check_same_weights(_shapes(model), _without_top(model, _stored_shapes(model, path)))
            model.load_weights(path)
    except (ValueError, TypeError, KeyError, OSError, ImportError, zipfile.BadZipFile) as error:
        raise ValueError(
            "`weights` must be the path of a .keras, .weights.h5 or .pth file that holds the "
            f"weights of this model ({model.count_params():,} parameters), hf://user/model, or one "
            f"of {', '.join(REGISTRY)}. Received: weights={path!r}: {_reason_against(path, error)}"
        ) from error


def _check_order_and_normalization(model, stored):
    """Raises a `ValueError` for the same weights in another order of layers, or other constants.

    The presets `paper`, `source`, `bvlc_alexnet` and `caffenet` have weights of the same shapes. So
    have networks that differ only in a normalization, an activation, a pool or the scale of the
    input. The activation of fc8 is free.
    """
    own = {layer.name: layer for layer in model.layers}
    others = {layer.name: layer for layer in stored.layers}
    order = [name for name in own if name in others]
    stored_order = [name for name in others if name in own]
    for requested, found in zip(order, stored_order, strict=True):
        if requested != found:
            raise ValueError(
                f"its layers have another order: stored {found}, requested {requested}"
            )
    _check_functions(model, stored)
    for name in order:
        wanted = _constants(own[name])
        found = _constants(others[name])
        if wanted != found:
            raise ValueError(
                f"its layer {name} has other constants: stored {found}, requested {wanted}"
            )


def _check_functions(model, stored):
    """Raises a `ValueError` if only one of two networks has a function without weights."""
    requested = _functions(model)
    found = _functions(stored)
    for name in sorted(requested ^ found):
        where = "in the model, but not in the file" if name in requested else "in the file only"
        raise ValueError(f"its layer {name} is {where}")


def _functions(model):
    """Returns the names of the normalizations, activations and scalings below the top."""
    kinds = (keras.layers.Rescaling, keras.layers.ReLU, keras.layers.Activation, *_NORMALIZATIONS)
    below = itertools.takewhile(lambda layer: layer.name != "flatten", model.layers)
    return {layer.name for layer in below if isinstance(layer, kinds)}


def _constants(layer):
    """Returns the constants that decide a layer's function, beside its weights, as a dict."""
    if isinstance(layer, _POOLS):
        size = {"pool_size": layer.pool_size, "strides": layer.strides}
        return {"class": type(layer).__name__, **size}
    names = ()
    if isinstance(layer, _NORMALIZATIONS):
        names = ("size", "k", "alpha", "beta", "divide_alpha", "groups")
    elif isinstance(layer, keras.layers.Rescaling):
        names = ("scale", "offset")
    elif isinstance(layer, keras.layers.ReLU):
        names = ("max_value", "negative_slope", "threshold")
    constants = {name: getattr(layer, name, None) for name in names}
    if constants == _PLAIN_RELU:
        return {"activation": "relu"}
    if hasattr(layer, "activation") and layer.name != TOP[-1]:
        constants["activation"] = keras.activations.serialize(layer.activation)
    return constants


def _without_top(model, shapes):
    """Returns the shapes without the fully connected layers that a model may lack."""
    if any(layer.name == "fc8" for layer in model.layers):
        return shapes
    return {path: shape for path, shape in shapes.items() if path.split("/")[0] not in TOP}


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
