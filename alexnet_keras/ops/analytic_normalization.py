"""Response normalization with an analytic gradient: one power and no second sum of squares."""

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
        groups: number of equal, consecutive parts of the last axis; no window crosses their
            borders.
    """

    windows: tuple
    k: float
    alpha: float
    beta: float
    groups: int = 1

    def denominators(self, x):
        """Returns `d`, float32."""
        return self.k + self.alpha * self.sum_over_windows(ops.square(ops.cast(x, "float32")))

    def power(self, denominators):
        """Returns `d ** -beta`, for the usual `beta` by square roots, which are faster."""
        if self.beta != 0.75:
            return ops.power(denominators, -self.beta)
        root = ops.rsqrt(denominators)
        return root * ops.sqrt(root)

    def outputs(self, x):
        """Returns the normalized `x`."""
        return self.divide(x, self.denominators(x))

    def outputs_and_denominators(self, x):
        """Returns the normalized `x` and `d`, which a training keeps for the gradient."""
        denominators = self.denominators(x)
        return self.divide(x, denominators), denominators

    def divide(self, x, denominators):
        return ops.cast(ops.cast(x, "float32") * self.power(denominators), x.dtype)

    def sum_over_windows(self, x):
        return sliding_sum(pad_for_window(x, self.windows), self.windows, self.groups)

    def shared_part(self, output, upstream, denominators):
        """Returns the padded terms that the gradient sums over all windows with an element."""
        product = ops.cast(upstream, "float32") * ops.cast(output, "float32") / denominators
        return pad_for_window(product, transpose_windows(self.windows))

    def gradient(self, x, upstream, denominators, shared):
        """Returns the gradient with respect to `x`."""
        own = ops.cast(upstream, "float32") * self.power(denominators)
        return self.join(x, own, shared)

    def join(self, x, own, shared):
        """Returns the gradient from an element's own output and from the outputs of its windows."""
        sums = sliding_sum(
            ops.cast(shared, "float32"), transpose_windows(self.windows), self.groups
        )
        factor = 2 * self.alpha * self.beta
        return ops.cast(ops.cast(own, "float32") - factor * ops.cast(x, "float32") * sums, x.dtype)

    def second_gradient(self, x, upstream, of_gradient):
        """Returns the gradients of `sum(of_gradient * gradient)` by `x` and `upstream`.

        With the upstream gradient `u` and `v = of_gradient`, this sum is
        `sum(u * (v / d**beta - 2 * alpha * beta * x * W(x * v) / d**(beta + 1)))`.
        """
        alpha = self.alpha
        beta = self.beta
        transposed = transpose_windows(self.windows)
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


def analytic_normalization(
    x,
    normalization: Normalization,
    name: str,
    keep_denominators: bool = False,
    use_xla: bool = False,
):
    """Normalizes `x`, with a first and a second gradient.

    Args:
        x: tensor of any float dtype. The computation is in float32; the result has the dtype of
            `x`.
        normalization: a `Normalization`.
        name: the layer's name; a profiler shows the gradient as `gradient_NAME`.
        keep_denominators: whether the denominators, a float32 tensor of the size of `x`, are kept
            for the gradient. Otherwise the gradient computes them again.
        use_xla: whether TensorFlow's XLA compiles each pass, which then goes through memory once.
    """
    passes = _compile(normalization) if use_xla else normalization

    @ops.custom_gradient
    def function(x):
        known = _forward(passes, x, keep_denominators)
        output = known[0]
        # JAX differentiates the operations of gradients as well. PyTorch would never free an output
        # that its own gradient holds.
        if keras.backend.backend() != "jax":
            known = tuple(ops.stop_gradient(tensor) for tensor in known)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            with name_scope(f"gradient_{name}"):
                return first_gradient(x, upstream, *known)

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


def _forward(passes, x, keep_denominators):
    """Returns the output and, if they are kept, the denominators."""
    if keep_denominators:
        return passes.outputs_and_denominators(x)
    return (passes.outputs(x),)


_PASSES = (
    "outputs",
    "denominators",
    "outputs_and_denominators",
    "shared_part",
    "gradient",
    "second_gradient",
)


@functools.lru_cache  # TensorFlow then compiles each function once a shape, for all layers
def _compile(normalization):
    """Returns the passes of a `Normalization` as functions that TensorFlow's XLA compiles."""
    import tensorflow as tf

    compiled = {
        name: tf.function(getattr(normalization, name), autograph=False, jit_compile=True)
        for name in _PASSES
    }
    return types.SimpleNamespace(**compiled)
