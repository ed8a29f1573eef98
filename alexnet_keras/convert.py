"""Converts published weights of AlexNet from PyTorch and Caffe to Keras, and back to PyTorch.

`python -m alexnet_keras.convert` is the command `alexnet convert`; see `alexnet_keras.cli.convert`.
"""

import itertools
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet_keras.extras import MissingExtraError, extra
from alexnet_keras.files import check_suffix, check_writable, expand_home, replacing
from alexnet_keras.torch_files import find_state_dict, read_state_dict

if TYPE_CHECKING:
    import keras

# Mean color of RGB images 0-255: torchvision's 0.485, 0.456, 0.406, and the color of Caffe's mean
# image.
MEANS = {
    "torchvision": (123.675, 116.28, 103.53),
    "bvlc_alexnet": (122.679, 116.669, 104.007),
    "caffenet": (122.679, 116.669, 104.007),
}
_TORCHVISION_STD = np.array([0.229, 0.224, 0.225], "float32")
_TORCHVISION_LAYERS = {
    **{"conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv4": "features.8"},
    **{"conv5": "features.10", "fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6"},
}
_LAYERS = tuple(_TORCHVISION_LAYERS)


def from_torchvision(weights: str | os.PathLike | Mapping) -> "keras.Model":
    """Returns torchvision's `alexnet` as a model of the preset `"torchvision"`.

    Args:
        weights: path of a `.pth` file, or a state dict from names such as `"features.0.weight"` to
            arrays or tensors. A checkpoint may hold the state dict as `"state_dict"`,
            `"model_state_dict"` or `"model"`.

    Returns:
        `keras.Model` from RGB images `(batch, 224, 224, 3)`, 0-255 less `MEANS["torchvision"]`, to
        probabilities of the weights' classes. The kernels of conv1 include PyTorch's division by
        the standard deviation.

    Raises:
        ValueError: for a file of another kind, or a tensor that is missing, unknown or of another
            shape.

    Reference: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014).
    """
    layers, source = _torchvision_layers(weights)
    model = _model("torchvision", layers["fc8"][1].size)
    _set_torchvision(model, layers, source)
    return model


def load_torchvision(model: "keras.Model", weights: str | os.PathLike | Mapping) -> None:
    """Loads torchvision's weights into a model of the preset `"torchvision"`, of any widths.

    Args:
        model: a model of RGB images, 0-255 less `MEANS["torchvision"]`.
        weights: as for `from_torchvision`. Layers that the model lacks are ignored.

    Raises:
        ValueError: as `from_torchvision` does.
    """
    layers, source = _torchvision_layers(weights)
    names = [layer.name for layer in model.layers if layer.weights]
    _check_names(layers, names, source, optional=_LAYERS)
    _set_torchvision(model, {name: layers[name] for name in names}, source)


def _torchvision_layers(weights):
    """Returns kernels and biases by layer, and the name of the weights in messages."""
    if isinstance(weights, (str, os.PathLike)):
        source = f"weights={str(weights)!r}"
        state = read_state_dict(weights)
    else:
        source = "a state dict"
        state = find_state_dict(weights, source)
    try:
        tensors = {name: _numbers(value) for name, value in state.items()}
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"`weights` must be a state dict of tensors. Received: {source}: {error}"
        ) from error
    names = [
        f"{name}.{kind}" for name in _TORCHVISION_LAYERS.values() for kind in ("weight", "bias")
    ]
    _check_names(tensors, names, source)
    layers = {
        layer: (tensors[f"{n}.weight"], tensors[f"{n}.bias"])
        for layer, n in _TORCHVISION_LAYERS.items()
    }
    return layers, source


def _set_torchvision(model, layers, source):
    _set(model, layers, source, rename=lambda layer: _TORCHVISION_LAYERS[layer])
    conv1 = model.get_layer("conv1")
    kernel, bias = conv1.get_weights()
    conv1.set_weights([kernel * _pixel_factor(model)[:, None], bias])


def from_caffe(weights: str | os.PathLike | Mapping, preset: str = "bvlc_alexnet") -> "keras.Model":
    """Returns Caffe's `bvlc_alexnet` or `caffenet` as a model of the preset of that name.

    Args:
        weights: path of a `.caffemodel` file, path of a `.npy` file with a dict, or a dict. The
            dict goes from a layer's name to its weights and biases, as a dict or a sequence. Their
            layout is Caffe's or TensorFlow's.
        preset: `"bvlc_alexnet"`, or `"caffenet"` for `bvlc_reference_caffenet`. The weights of both
            have the same shapes.

    Returns:
        `keras.Model` from RGB images `(batch, 227, 227, 3)`, 0-255 less `MEANS[preset]`, to
        probabilities of the weights' classes. The kernels of conv1 are converted from Caffe's BGR
        to RGB.

    Raises:
        ValueError: for another preset, a file of another kind, or a layer that is missing or of
            another shape.
    """
    if preset not in ("bvlc_alexnet", "caffenet"):
        raise ValueError(f"`preset` must be bvlc_alexnet or caffenet. Received: preset={preset!r}")
    source = f"weights={str(weights)!r}" if isinstance(weights, (str, os.PathLike)) else "a dict"
    if isinstance(weights, (str, os.PathLike)):
        weights = _read_npy(weights) if str(weights).endswith(".npy") else _read_caffemodel(weights)
    layers = {str(name): _pair(str(name), value, source) for name, value in weights.items()}
    _check_names(layers, dict.fromkeys(_LAYERS), source)
    if layers["conv1"][0].shape == (11, 11, 3, 96):
        layers = {
            name: (_to_channels_first(name, kernel), bias)
            for name, (kernel, bias) in layers.items()
        }
    # Old files have four axes throughout.
    layers = {
        name: (_old_shape(name, kernel), bias.reshape(-1))
        for name, (kernel, bias) in layers.items()
    }
    model = _model(preset, layers["fc8"][1].size)
    _set(model, layers, source)
    conv1 = model.get_layer("conv1")
    kernel, bias = conv1.get_weights()
    conv1.set_weights([kernel[:, :, ::-1], bias])
    return model


def to_torchvision(model: "keras.Model") -> dict[str, np.ndarray]:
    """Returns a model's weights as a state dict of torchvision's `alexnet`.

    Args:
        model: a model of the preset `"torchvision"`, with any number of classes.

    Returns:
        dict from names such as `"features.0.weight"` to float32 arrays. PyTorch's own module loads
        them as tensors.

    Raises:
        ValueError: for a model of other layers or shapes, or with other operations between them.
    """
    return _torchvision_state(model, "RGB")


def _torchvision_state(model, color_order):
    """Returns the state dict of a model that takes colors in an order, for RGB images."""
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    _check_torchvision(model, weights)
    state = {}
    for layer, name in _TORCHVISION_LAYERS.items():
        kernel, bias = weights[layer]
        if layer == "conv1":
            kernel = kernel[:, :, ::-1] if color_order == "BGR" else kernel
            kernel = kernel / _pixel_factor(model)[:, None]
        state[f"{name}.weight"] = np.ascontiguousarray(_to_channels_first(layer, kernel))
        state[f"{name}.bias"] = bias
    return state


def _check_torchvision(model, weights):
    """Raises a `ValueError` for a model of other layers, shapes or operations than torchvision's.

    Args:
        model: the model.
        weights: dict from its layers' names to their arrays.
    """
    expected = _model("torchvision", model.output_shape[-1])
    for layer in expected.layers:
        wanted = [tuple(weight.shape) for weight in layer.weights]
        found = [array.shape for array in weights.get(layer.name, ())]
        if wanted != found or len(weights) != len(_LAYERS):
            raise ValueError(
                f"`model` must be of the preset torchvision. Received: a model whose {layer.name} "
                f"has shapes {found}, not {wanted}, with the layers {', '.join(weights)}"
            )
    for wanted, found in itertools.zip_longest(_functions(expected), _functions(model)):
        if wanted != found:
            raise ValueError(
                f"`model` must compute what the preset torchvision does: {wanted}. "
                f"Received: {found}"
            )


def _functions(model):
    """Yields a description of each layer, without its weights.

    Dropout and the activation of the last layer are left out.
    """
    names = ("scale", "offset", "activation", "pool_size", "strides", "padding", "groups")
    for layer in model.layers:
        if type(layer).__name__ not in ("InputLayer", "Dropout"):
            config = {name: value for name, value in layer.get_config().items() if name in names}
            if layer is model.layers[-1]:
                config.pop("activation", None)
            options = ", ".join(f"{name}={value}" for name, value in config.items())
            yield f"{type(layer).__name__} {options}".strip()


_MAPS = (6, 6, 256)  # input of fc6: height, width, maps


def _pixel_factor(model):
    """Returns the factor of conv1's kernels for each color.

    Pixels are 0-255 here; torchvision's are divided by 255 times the standard deviation.
    """
    scales = [layer.scale for layer in model.layers if layer.name == "scale"]
    return 1 / (255 * _TORCHVISION_STD * (scales[0] if scales else 1))


def _numbers(value):
    """Returns an array, tensor or parameter of any type as a float32 array."""
    if hasattr(value, "detach"):
        value = value.detach().float().cpu()
    return np.asarray(value, "float32")


def _model(preset, classes):
    from alexnet_keras.models import AlexNet

    return AlexNet(preset, classes=max(classes, 1))  # empty weights fail the later checks


def _set(model, layers, source, rename=lambda layer: layer):
    """Sets kernels `(out, in, height, width)` or `(out, in)` and biases of a model."""
    for name, (kernel, bias) in layers.items():
        layer = model.get_layer(name)
        shape = tuple(layer.kernel.shape)
        expected = shape[::-1]
        if len(shape) == 4:
            expected = (shape[3], shape[2], shape[0], shape[1])
        if kernel.shape != expected or bias.shape != expected[:1]:
            raise ValueError(
                f"`weights` must have the shapes of this network: {rename(name)} {expected} and "
                f"{expected[:1]}. Received: {kernel.shape} and {bias.shape} in {source}"
            )
        if kernel.ndim == 4:
            kernel = kernel.transpose(2, 3, 1, 0)
        elif name == "fc6":
            # PyTorch and Caffe flatten maps, rows, columns; Keras rows, columns, maps.
            height, width, maps = model.get_layer("flatten").input.shape[1:]
            kernel = kernel.reshape(-1, maps, height, width).transpose(2, 3, 1, 0).reshape(shape)
        else:
            kernel = kernel.T
        layer.set_weights([kernel, bias])


def _check_names(found, wanted, source, optional=()):
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in (*wanted, *optional)]
    differences = []
    if missing:
        differences.append(f"without {', '.join(missing)}")
    if unknown:
        differences.append(f"with {', '.join(unknown[:5])}")
    if differences:
        raise ValueError(
            f"`weights` must hold {', '.join(wanted)}. "
            f"Received: {source} {' and '.join(differences)}"
        )


def _pair(name, value, source):
    try:
        if isinstance(value, dict):
            value = value["weights"], value["biases"]
        kernel, bias = (np.asarray(array, "float32") for array in value)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"`weights` must have weights and biases for each layer. Received: another {name} in "
            f"{source}"
        ) from error
    return kernel, bias


def _to_channels_first(name, kernel):
    """Converts a kernel from the layout of Keras and TensorFlow to PyTorch's and Caffe's."""
    if kernel.ndim == 4:
        return kernel.transpose(3, 2, 0, 1)
    if name == "fc6" and kernel.shape[0] == np.prod(_MAPS):
        return kernel.reshape(*_MAPS, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)
    return kernel.T


def _old_shape(name, kernel):
    return (
        kernel.reshape(kernel.shape[2:])
        if name.startswith("fc") and kernel.shape[:-2] == (1, 1)
        else kernel
    )


class _Arrays(pickle.Unpickler):
    """Unpickles arrays and plain values only, as other names in a pickle may run code."""

    def find_class(self, module, name):
        module = module.replace("numpy.core", "numpy._core")  # its name since NumPy 2
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not an array")
        return super().find_class(module, name)


_ADMITTED = (
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
)


def _read_npy(path):
    """Returns the dict in a `.npy` file."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(file)
            if shape != () or not dtype.hasobject:
                raise ValueError(f"it holds an array of shape {shape} and type {dtype}, not a dict")
            content = _Arrays(file, encoding="latin1").load()
        content = content.item() if isinstance(content, np.ndarray) else content
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}, not a dict")
        return content
    except Exception as error:  # a damaged pickle raises more errors than are documented
        raise ValueError(
            "`weights` must be a .npy file with a dict from a layer's name to its weights and "
            f"biases. Received: weights={str(path)!r}: {error}"
        ) from error


def _read_caffemodel(path):
    """Returns a dict from a layer's name to its blobs, as arrays."""
    try:
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "reading a .caffemodel needs protobuf: pip install protobuf"
        ) from error
    net: Any = _caffe_net()()
    try:
        net.ParseFromString(Path(path).read_bytes())
        layers = {
            layer.name: [_blob(blob) for blob in layer.blobs] for layer in (*net.layer, *net.layers)
        }
        layers = {name: blobs for name, blobs in layers.items() if blobs}
        if not layers:
            raise ValueError("it has no layer with weights")
    except (OSError, DecodeError, ValueError) as error:
        raise ValueError(
            f"`weights` must be a .caffemodel. Received: weights={str(path)!r}: {error}"
        ) from error
    return layers


def _blob(blob):
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    values = np.array(blob.data or blob.double_data, "float32")
    if values.size != np.prod(shape):
        raise ValueError(f"it holds {values.size} numbers for a shape of {shape}")
    return values.reshape(shape)


def _caffe_net():
    """Returns the message class of networks, with `caffe.proto`'s names and weights only."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    messages = {
        "BlobShape": [("dim", 1, kinds.TYPE_INT64, True)],
        "BlobProto": [
            *((name, number, kinds.TYPE_INT32, False) for number, name in enumerate(_OLD_SHAPE, 1)),
            ("data", 5, kinds.TYPE_FLOAT, True),
            ("shape", 7, "BlobShape", False),
            ("double_data", 8, kinds.TYPE_DOUBLE, True),
        ],
        "V1LayerParameter": [
            ("name", 4, kinds.TYPE_STRING, False),
            ("blobs", 6, "BlobProto", True),
        ],
        "LayerParameter": [("name", 1, kinds.TYPE_STRING, False), ("blobs", 7, "BlobProto", True)],
        "NetParameter": [
            ("layers", 2, "V1LayerParameter", True),
            ("layer", 100, "LayerParameter", True),
        ],
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="alexnet_keras/caffe.proto", package="alexnet_keras.caffe"
    )
    for message, fields in messages.items():
        made = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            field = made.field.add(
                name=name,
                number=number,
                label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL,
            )
            if isinstance(kind, str):
                field.type = kinds.TYPE_MESSAGE
                field.type_name = f".alexnet_keras.caffe.{kind}"
            else:
                field.type = kind
                if repeated:
                    field.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("alexnet_keras.caffe.NetParameter")
    )


_OLD_SHAPE = ("num", "channels", "height", "width")


def convert(path: str | os.PathLike, output: str | os.PathLike, preset: str | None = None) -> None:
    """Converts the weights in a file to another format.

    Args:
        path: path of a `.pth`, `.caffemodel` or `.npy` file, or of a `.keras` file to convert to
            PyTorch.
        output: path of the new file: `.keras`, or `.pth` for PyTorch.
        preset: network of the weights, one of `MEANS`; for a `.keras` file `None` or
            `"torchvision"`.

    Raises:
        ValueError: for an output that exists, another preset, or as the functions above.
        MissingExtraError: if the library of the file's format is not installed.
    """
    path = expand_home(path)
    output = expand_home(output)
    if output.exists():
        raise ValueError(
            f"`output` must be a new file. Received: output={str(output)!r}, which exists"
        )
    to_pytorch = str(path).endswith(".keras")
    suffix = ".pth" if to_pytorch else ".keras"
    check_suffix(output, suffix, "output")
    check_writable(output.parent, "output", "a file in a folder")
    if to_pytorch:
        if preset not in (None, "torchvision"):
            raise ValueError(
                "`preset` must be torchvision, or left out, to convert a .keras file to PyTorch. "
                f"Received: preset={preset!r}"
            )
        count, mean = _write_pytorch(path, output)
        print("PyTorch's images are divided by 255, and so is their mean.")
    else:
        if preset is None or preset not in MEANS:
            raise ValueError(
                f"`preset` must be one of {', '.join(MEANS)}. Received: preset={preset!r}"
            )
        model = from_torchvision(path) if preset == "torchvision" else from_caffe(path, preset)
        with replacing(output) as partial:
            model.save(partial)
        count = model.count_params()
        mean = MEANS[preset]
    colors = ", ".join(f"{value:.6g}" for value in mean)
    print(f"{path}: {count:,} parameters, for RGB images less {colors}\nWritten: {output}")


def _write_pytorch(path, output):
    """Writes the weights of a `.keras` file as a `.pth` file.

    Returns:
        The parameter count, and the mean color of the images, RGB 0-255.
    """
    from alexnet_keras.models.saved import (
        check_exists,
        load_whole_model,
        network_of,
        preparation_of,
    )

    check_exists(path)
    with extra("writing a .pth file"):
        import torch
    model = load_whole_model(path)
    preparation = preparation_of(model)
    if preparation is None:
        print("If the network was trained with another mean, PyTorch needs that mean too.")
        color_order = "RGB"
        mean = MEANS["torchvision"]
    else:
        color_order = preparation.color_order
        mean = _mean_color(preparation)
    state = _torchvision_state(network_of(model), color_order)
    with replacing(output) as partial:
        torch.save({name: torch.from_numpy(array) for name, array in state.items()}, partial)
    return sum(array.size for array in state.values()), mean


def _mean_color(preparation):
    """Returns the mean color of a classifier; of a mean image, the mean over its pixels."""
    import keras

    mean = keras.ops.convert_to_numpy(preparation.mean)
    if mean.ndim > 1:
        print("A .pth file has no mean image: the mean below is the mean color of the image.")
    return mean.reshape(-1, 3).mean(0)


if __name__ == "__main__":
    from alexnet_keras.cli.convert import main

    main(prog="python -m alexnet_keras.convert")
