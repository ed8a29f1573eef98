"""What the two response normalizations share."""

import dataclasses
import functools
import sys
from collections.abc import Callable

import keras
import numpy as np
from keras import name_scope, ops

from alexnet_keras.distribution import computes_with


def normalize(x, windows, k, alpha, beta, name, groups=1, training=False):
    """`x / (k + alpha * sum(x**2)) ** beta`, the sum over a window around each element.

    The gradient takes one power, and no sum of squares, which a training keeps from the forward pass. Where each
    operation would go through memory by itself, on TensorFlow's CPU, all of them are compiled into one pass forward and
    two backward. Otherwise with JAX on a GPU, where memory is the bottleneck: it keeps `x` alone and takes the sum of
    squares again; the two maps that go from the first pass of the gradient to the second are bfloat16 where `x` is.
    The gradient's own gradient follows from `x` by the definition, as do all further ones.

    Args:
        x: tensor of any float dtype; the computation is in float32, the result has the dtype of `x`.
        windows: tuple of `(axis, before, after)`, with axes counted from 0: the window reaches from `before` positions
            ahead of an element to `after` positions behind it, in each of these axes; outside of `x` there is nothing.
        k, alpha, beta: constants.
        name: the layer's name; a profiler shows the gradient as `gradient_NAME`.
        groups: number of equal, consecutive parts of the last axis, whose borders no window crosses.
        training: whether the denominators, a float32 tensor of the size of `x`, are kept for the gradient; otherwise
            one that is asked for computes them again, as JAX on a GPU always does.
    """
    on_gpu = computes_with("jax", accelerator=True)
    passes = _passes(windows, k, alpha, beta, groups, _fuses(), on_gpu)

    @ops.custom_gradient
    def function(x):
        output, *kept = passes.both(x) if training and not on_gpu else (passes.outputs(x),)
        known = () if on_gpu else (output, *kept)
        if keras.backend.backend() != "jax":  # which differentiates the operations of gradients as well
            # PyTorch would never free an output that its own gradient holds.
            known = tuple(ops.stop_gradient(tensor) for tensor in known)

        def gradient(*args, upstream=None):
            with name_scope(f"gradient_{name}"):
                return first_gradient(x, args[0] if upstream is None else upstream, *known)

        return output, gradient

    @ops.custom_gradient
    def first_gradient(x, of_output, *known):
        """The gradient of `function`, which can be differentiated; `known` are its output and the denominators."""

        def gradient(*args, upstream=None):
            of_x, of_upstream = passes.second_gradient(x, of_output, args[0] if upstream is None else upstream)
            return (of_x, of_upstream, *map(ops.zeros_like, known))

        if on_gpu:
            return passes.on_gpu_backward(x, of_output), gradient
        output, *kept = known
        denominator = kept[0] if kept else passes.denominators(x)
        inner = passes.inner(output, of_output, denominator)
        return passes.backward(x, of_output, denominator, inner), gradient

    return function(x)


@dataclasses.dataclass(frozen=True)
class _Passes:
    """The functions that outputs and gradients are computed by."""

    outputs: Callable
    denominators: Callable
    both: Callable
    inner: Callable
    backward: Callable
    on_gpu_backward: Callable
    second_gradient: Callable


@functools.lru_cache  # one function, which TensorFlow compiles once a shape, for all layers and models alike
def _passes(windows, k, alpha, beta, groups, fuse, on_gpu):
    transposed = tuple((axis, after, before) for axis, before, after in windows)

    def power(denominator):
        """`denominator ** -beta`."""
        if beta == 0.75:  # square roots are many times faster than a power
            root = ops.rsqrt(denominator)
            return root * (root * ops.rsqrt(root) if on_gpu else ops.sqrt(root))  # a GPU's own operation, and fewer
        return ops.power(denominator, -beta)

    def denominators(x):
        squares = ops.square(ops.cast(x, "float32"))
        return k + alpha * window_sum(with_margin(squares, windows), windows, groups)

    def divided(x, denominator):
        return ops.cast(ops.cast(x, "float32") * power(denominator), x.dtype)

    def outputs(x):
        output = divided(x, denominators(x))
        return _stored(x.dtype, output)[0] if on_gpu else output

    def both(x):
        denominator = denominators(x)
        return divided(x, denominator), denominator

    def inner(output, upstream, denominator):
        """What the gradient sums over the windows that an element is in, with the margin that the sum needs."""
        product = ops.cast(upstream, "float32") * ops.cast(output, "float32") / denominator
        return with_margin(product, transposed)

    def backward(x, upstream, denominator, inner):
        return joined(x, ops.cast(upstream, "float32") * power(denominator), inner)

    def joined(x, own, inner):
        """The gradient, from that of an element's own output and the `inner` of all outputs in whose window it is."""
        sums = window_sum(ops.cast(inner, "float32"), transposed, groups)
        return ops.cast(ops.cast(own, "float32") - (2 * alpha * beta) * ops.cast(x, "float32") * sums, x.dtype)

    def on_gpu_backward(x, upstream):
        denominator = denominators(x)
        own = ops.cast(upstream, "float32") * power(denominator)
        product, own = _stored(x.dtype, own * ops.cast(x, "float32") / denominator, own)
        return joined(x, own, with_margin(product, transposed))

    def second_gradient(x, upstream, of_gradient):
        """The gradients of `sum(of_gradient * gradient)` with respect to `x` and `upstream`.

        With `d` the denominators, `u` of `upstream`, `v` of `of_gradient` and `W` the sum over windows, that sum is
        `sum(u * (v / d**beta - 2 * alpha * beta * x * W(x * v) / d**(beta + 1)))`.
        """
        in_float32 = [ops.cast(tensor, "float32") for tensor in (x, upstream, of_gradient)]
        (x32, u, v), denominator = in_float32, denominators(x)
        scale = power(denominator)
        steeper = scale / denominator
        sums = window_sum(with_margin(x32 * v, windows), windows, groups)
        of_upstream = scale * v - 2 * alpha * beta * x32 * steeper * sums
        of_sums = window_sum(with_margin(u * x32 * steeper, transposed), transposed, groups)
        of_denominators = u * steeper * (v - 2 * alpha * (beta + 1) * x32 * sums / denominator)
        of_squares = window_sum(with_margin(of_denominators, transposed), transposed, groups)
        of_x = -2 * alpha * beta * (u * steeper * sums + v * of_sums + x32 * of_squares)
        return ops.cast(of_x, x.dtype), ops.cast(of_upstream, upstream.dtype)

    functions = outputs, denominators, both, inner, backward, on_gpu_backward, second_gradient
    if fuse:
        import tensorflow as tf

        functions = [tf.function(function, jit_compile=True) for function in functions]
    return _Passes(*functions)


def _stored(dtype, *maps):
    """The maps, which XLA writes to memory in this dtype in place of computing them again wherever they are used.

    Not in float16, which what a gradient is made of may be too large for.
    """
    import jax

    return jax.lax.optimization_barrier(maps if dtype == "float16" else tuple(ops.cast(x, dtype) for x in maps))


def with_margin(x, windows):
    """`x` with zeros around it as far as windows at its border reach."""
    reach = {axis: (before, after) for axis, before, after in windows}
    return ops.pad(x, [reach.get(axis, (0, 0)) for axis in range(len(x.shape))])


def window_sum(x, windows, groups=1):
    """Sums over windows, arguments as for `normalize`, of what `with_margin` returns, which loses the margin.

    They are sums of shifted copies of `x`, one for each position of a window.
    """
    whole = (slice(None),) * len(x.shape)
    for axis, before, after in windows:
        size, total = x.shape[axis] - before - after, 0.0
        positions, part = np.arange(size), size // groups
        for start in range(before + after + 1):
            # All axes, not the first ones alone: tf2onnx 1.17 mistakes the axes [0, 1] for the starts [0, 1].
            shifted = x[(*whole[:axis], slice(start, start + size), *whole[axis + 1 :])]
            if groups > 1:
                same_group = positions // part == (positions + start - before) // part
                shifted = shifted * ops.convert_to_tensor(same_group.astype("float32"))
            total += shifted
        x = total
    return x


def _fuses():
    """Whether each operation goes through memory by itself and TensorFlow's XLA can help."""
    return computes_with("tensorflow", accelerator=False) and not _is_traced_for_onnx()


def _is_traced_for_onnx():
    """Whether Keras is exporting the layer to ONNX, which has no operation for what XLA compiles."""
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") != "keras.src.export.onnx":
        frame = frame.f_back
    return frame is not None
