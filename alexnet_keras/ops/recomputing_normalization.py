"""Response normalization for JAX on a GPU, where memory is the bottleneck.

It keeps only the input, and computes the sum of squares again in the gradient. The two maps between
the two passes of the gradient have the dtype of the input.
"""

import dataclasses

from keras import name_scope, ops

from alexnet_keras.ops.analytic_normalization import Normalization
from alexnet_keras.ops.windows import pad_for_window, transpose_windows


@dataclasses.dataclass(frozen=True)
class _NormalizationOnGPU(Normalization):
    def power(self, denominators):
        if self.beta != 0.75:
            return ops.power(denominators, -self.beta)
        root = ops.rsqrt(denominators)
        return root * (root * ops.rsqrt(root))  # a GPU's own operation, and fewer


def recomputing_normalization(x, normalization: Normalization, name: str):
    """Normalizes `x`, with a first and a second gradient.

    Args:
        x, normalization, name: as for `analytic_normalization`.
    """
    on_gpu = _NormalizationOnGPU(**vars(normalization))

    @ops.custom_gradient
    def function(x):
        def gradient(upstream):
            with name_scope(f"gradient_{name}"):
                return first_gradient(x, upstream)

        return _materialize(x.dtype, on_gpu.outputs(x))[0], gradient

    @ops.custom_gradient
    def first_gradient(x, of_output):
        denominators = on_gpu.denominators(x)
        own = ops.cast(of_output, "float32") * on_gpu.power(denominators)
        product, own = _materialize(x.dtype, own * ops.cast(x, "float32") / denominators, own)
        shared = pad_for_window(product, transpose_windows(on_gpu.windows))
        return on_gpu.join(x, own, shared), lambda upstream: on_gpu.second_gradient(
            x, of_output, upstream
        )

    return function(x)


def _materialize(dtype, *maps):
    """Returns the maps, which XLA writes to memory once instead of computing them at every use.

    They get this dtype, but not float16, in which parts of a gradient may overflow.
    """
    import jax

    if dtype != "float16":
        maps = tuple(ops.cast(x, dtype) for x in maps)
    return jax.lax.optimization_barrier(maps)
