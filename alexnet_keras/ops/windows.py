"""Sums over sliding windows, for the normalizations and their gradients."""

from typing import Any, cast

import keras
import numpy as np
from keras import ops


def pad_for_window(x, windows: tuple):
    """Returns `x` with zeros around it, as far as windows at its border reach.

    Args:
        x: tensor.
        windows: tuple of `(axis, before, after)`, with axes counted from 0. A window reaches from
            `before` positions before an element to `after` positions after it.
    """
    reach = {axis: (before, after) for axis, before, after in windows}
    return ops.pad(x, [reach.get(axis, (0, 0)) for axis in range(len(x.shape))])


def sliding_sum(x, windows: tuple, groups: int = 1):
    """Returns the sums over windows, with the size before padding.

    Args:
        x: result of `pad_for_window`.
        windows: as for `pad_for_window`.
        groups: number of equal, consecutive parts of the last axis; no window crosses their
            borders.
    """
    if groups > 1 and keras.backend.backend() == "torch":
        return _sum_by_group(x, windows, groups)
    whole = (slice(None),) * len(x.shape)
    for axis, before, after in windows:
        size = x.shape[axis] - before - after
        positions = np.arange(size)
        part = size // groups
        total = 0.0
        for start in range(before + after + 1):
            shifted = x[(*whole[:axis], slice(start, start + size), *whole[axis + 1 :])]
            if groups > 1:
                same_group = positions // part == (positions + start - before) // part
                shifted = shifted * ops.convert_to_tensor(same_group.astype("float32"))
            total += shifted
        x = cast(Any, total)  # a tensor: each window has a term
    return x


def _sum_by_group(x, windows, groups):
    """Returns the sums of `sliding_sum` without factors, which PyTorch would copy at each step."""
    ((_, before, after),) = windows
    parts = ops.split(x[..., before : x.shape[-1] - after], groups, axis=-1)
    sums = [sliding_sum(pad_for_window(part, windows), windows) for part in parts]
    return ops.concatenate(sums, axis=-1)


def transpose_windows(windows: tuple) -> tuple:
    """Returns the windows of a gradient: from an element to all elements whose windows hold it."""
    return tuple((axis, after, before) for axis, before, after in windows)
