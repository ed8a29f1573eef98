"""The update of a weight in as few passes over memory as there can be, by TensorFlow's own operations."""

import tensorflow as tf


def momentum_step(variable, velocity, gradient, learning_rate, momentum, decay):
    """`velocity <- momentum * velocity - learning_rate * (gradient + decay * variable)`, `variable += velocity`.

    Two operations that change both tensors in place; written out in products and sums the same takes a new tensor of
    the variable's size for each of them.

    Args:
        variable, velocity: `tf.Variable`s.
        gradient: tensor of the same shape, or `tf.IndexedSlices` of one.
        learning_rate, momentum, decay: scalars; momentum is positive.
    """
    dtype = variable.dtype
    if decay:
        amount = tf.cast(learning_rate * (decay / momentum), dtype)
        tf.raw_ops.ResourceApplyGradientDescent(var=velocity.handle, alpha=amount, delta=variable.read_value())
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=velocity.handle,
        lr=tf.cast(learning_rate, dtype),
        grad=tf.cast(tf.convert_to_tensor(gradient), dtype),
        momentum=tf.cast(momentum, dtype),
    )
