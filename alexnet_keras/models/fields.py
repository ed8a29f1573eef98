"""Checks of the fields of a network's configuration that are the same for all networks."""

import dataclasses


def check_fields(config):
    """Raises a `ValueError` for a field of another type than the dataclass says; sequences become tuples."""
    for field in dataclasses.fields(config):
        name, value = field.name, getattr(config, field.name)
        if field.type is tuple:
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"`{name}` must be a sequence. Received: {name}={value!r}")
            frozen = tuple(tuple(entry) if isinstance(entry, list) else entry for entry in value)
            object.__setattr__(config, name, frozen)
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
