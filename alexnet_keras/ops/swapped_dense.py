"""The dense product with a gradient that does not transpose the weights."""

from keras import name_scope, ops


def swapped_dense(x, kernel, bias, name: str):
    """Returns `x W + b` in float32, with the gradient `(W dY^T)^T` of `x` rather than `dY W^T`.

    On a CPU, TensorFlow reorders the weights before it multiplies by their transpose. For the 38
    million weights of fc6 this takes time in every step, at any batch size.

    Args:
        x: `(batch, inputs)`.
        kernel: `(inputs, units)`.
        bias: `(units,)`, or `None`.
        name: the layer's name; a profiler shows the gradient as `gradient_NAME`.
    """

    @ops.custom_gradient
    def product(x, kernel):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            with name_scope(f"gradient_{name}"):
                of_x = ops.transpose(ops.matmul(kernel, ops.transpose(upstream)))
                return of_x, ops.matmul(ops.transpose(x), upstream)

        return ops.matmul(x, kernel), gradient

    # The kernel may be a variable. The cast makes it a tensor, which the gradient reaches.
    y = product(x, ops.cast(kernel, "float32"))
    return y if bias is None else ops.add(y, bias)
