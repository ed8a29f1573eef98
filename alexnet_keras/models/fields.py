"""Checks of the fields of all networks' configurations."""

import dataclasses
from typing import Any

from alexnet_keras.checks import check_whole_number, is_number, is_whole_number


def check_fields(config: Any) -> None:
    """Checks the types of a dataclass' fields, and turns sequences into tuples.

    Raises:
        ValueError: for a field of another type than its annotation.
    """
    for field in dataclasses.fields(config):
        name = field.name
        value = getattr(config, name)
        if field.type is tuple:
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"`{name}` must be a sequence. Received: {name}={value!r}")
            object.__setattr__(config, name, tuple(map(_freeze, value)))
        elif field.type is int:
            object.__setattr__(config, name, check_whole_number(name, value))
        elif field.type == float | None and value is None:
            continue
        elif field.type in (float, float | None) and not is_number(value):
            raise ValueError(f"`{name}` must be a number. Received: {name}={value!r}")
        elif field.type is bool and not isinstance(value, bool):
            raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")


def _freeze(entry):
    """Returns a list as a tuple, and NumPy's whole numbers as ints, which JSON can store."""
    if isinstance(entry, (list, tuple)):
        return tuple(map(_freeze, entry))
    return int(entry) if is_whole_number(entry, 0) else entry
