"""Checks of the fields of a configuration.

Each check takes a field's name and value, and returns the value to store.
"""

import dataclasses
import math
import os
from typing import Any

from alexnet_keras.checks import as_tuple, check_whole_number, is_number


@dataclasses.dataclass(frozen=True)
class OneOf:
    """Checks for one of several values."""

    accepted: tuple

    def __call__(self, name, value):
        if value not in self.accepted:
            raise ValueError(
                f"`{name}` must be one of {', '.join(self.accepted)}. Received: {name}={value!r}"
            )
        return value


@dataclasses.dataclass(frozen=True)
class Subset:
    """Checks for one or more of several values, and returns a tuple."""

    accepted: tuple

    def __call__(self, name, value):
        value = as_tuple(name, value)
        if not value or not set(value) <= set(self.accepted):
            raise ValueError(
                f"`{name}` must be among {', '.join(map(str, self.accepted))}. Received: "
                f"{name}={value}"
            )
        return value


@dataclasses.dataclass(frozen=True)
class Number:
    """Checks for a number from 0, and returns a float.

    Args:
        below: exclusive upper limit.
        optional: whether `None` is valid too.
    """

    below: float = math.inf
    optional: bool = False

    def __call__(self, name, value):
        if value is None and self.optional:
            return None
        if not is_number(value) or not 0 <= value < self.below:
            end = "" if self.below == math.inf else f" to below {self.below:g}"
            raise ValueError(f"`{name}` must be a number from 0{end}. Received: {name}={value!r}")
        return float(value)


@dataclasses.dataclass(frozen=True)
class Shares:
    """Checks for shares of the epochs, and returns a tuple.

    Args:
        number: number of shares, besides none; `None` for any number.
    """

    number: int | None = None

    def __call__(self, name, value):
        value = as_tuple(name, value)
        if not all(is_number(share) and 0 <= share <= 1 for share in value):
            raise ValueError(f"`{name}` must be shares from 0 to 1. Received: {name}={value}")
        if list(value) != sorted(value):
            raise ValueError(
                f"`{name}` must rise from one share to the next. Received: {name}={value}"
            )
        if self.number is not None and len(value) not in (0, self.number):
            raise ValueError(
                f"`{name}` must be {self.number} shares or none. Received: {name}={value}"
            )
        return value


def share(name: str, value: Any) -> float | None:
    """Checks for a share of the epochs, or `None`, and returns a float."""
    if value is None:
        return None
    if not is_number(value) or not 0 <= value <= 1:
        raise ValueError(
            f"`{name}` must be a share from 0 to 1, or none. Received: {name}={value!r}"
        )
    return float(value)


def numbers_by_layer(name: str, value: dict) -> dict:
    """Checks for a dict from layers' names to numbers from 0."""
    numbers = value.values() if isinstance(value, dict) else (None,)
    if not all(is_number(number) and 0 <= number < math.inf for number in numbers):
        raise ValueError(f"`{name}` must be numbers from 0 by layer. Received: {name}={value}")
    return {layer: float(number) for layer, number in value.items()}


def optional_whole_number(name: str, value: Any) -> int | None:
    """Checks for a positive whole number, or `None`."""
    return None if value is None else check_whole_number(name, value)


def name_or_path(name: str, value: Any) -> str:
    """Checks for a name or path, and returns text, which JSON can store."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"`{name}` must be a name or a path. Received: {name}={value!r}")
    return os.fspath(value)


def optional_path(name: str, value: Any) -> str | None:
    """Checks for a name or path, or `None`, and returns text."""
    return None if value is None else name_or_path(name, value)
