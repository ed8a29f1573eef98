"""Checks of arguments that several packages share. They need neither Keras nor NumPy."""

from typing import Any

MEAN_SUBTRACTIONS = ("image", "color")
COLOR_ORDERS = ("RGB", "BGR")


def check_mean_subtraction(value: Any) -> None:
    """Raises a `ValueError` for anything but one of `MEAN_SUBTRACTIONS`."""
    _check_either("mean_subtraction", value, MEAN_SUBTRACTIONS)


def check_color_order(value: Any) -> None:
    """Raises a `ValueError` for anything but one of `COLOR_ORDERS`."""
    _check_either("color_order", value, COLOR_ORDERS)


def _check_either(name, value, accepted):
    if value not in accepted:
        raise ValueError(f"`{name}` must be {' or '.join(accepted)}. Received: {name}={value!r}")
