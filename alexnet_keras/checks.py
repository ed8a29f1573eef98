"""Checks of arguments that several packages share. They need neither Keras nor NumPy."""

import numbers
from collections.abc import Iterable
from typing import Any, TypeGuard

MEAN_SUBTRACTIONS = ("image", "color")
COLOR_ORDERS = ("RGB", "BGR")


def check_whole_number(
    name: str, value: Any, least: int = 1, most: int | None = None, meaning: str = ""
) -> int:
    """Returns a whole number as an int, of Python or NumPy; booleans are refused.

    Args:
        name: name of the argument.
        value: its value.
        least: smallest number.
        most: largest number; `None` for no limit.
        meaning: meaning of the limits in the message.

    Raises:
        ValueError: for anything but a whole number in the range.
    """
    if is_whole_number(value, least) and (most is None or value <= most):
        return int(value)
    if most is not None:
        expected = f"a whole number from {least} to {most}"
    elif least == 1:
        expected = "a positive whole number"
    else:
        expected = f"a whole number from {least}"
    raise ValueError(
        f"`{name}` must be {expected}{meaning and ', ' + meaning}. Received: {name}={value!r}"
    )


def is_whole_number(value: Any, least: int = 1) -> TypeGuard[int]:
    """Returns whether a value is a whole number, of Python or NumPy, at least `least`."""
    return isinstance(value, numbers.Integral) and is_number(value) and value >= least


def is_number(value: Any) -> TypeGuard[float]:
    """Returns whether a value is a real number, of Python or NumPy; booleans are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def as_tuple(name: str, value: Iterable) -> tuple:
    """Checks for a sequence, and returns a tuple whose numbers JSON can store, unlike NumPy's."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"`{name}` must be a sequence. Received: {name}={value!r}")
    return tuple(map(storable, value))


def storable(entry: Any) -> Any:
    """Returns a number of NumPy as Python's, which JSON can store; other values as they are.

    Numbers in tuples and lists are converted as well.
    """
    if isinstance(entry, list):
        return list(map(storable, entry))
    if isinstance(entry, tuple):
        return tuple(map(storable, entry))
    if not is_number(entry):
        return entry
    return int(entry) if isinstance(entry, numbers.Integral) else float(entry)


def true_or_false(name: str, value: Any) -> bool:
    """Checks for a boolean, as a text such as "no" would count as true."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return value


def seed_number(name: str, value: Any) -> int:
    """Returns a seed that all libraries accept, as an int; raises a `ValueError` for others."""
    if not is_whole_number(value, 0) or value >= 2**31:
        raise ValueError(
            f"`{name}` must be a whole number from 0 to 2**31 - 1. Received: {name}={value!r}"
        )
    return int(value)


def check_crop_size(crop_size: Any, image_size: Any) -> None:
    """Raises a `ValueError` for sides in pixels of which the crop does not fit into the image."""
    if not is_whole_number(crop_size) or not is_whole_number(image_size, crop_size):
        raise ValueError(
            "`crop_size` must be a whole number from 1 to image_size pixels. "
            f"Received: crop_size={crop_size!r}, image_size={image_size!r}"
        )


def check_mean_subtraction(value: Any) -> None:
    """Raises a `ValueError` for anything but one of `MEAN_SUBTRACTIONS`."""
    _check_either("mean_subtraction", value, MEAN_SUBTRACTIONS)


def check_color_order(value: Any) -> None:
    """Raises a `ValueError` for anything but one of `COLOR_ORDERS`."""
    _check_either("color_order", value, COLOR_ORDERS)


def _check_either(name, value, accepted):
    if value not in accepted:
        raise ValueError(f"`{name}` must be {' or '.join(accepted)}. Received: {name}={value!r}")
