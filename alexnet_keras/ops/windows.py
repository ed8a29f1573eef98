"""Sums over sliding windows, which the normalizations and their gradients take."""

import numpy as np
from keras import ops


def pad_for_window(x, windows):
    """`x` with zeros around it as far as windows at its border reach.

    Args:
        x: tensor.
        windows: tuple of `(axis, before, after)`, with axes counted from 0: a window reaches from
            `before` positions before an element to `after` positions after it.
    """
    reach = {axis: (before, after) for axis, before, after in windows}
    return ops.pad(x, [reach.get(axis, (0, 0)) for axis in range(len(x.shape))])


def sliding_sum(x, windows, groups=1):
    """Sums over windows of what `pad_for_window` returns; the result has the size before padding.

    Args:
        x: padded tensor.
        windows: as for `pad_for_window`.
        groups: number of equal, consecutive parts of the last axis, whose borders no window crosses.
    """
    whole = (slice(None),) * len(x.shape)
    for axis, before, after in windows:
        size, total = x.shape[axis] - before - after, 0.0
        positions, part = np.arange(size), size // groups
        for start in range(before + after + 1):
            shifted = x[(*whole[:axis], slice(start, start + size), *whole[axis + 1 :])]
            if groups > 1:
                same_group = positions // part == (positions + start - before) // part
                shifted = shifted * ops.convert_to_tensor(same_group.astype("float32"))
            total += shifted
        x = total
    return x


def transpose_windows(windows):
    """The windows that hold an element, as windows around it: those of a gradient."""
    return tuple((axis, after, before) for axis, before, after in windows)
