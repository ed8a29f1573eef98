"""Modules that a smaller installation would not have."""

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def modules_besides(name: str, extra: str) -> list[str]:
    """Returns the top-level modules here that a distribution with an extra does not bring.

    Args:
        name: name of an installed distribution, such as `"alexnet_keras"`.
        extra: name of one of its extras, such as `"tensorflow"`.
    """
    metadata.distribution(name)  # raises an error if it is not installed
    brought = _with_requirements(name, extra)
    return sorted(
        module
        for module, distributions in metadata.packages_distributions().items()
        if module.isidentifier() and brought.isdisjoint(map(canonicalize_name, distributions))
    )


def _with_requirements(name, extra):
    """The names of a distribution with an extra, and of all that it requires."""
    found = set()
    waiting = [(canonicalize_name(name), extra)]
    while waiting:
        wanted = waiting.pop()
        if wanted in found:
            continue
        found.add(wanted)
        for text in _requirements(wanted[0]):
            required = Requirement(text)
            if required.marker is None or required.marker.evaluate({"extra": wanted[1]}):
                other = canonicalize_name(required.name)
                waiting += [(other, each) for each in ("", *required.extras)]
    return {name for name, _ in found}


def _requirements(name):
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # for another system, or not installed
        return []
