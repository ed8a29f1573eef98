"""What something was computed with, for the record: the machine and the libraries."""

import os
import platform
import sys
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
}


def machine():
    """dict of the processor's name and the number of cores."""
    return {"processor": processor(), "cores": os.cpu_count()}


def processor():
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions(others=()):
    """dict of the versions of Python and of the libraries that this process has imported.

    Args:
        others: modules that it has not, but its own processes have.
    """
    used = [module for module in _PACKAGES if module in sys.modules or module in others]
    return {"python": platform.python_version(), **dict(map(_version, used))}


def _version(module):
    """`(package, version)`: the package is the usual one, or another that brings the module, such as tensorflow-cpu."""
    package = _PACKAGES[module]
    try:
        return package, metadata.version(package)
    except metadata.PackageNotFoundError:
        for other in metadata.packages_distributions().get(module, ()):
            return other.replace("_", "-"), metadata.version(other)
        return package, getattr(sys.modules.get(module), "__version__", "unknown")
