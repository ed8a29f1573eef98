"""Description of the machine and the libraries, for the record of a result."""

import functools
import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata

# Packages by the modules that they are imported as.
_PACKAGES = {
    "keras": "keras",
    "numpy": "numpy",
    "tensorflow": "tensorflow",
    "tensorflow_datasets": "tensorflow-datasets",
    "jax": "jax",
    "torch": "torch",
    "faiss": "faiss-cpu",
    "onnxruntime": "onnxruntime",
    "ai_edge_litert": "ai-edge-litert",
    "openvino": "openvino",
}


def machine() -> dict:
    """Returns a dict with the processor's name and the number of cores."""
    return {"processor": processor(), "cores": os.cpu_count()}


def processor() -> str:
    """Returns the processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(
                line.split(":")[1].strip() for line in file if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def has_bfloat16_arithmetic() -> bool:
    """Returns whether this CPU multiplies bfloat16 numbers with sums in float32.

    TensorFlow's oneDNN kernels do so on x86 processors with AVX512-BF16 or AMX, and on Arm
    processors with BF16. Elsewhere the sums are bfloat16 too, and less exact.
    """
    newest = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    limited = newest not in ("ALL", "DEFAULT") and not any(x in newest for x in _BFLOAT16_SETS)
    without_onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0"
    return bool(_processor_flags() & _BFLOAT16_FLAGS) and not limited and not without_onednn


# Names of the instruction sets in /proc/cpuinfo, and in oneDNN's variable ONEDNN_MAX_CPU_ISA.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_BFLOAT16_SETS = ("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX10")


@functools.cache
def _processor_flags():
    """Returns the instruction sets that Linux lists; none on other systems."""
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith(("flags", "Features"))]
    except OSError:
        return frozenset()
    return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()


def versions(others: Iterable[str] = ()) -> dict[str, str]:
    """Returns the versions of Python and of the libraries that this process has imported.

    Args:
        others: names of modules that its child processes have imported.
    """
    used = [module for module in _PACKAGES if module in sys.modules or module in others]
    return {"python": platform.python_version(), **dict(map(_version, used))}


def _version(module):
    """Returns `(package, version)` of a module, also for variants such as tensorflow-cpu."""
    package = _PACKAGES[module]
    try:
        return package, metadata.version(package)
    except metadata.PackageNotFoundError:
        for other in metadata.packages_distributions().get(module, ()):
            return other.replace("_", "-"), metadata.version(other)
        return package, getattr(sys.modules.get(module), "__version__", "unknown")
