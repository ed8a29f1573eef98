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


def crop_and_flip(image, draws, size):
    """A crop at a drawn place, mirrored left to right half of the time.

    Args:
        image: `(height, width, 3)`.
        draws: three numbers uniform in [0, 1): row, column, mirrored if below 0.5.
        size: side of the crop, in pixels.

    Returns:
        `(size, size, 3)`.

    Reference: section 4.1 of Krizhevsky et al. (2012); offsets 0..32 in 256 pixels: 2012 source.
    """
    room = tf.cast(tf.shape(image)[:2] - size + 1, tf.float32)
    top, left = tf.unstack(tf.cast(draws[:2] * room, tf.int32))
    crop = tf.slice(image, tf.stack([top, left, 0]), (size, size, 3))
    return tf.raw_ops.Reverse(tensor=crop, dims=tf.stack([False, draws[2] < 0.5, False]))
