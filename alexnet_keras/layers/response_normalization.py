"""What the two response normalizations share."""

import functools
import sys

import keras
import numpy as np
from keras import name_scope, ops

from alexnet_keras.distribution import has_accelerator


def normalize(x, windows, k, alpha, beta, name, groups=1):
    """`x / (k + alpha * sum(x**2)) ** beta`, the sum over a window around each element.

    The gradient takes no powers but those of the denominator, which is computed again rather than kept: where each
    operation would go through memory by itself, on TensorFlow's CPU, all of them are compiled into one pass forward and
    two backward.

    Args:
        x: tensor of any float dtype; the computation is in float32, the result has the dtype of `x`.
        windows: tuple of `(axis, before, after)`, with axes counted from 0: the window reaches from `before` positions
            ahead of an element to `after` positions behind it, in each of these axes; outside of `x` there is nothing.
        k, alpha, beta: constants.
        name: the layer's name; a profiler shows the gradient as `gradient_NAME`.
        groups: number of equal, consecutive parts of the last axis, whose borders no window crosses.
    """
    forward, inner, backward = _passes(windows, k, alpha, beta, groups, _fuses())

    @ops.custom_gradient
    def function(x):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            with name_scope(f"gradient_{name}"):
                return backward(x, upstream, inner(x, upstream))

        return forward(x), gradient

    return function(x)


@functools.lru_cache  # one function, which TensorFlow compiles once a shape, for all layers and models alike
def _passes(windows, k, alpha, beta, groups, fuse):
    transposed = tuple((axis, after, before) for axis, before, after in windows)

    def powers(x):
        """`denominator ** -beta` and `denominator ** -(beta + 1)`."""
        denominator = k + alpha * window_sum(ops.square(x), windows, groups)
        if beta == 0.75:  # square roots are many times faster than a power
            root = ops.rsqrt(denominator)
            power = root * ops.sqrt(root)
            return power, power * root * root
        power = ops.power(denominator, -beta)
        return power, power / denominator

    def forward(x):
        a = ops.cast(x, "float32")
        return ops.cast(a * powers(a)[0], x.dtype)

    def inner(x, upstream):
        a = ops.cast(x, "float32")
        return ops.cast(upstream, "float32") * a * powers(a)[1]

    def backward(x, upstream, inner):
        a = ops.cast(x, "float32")
        gradient = ops.cast(upstream, "float32") * powers(a)[0]
        return ops.cast(gradient - (2 * alpha * beta) * a * window_sum(inner, transposed, groups), x.dtype)

    functions = forward, inner, backward
    if fuse:
        import tensorflow as tf

        return tuple(tf.function(function, jit_compile=True) for function in functions)
    return functions


def window_sum(x, windows, groups=1):
    """Sums over windows, arguments as for `normalize`: a shifted copy of `x` for each position of a window."""
    whole = (slice(None),) * len(x.shape)
    for axis, before, after in windows:
        size = x.shape[axis]
        padding = [(0, 0)] * len(x.shape)
        padding[axis] = (before, after)
        padded, total = ops.pad(x, padding), 0.0
        positions, part = np.arange(size), size // groups
        for start in range(before + after + 1):
            # All axes, not the first ones alone: tf2onnx 1.17 mistakes the axes [0, 1] for the starts [0, 1].
            shifted = padded[(*whole[:axis], slice(start, start + size), *whole[axis + 1 :])]
            if groups > 1:
                same_group = positions // part == (positions + start - before) // part
                shifted = shifted * ops.convert_to_tensor(same_group.astype("float32"))
            total += shifted
        x = total
    return x


def _fuses():
    """Whether each operation goes through memory by itself and TensorFlow's XLA can help."""
    return keras.backend.backend() == "tensorflow" and not has_accelerator() and not _is_traced_for_onnx()


def _is_traced_for_onnx():
    """Whether Keras is exporting the layer to ONNX, which has no operation for what XLA compiles."""
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") != "keras.src.export.onnx":
        frame = frame.f_back
    return frame is not None
