"""Checks of the fields of all networks' configurations."""

import dataclasses
from typing import Any

import keras

from alexnet_keras.checks import check_whole_number, is_number, storable


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
        elif field.type is str and not isinstance(value, str):
            raise ValueError(f"`{name}` must be a name. Received: {name}={value!r}")


def check_shared_values(config: Any) -> None:
    """Checks the values of fields that all networks have.

    Raises:
        ValueError: for another dropout rate, constant of the normalization, or name of an
            activation or initializer; the message names the field.
    """
    if not 0 <= config.dropout < 1:
        raise ValueError(
            "`dropout` must be a rate from 0 to below 1 (0 for none). "
            f"Received: dropout={config.dropout}"
        )
    if not config.normalization_k > 0:
        raise ValueError(
            "`normalization_k` must be positive. "
            f"Received: normalization_k={config.normalization_k}"
        )
    if not config.normalization_alpha >= 0:
        raise ValueError(
            "`normalization_alpha` must not be negative. "
            f"Received: normalization_alpha={config.normalization_alpha}"
        )
    try:
        keras.activations.get(config.activation)
    except ValueError:
        raise _unknown("activation", config.activation) from None
    # Nothing is made: a new initializer takes its seed from Python's random numbers, which change.
    is_known = callable(getattr(keras.initializers, config.initializer, None))
    if config.initializer != "gaussian" and not is_known:
        raise _unknown("initializer", config.initializer)


def _unknown(field, name):
    return ValueError(
        f"`{field}` must be the name of an {field} of Keras. Received: {field}={name!r}"
    )


def _freeze(entry):
    """Returns a list as a tuple, and NumPy's numbers as Python's."""
    if isinstance(entry, (list, tuple)):
        return tuple(map(_freeze, entry))
    return storable(entry)
