"""Response normalization with its gradient written out, which takes one power and no second sum of squares."""

import dataclasses
import functools
import types

import keras
from keras import name_scope, ops

from alexnet_keras.ops.windows import pad_for_window, sliding_sum, transpose_windows


@dataclasses.dataclass(frozen=True)
class Normalization:
    """`x / d ** beta` with the denominators `d = k + alpha * W(x**2)`, `W` the sum over a window.

    Args:
        windows: as for `alexnet_keras.ops.windows.pad_for_window`.
        k, alpha, beta: constants.
        groups: number of equal, consecutive parts of the last axis, whose borders no window crosses.
    """

    windows: tuple
    k: float
    alpha: float
    beta: float
    groups: int = 1

    def denominators(self, x):
        """`d`, float32."""
        return self.k + self.alpha * self.sum_over_windows(ops.square(ops.cast(x, "float32")))

    def power(self, denominators):
        """`d ** -beta`; square roots are many times faster than a power."""
        if self.beta != 0.75:
            return ops.power(denominators, -self.beta)
        root = ops.rsqrt(denominators)
        return root * ops.sqrt(root)

    def outputs(self, x):
        """The normalized `x`."""
        return self.divide(x, self.denominators(x))

    def outputs_and_denominators(self, x):
        """The normalized `x` and `d`, which a training keeps for the gradient."""
        denominators = self.denominators(x)
        return self.divide(x, denominators), denominators

    def divide(self, x, denominators):
        return ops.cast(ops.cast(x, "float32") * self.power(denominators), x.dtype)

    def sum_over_windows(self, x):
        return sliding_sum(pad_for_window(x, self.windows), self.windows, self.groups)

    def shared_part(self, output, upstream, denominators):
        """What the gradient sums over the windows that hold an element, padded for this sum."""
        product = ops.cast(upstream, "float32") * ops.cast(output, "float32") / denominators
        return pad_for_window(product, transpose_windows(self.windows))

    def gradient(self, x, upstream, denominators, shared):
        """The gradient with respect to `x`."""
        own = ops.cast(upstream, "float32") * self.power(denominators)
        return self.join(x, own, shared)

    def join(self, x, own, shared):
        """The gradient, from that of an element's own output and from all outputs in whose window it is."""
        sums = sliding_sum(
            ops.cast(shared, "float32"), transpose_windows(self.windows), self.groups
        )
        factor = 2 * self.alpha * self.beta
        return ops.cast(ops.cast(own, "float32") - factor * ops.cast(x, "float32") * sums, x.dtype)

    def second_gradient(self, x, upstream, of_gradient):
        """The gradients of `sum(of_gradient * gradient)` with respect to `x` and `upstream`.

        With `u` the upstream gradient and `v` that of the gradient, this sum is
        `sum(u * (v / d**beta - 2 * alpha * beta * x * W(x * v) / d**(beta + 1)))`.
        """
        alpha, beta, transposed = self.alpha, self.beta, transpose_windows(self.windows)
        a, u, v = (ops.cast(tensor, "float32") for tensor in (x, upstream, of_gradient))
        d = self.denominators(x)
        scale = self.power(d)
        steeper = scale / d
        sums = self.sum_over_windows(a * v)
        of_upstream = scale * v - 2 * alpha * beta * a * steeper * sums
        of_sums = sliding_sum(pad_for_window(u * a * steeper, transposed), transposed, self.groups)
        of_d = u * steeper * (v - 2 * alpha * (beta + 1) * a * sums / d)
        of_squares = sliding_sum(pad_for_window(of_d, transposed), transposed, self.groups)
        of_x = -2 * alpha * beta * (u * steeper * sums + v * of_sums + a * of_squares)
        return ops.cast(of_x, x.dtype), ops.cast(of_upstream, upstream.dtype)


def analytic_normalization(x, normalization, name, keep_denominators=False, use_xla=False):
    """Normalizes `x`. The gradient's own gradient follows from `x`, as do all further ones.

    Args:
        x: tensor of any float dtype; the computation is in float32, the result has the dtype of `x`.
        normalization: a `Normalization`.
        name: the layer's name; a profiler shows the gradient as `gradient_NAME`.
        keep_denominators: whether the denominators, a float32 tensor of the size of `x`, are kept
            for the gradient; otherwise one that is asked for computes them again.
        use_xla: whether TensorFlow's XLA compiles each pass, which then goes through memory once.
    """
    passes = _compile(normalization) if use_xla else normalization

    @ops.custom_gradient
    def function(x):
        output, *kept = (
            passes.outputs_and_denominators(x) if keep_denominators else (passes.outputs(x),)
        )
        known = (output, *kept)
        if (
            keras.backend.backend() != "jax"
        ):  # which differentiates the operations of gradients as well
            # PyTorch would never free an output that its own gradient holds.
            known = tuple(ops.stop_gradient(tensor) for tensor in known)

        def gradient(*args, upstream=None):
            with name_scope(f"gradient_{name}"):
                return first_gradient(x, args[0] if upstream is None else upstream, *known)

        return output, gradient

    @ops.custom_gradient
    def first_gradient(x, of_output, output, *kept):
        def gradient(*args, upstream=None):
            of_gradient = args[0] if upstream is None else upstream
            of_x, of_upstream = passes.second_gradient(x, of_output, of_gradient)
            return (of_x, of_upstream, *map(ops.zeros_like, (output, *kept)))

        denominators = kept[0] if kept else passes.denominators(x)
        shared = passes.shared_part(output, of_output, denominators)
        return passes.gradient(x, of_output, denominators, shared), gradient

    return function(x)


_PASSES = (
    "outputs",
    "denominators",
    "outputs_and_denominators",
    "shared_part",
    "gradient",
    "second_gradient",
)


@functools.lru_cache  # TensorFlow compiles a function once a shape, for all layers and models alike
def _compile(normalization):
    import tensorflow as tf

    return types.SimpleNamespace(
        **{name: tf.function(getattr(normalization, name), jit_compile=True) for name in _PASSES}
    )
