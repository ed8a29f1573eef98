"""Exports trained networks to the formats of other runtimes."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from alexnet_keras.extras import require
from alexnet_keras.files import expand_home
from alexnet_keras.ops import implementation
from alexnet_keras.ops.dispatch import all_layers

# For each format, the ending of its file or folder, and the modules that write and load it.
FORMATS = {
    "saved_model": ("", ()),
    "onnx": (".onnx", ("onnx", "tf2onnx", "onnxruntime")),
    "float16": (".tflite", ("ai_edge_litert",)),
    "int8": (".tflite", ("ai_edge_litert",)),
}


def check_formats(formats: Sequence[str]) -> None:
    """Checks that models can be exported to these formats.

    Raises:
        ValueError: for an unknown format, or another backend than TensorFlow.
        MissingExtraError: if a library of a format is not installed.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(
            f"`formats` must be among {', '.join(FORMATS)}. Received: "
            f"{', '.join(unknown) or 'none'}"
        )
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"`formats` need the tensorflow backend. Received: {keras.backend.backend()}"
        )
    modules = dict.fromkeys(module for name in formats for module in FORMATS[name][1])
    require(f"exporting to {', '.join(formats)}", *modules)


def export(model: keras.Model, path: str | os.PathLike, kind: str) -> None:
    """Writes a model for predictions in another format, by Keras' own `export`.

    A model of mixed precision is written in float32.

    Args:
        model: a `keras.Model`.
        path: path of the file, or of the folder of a SavedModel.
        kind: `"saved_model"`, `"onnx"`, `"float16"` or `"int8"`. The last two are TFLite with
            weights of 16 or 8 bits. With `"int8"`, layers with weights also round their inputs to 8
            bits (dynamic range quantization). All else is computed in float32.

    Raises:
        ValueError: for an unknown format, an existing path, or as `check_formats`.
    """
    check_formats([kind])
    path = expand_home(path)
    model = _in_float32(model)
    ending = FORMATS[kind][0]
    if path.exists() or path.suffix != ending:
        raise ValueError(
            f"`path` must be new{f' and end in {ending}' if ending else ' and have no ending'}. "
            f"Received: path={str(path)!r}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-")
    # Other runtimes support the reference operations, but not XLA's compiled ones.
    with implementation("reference"), temporary as folder:
        whole = Path(folder) / path.name
        if kind == "saved_model":
            model.export(whole, verbose=False)
        elif kind == "onnx":
            # Keras needs a signature for a model that has not been called yet.
            images = keras.InputSpec(shape=model.input_shape, dtype="float32")
            model.export(whole, format="onnx", verbose=False, input_signature=[images])
        else:
            import tensorflow as tf

            options = (
                {"target_spec": {"supported_types": [tf.float16]}} if kind == "float16" else {}
            )
            model.export(
                whole,
                format="litert",
                verbose=False,
                optimizations=[tf.lite.Optimize.DEFAULT],
                **options,
            )
        whole.rename(path)


def _in_float32(model):
    """Returns a model with the same weights in float32, which all formats support."""
    if all(layer.compute_dtype == "float32" for layer in all_layers(model)):
        return model

    def clone(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    # Recursive, as a classifier has its network as one of its layers.
    copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def load_exported(path: str | os.PathLike, kind: str) -> Callable[[Any], Any]:
    """Loads an exported model with the format's own runtime.

    Args:
        path, kind: as for `export`.

    Returns:
        A function from the model's input, float32 `(1, height, width, channels)`, to its output.
    """
    path = expand_home(path)
    if kind == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        return lambda images: loaded.serve(images).numpy()
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda images: session.run(None, {name: images})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()

    def run(images):
        interpreter.set_tensor(source["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def size_of(path: str | os.PathLike) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    path = expand_home(path)
    return sum(
        file.stat().st_size
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.is_file()
    )
