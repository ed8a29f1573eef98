"""Runtimes of exported files, without Keras, TensorFlow and this package.

Each function loads a file and returns a function from uint8 images `(batch_size, height, width, 3)`
to probabilities `(batch_size, classes)`. All cores compute, in float32. Only in `int8.tflite` do
layers multiply 8-bit weights by inputs that LiteRT rounds to 8 bits.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]


def load_onnxruntime(path: str | os.PathLike, batch_size: int) -> Predict:
    """Loads an ONNX file by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    session = onnxruntime.InferenceSession(
        os.fspath(path), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images.astype("float32")})[0]


def load_openvino(path: str | os.PathLike, batch_size: int) -> Predict:
    """Loads an ONNX file by OpenVINO."""
    # OpenVINO runs without its statistics of use, which a process sends that outlives this one.
    sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]
    import openvino

    core = openvino.Core()
    model = core.read_model(os.fspath(path))
    _, *sides = model.input().partial_shape
    model.reshape([batch_size, *(side.get_length() for side in sides)])
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": os.cpu_count(),
        "INFERENCE_PRECISION_HINT": "f32",  # where the processor has bfloat16, it is the default
    }
    compiled = core.compile_model(model, "CPU", settings)
    return lambda images: compiled(images.astype("float32"))[0]


def load_litert(path: str | os.PathLike, batch_size: int) -> Predict:
    """Loads a TFLite file by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(os.fspath(path), num_threads=os.cpu_count())
    (source,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(source["index"], (batch_size, *source["shape"][1:]))
    interpreter.allocate_tensors()
    (result,) = interpreter.get_output_details()

    def predict(images):
        interpreter.set_tensor(source["index"], images.astype("float32"))
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return predict


# The function and the file of each implementation of `benchmarks.inference`.
RUNTIMES = {
    "onnxruntime": (load_onnxruntime, "classifier.onnx"),
    "openvino": (load_openvino, "classifier.onnx"),
    "litert": (load_litert, "float16.tflite"),
    "litert_int8": (load_litert, "int8.tflite"),
}


def load(name: str, folder: str | os.PathLike, batch_size: int) -> Predict:
    """Loads the file of an implementation.

    Args:
        name: one of `RUNTIMES`.
        folder: folder of the files.
        batch_size: images of each call.
    """
    load_file, file = RUNTIMES[name]
    return load_file(Path(folder) / file, batch_size)
