"""Checks of the fields of all networks' configurations."""

import dataclasses
from typing import Any


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
        elif field.type is int and (not isinstance(value, int) or value < 1):
            raise ValueError(
                f"`{name}` must be a positive whole number. Received: {name}={value!r}"
            )
        elif field.type == float | None and value is None:
            continue
        elif field.type in (float, float | None) and (
            isinstance(value, bool) or not isinstance(value, (int, float))
        ):
            raise ValueError(f"`{name}` must be a number. Received: {name}={value!r}")
        elif field.type is bool and not isinstance(value, bool):
            raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")


def _freeze(entry):
    """Returns a list as a tuple, and any other entry unchanged."""
    return tuple(entry) if isinstance(entry, list) else entry
