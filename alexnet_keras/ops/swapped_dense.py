"""The dense product with a gradient that does not transpose the weights."""

from keras import name_scope, ops


def swapped_dense(x, kernel, bias, name):
    """`x W + b` of two axes in float32, whose gradient of `x` is `(W dY^T)^T` rather than `dY W^T`.

    On a CPU, TensorFlow brings the weights into another order before it multiplies by their transpose.
    For the 38 million weights of fc6 that takes time in every step, whatever the batch size.

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

    # A cast gives a tensor, which the gradient reaches, where the kernel is a variable.
    y = product(x, ops.cast(kernel, "float32"))
    return y if bias is None else ops.add(y, bias)
