"""The momentum update in two passes over memory, by TensorFlow's own operations."""

import tensorflow as tf


def in_place_momentum(
    variable: tf.Variable, velocity: tf.Variable, gradient, learning_rate, momentum, decay
) -> None:
    """Changes a variable and its velocity in place, as `reference.momentum_update` defines.

    Separate products and sums would each take a new tensor of the variable's size.

    Args:
        variable, velocity: `tf.Variable`s.
        gradient: tensor of the same shape, or `tf.IndexedSlices` of one.
        learning_rate, momentum, decay: scalars; momentum is positive.
    """
    dtype = variable.dtype
    if decay:
        amount = tf.cast(learning_rate * (decay / momentum), dtype)
        tf.raw_ops.ResourceApplyGradientDescent(
            var=velocity.handle, alpha=amount, delta=variable.read_value()
        )
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=velocity.handle,
        lr=tf.cast(learning_rate, dtype),
        grad=tf.cast(tf.convert_to_tensor(gradient), dtype),
        momentum=tf.cast(momentum, dtype),
    )
