"""Prints the libraries and devices of this machine, or the layers of a network.

alexnet info
alexnet info runs/x/best.keras
"""

import argparse
import os
import platform
from importlib import metadata
from typing import Any

from alexnet_keras.cli.command import import_package, run_command
from alexnet_keras.environment import has_bfloat16_arithmetic, machine
from alexnet_keras.version import __version__

# Distributions of the libraries that the package uses.
_LIBRARIES = (
    *("keras", "numpy", "h5py", "pillow", "tqdm"),
    *("tensorflow", "tensorflow-datasets", "tensorboard", "jax", "torch"),
    *("matplotlib", "faiss-cpu", "scipy", "onnx", "onnxruntime", "tf2onnx", "ai-edge-litert"),
)


def main(arguments: list[str] | None = None, prog: str = "alexnet info") -> Any:
    """Runs the command; `arguments` are `sys.argv[1:]` by default."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a .keras file, whose layers are printed (default: print the libraries and the "
        "machine)",
    )
    return run_command(
        parser, lambda options, command: info(options.file), arguments, resumes=False
    )


def info(path: str | None = None) -> str:
    """Prints the libraries and the machine, or the layers of a network.

    Args:
        path: path of a `.keras` file; `None` for the libraries and the machine.

    Returns:
        The printed text.

    Raises:
        ValueError: if the file is not a model.
        MissingExtraError: if the backend of Keras is not installed.
    """
    if path is not None:
        import_package()
        return _network(path)
    # Printed before the import of Keras, which fails without its backend.
    text = _print(_libraries())
    import_package()
    return text + _print(_machine())


def _print(lines):
    text = "".join(f"{line}\n" for line in lines)
    print(text, end="", flush=True)
    return text


def _libraries():
    """Yields lines with the versions of the libraries."""
    yield f"alexnet_keras {__version__}, Python {platform.python_version()}"
    versions = {name: _installed(name) for name in _LIBRARIES}
    missing = [name for name, version in versions.items() if not version]
    yield f"Installed: {', '.join(filter(None, versions.values()))}"
    yield f"Not installed: {', '.join(missing) or 'none'}"


def _installed(distribution):
    """Returns name and version of a distribution or of its variant for a device, or `None`."""
    stem = distribution.removesuffix("-cpu")
    for variant in (distribution, f"{stem}-cpu", f"{stem}-gpu"):
        try:
            return f"{variant} {metadata.version(variant)}"
        except metadata.PackageNotFoundError:
            continue
    return None


def _machine():
    """Yields lines with the backend, the devices and the folders."""
    import keras

    from alexnet_keras.data.statistics import default_cache_dir
    from alexnet_keras.files import expand_home

    multiplies = "yes" if has_bfloat16_arithmetic() else "no"
    datasets = expand_home(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))
    yield f"Backend: {keras.backend.backend()}"
    yield f"Devices: {', '.join(_devices())}"
    yield "Processor: {processor}, {cores} cores".format(**machine())
    yield f"Processor multiplies bfloat16 with sums in float32: {multiplies}"
    yield f"TFDS data sets (TFDS_DATA_DIR): {datasets}"
    yield f"Cached statistics of data sets (ALEXNET_KERAS_CACHE): {default_cache_dir()}"


def _devices():
    """Returns the names of the backend's devices."""
    import keras

    if keras.backend.backend() != "torch":
        return keras.distribution.list_devices()
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus]


def _network(path) -> str:
    """Prints a table of a network's layers, and the implementation of each."""
    from alexnet_keras.models import load_model
    from alexnet_keras.ops import print_implementations

    model = load_model(path, "file")
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"`file` must be a network with a known input shape. Received: file={path!r}, "
            "a model that was saved before it was built"
        )
    text = _print(_layers(model, path))
    return text + print_implementations(model)


def _layers(model, path):
    """Yields lines of a table of a network's layers."""
    yield f"{path}: {model.count_params():,} parameters"
    yield ""
    yield f"{'layer':16s}{'kind':32s}{'output':24s}{'parameters':>12s}"
    for layer in model.layers:
        kind = type(layer).__name__
        yield f"{layer.name:16s}{kind:32s}{_output(layer):24s}{layer.count_params():12,}"
    yield ""


def _output(layer) -> str:
    """Returns the shapes of a layer's outputs as text."""
    outputs = layer.output if isinstance(layer.output, (list, tuple)) else [layer.output]
    return ", ".join(str(tuple(output.shape)) for output in outputs)
