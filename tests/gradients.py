"""Outputs and gradients on whichever backend runs, and gradients by differences."""

import keras
import numpy as np


def computed(function, *arrays):
    """`function(*arrays)` as NumPy arrays."""
    if keras.backend.backend() == "jax":
        import jax

        # Compiled as a whole, which takes less time than one operation after another. The lambda is
        # new each time, so that JAX does not take the weights of an earlier call.
        result = jax.jit(lambda *a: function(*a))(*arrays)
    else:
        result = function(*map(keras.ops.convert_to_tensor, arrays))
    return keras.tree.map_structure(keras.ops.convert_to_numpy, result)


def outputs_and_gradients(function, weights, *arrays):
    """The output of a function, and the gradients of its weighted sum by each float32 array.

    Args:
        function: function of the arrays with one output.
        weights: function from the output's shape to a NumPy array of its weights in the sum.
        *arrays: NumPy arrays.
    """
    if keras.backend.backend() == "jax":
        import jax

        def compute(*a):
            output, gradients_of = jax.vjp(function, *a)
            return output, *gradients_of(weights(output.shape).astype(output.dtype))

        return [np.asarray(result) for result in jax.jit(compute)(*arrays)]
    if keras.backend.backend() == "torch":
        import torch

        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        output = function(*tensors)
        (output * torch.tensor(weights(tuple(output.shape)))).sum().backward()
        return [output.detach().numpy(), *(t.grad.numpy() for t in tensors)]
    import tensorflow as tf

    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        for tensor in tensors:
            tape.watch(tensor)
        output = function(*tensors)
        total = tf.reduce_sum(output * tf.constant(weights(tuple(output.shape)), output.dtype))
    return [output.numpy(), *(g.numpy() for g in tape.gradient(total, tensors))]


def gradients(function, *arrays):
    """Gradients of `sum(function(*arrays))` with respect to each float32 array."""
    return outputs_and_gradients(function, np.ones, *arrays)[1:]


def differences(function, array, step=1e-4):
    """Gradient of `sum(function(array))` by central differences in float64."""
    array = np.array(array, "float64")
    result = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        values = []
        for sign in (1, -1):
            moved = array.copy()
            moved[index] += sign * step
            values.append(function(moved).sum())
        result[index] = (values[0] - values[1]) / (2 * step)
    return result


def squared_gradients(function):
    """Returns the sum of the squares of `gradients` as a differentiable function of the arrays."""
    if keras.backend.backend() == "jax":
        import jax

        @jax.jit
        def squares(*arrays):
            every = tuple(range(len(arrays)))
            first = jax.grad(lambda *a: function(*a).sum(), argnums=every)(*arrays)
            return sum((gradient**2).sum() for gradient in first)

    elif keras.backend.backend() == "torch":
        import torch

        def squares(*tensors):
            first = torch.autograd.grad(function(*tensors).sum(), tensors, create_graph=True)
            return sum((gradient**2).sum() for gradient in first)

    else:
        import tensorflow as tf

        def squares(*tensors):
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                total = tf.reduce_sum(function(*tensors))
            return tf.add_n(
                [tf.reduce_sum(gradient**2) for gradient in tape.gradient(total, tensors)]
            )

    return squares


def second_gradients(function, *arrays):
    """Returns gradients of the sum of squares of `gradients(function, *arrays)` by each array."""
    return gradients(squared_gradients(function), *arrays)
