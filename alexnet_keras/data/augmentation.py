"""The paper's preparation and augmentation of images, as TensorFlow operations."""

import tensorflow as tf


def resize_and_crop(image, size):
    """Scales the shorter side to `size` pixels and cuts out the centre square.

    Args:
        image: uint8 `(height, width, 3)`.
        size: pixels.

    Returns:
        uint8 `(size, size, 3)`.

    Reference: section 2 of Krizhevsky et al. (2012).
    """
    height, width = tf.unstack(tf.shape(image)[:2])

    def resized():
        shorter = tf.minimum(height, width)
        new = tf.cast(tf.round(tf.stack([height, width]) * size / shorter), tf.int32)
        return tf.saturate_cast(tf.round(tf.image.resize(image, new, antialias=True)), tf.uint8)

    image = tf.cond(tf.minimum(height, width) == size, lambda: image, resized)
    top, left = tf.unstack((tf.shape(image)[:2] - size) // 2)
    return tf.ensure_shape(image[top : top + size, left : left + size], (size, size, 3))


def crop_and_flip(images, draws, size):
    """Crops at drawn places, each mirrored left to right half of the time.

    Args:
        images: `(batch, height, width, 3)`.
        draws: `(batch, 3)`, numbers uniform in [0, 1): row, column, mirrored if below 0.5.
        size: side of the crops, in pixels.

    Returns:
        `(batch, size, size, 3)`.

    Reference: section 4.1 of Krizhevsky et al. (2012); offsets 0..32 in 256 pixels: 2012 source.
    """
    room = tf.cast(tf.shape(images)[1:3] - size + 1, tf.float32)
    corners, steps = tf.cast(draws[:, :2] * room, tf.int32), tf.range(size)
    rows = corners[:, :1] + steps
    columns = corners[:, 1:] + tf.where(draws[:, 2:] < 0.5, steps[::-1], steps)
    # Two gathers of a whole batch are several times faster than an operation an image.
    return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)
