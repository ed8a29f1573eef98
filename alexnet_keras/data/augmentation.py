"""The paper's preparation and augmentation of images in TensorFlow."""

import tensorflow as tf

from alexnet_keras.data.pca_noise import subtract_mean


def resize_and_crop(image, size: int) -> tf.Tensor:
    """Scales the shorter side to `size` pixels and cuts out the center square.

    Args:
        image: uint8 `(height, width, 3)`.
        size: pixels.

    Returns:
        uint8 `(size, size, 3)`.

    Reference: section 2 of Krizhevsky et al. (2012).
    """
    lengths = tf.shape(image)[:2]
    shorter = tf.reduce_min(lengths)

    def cut():
        top, left = tf.unstack((lengths - size) // 2)
        return image[top : top + size, left : left + size]

    image = tf.cond(shorter == size, cut, lambda: _scaled_center(image, size))
    return tf.ensure_shape(image, (size, size, 3))


def _scaled_center(image, size):
    """Returns the center square of an image whose shorter side is scaled to `size` pixels.

    Only the pixels of the square are scaled, as a very long image could take all memory.
    """
    lengths = tf.shape(image)[:2]
    shorter = tf.reduce_min(lengths)
    new = tf.round(tf.cast(lengths, tf.float64) * size / tf.cast(shorter, tf.float64))
    scale = new / tf.cast(lengths, tf.float64)
    reach = 2 + tf.maximum(shorter // size, 1)  # of the filter, in stored pixels
    start = tf.maximum((lengths - shorter) // 2 - reach, 0)
    stop = lengths - start
    part = image[start[0] : stop[0], start[1] : stop[1]]
    first = tf.math.floordiv(new - size, 2)  # scaled pixel that the square begins with
    scaled = tf.raw_ops.ScaleAndTranslate(
        images=part[None],
        size=(size, size),
        scale=tf.cast(scale, tf.float32),
        translation=tf.cast(tf.cast(start, tf.float64) * scale - first, tf.float32),
        kernel_type="triangle",
        antialias=True,
    )
    return tf.saturate_cast(tf.round(scaled[0]), tf.uint8)


def crop_and_flip(images, uniform, size: int) -> tf.Tensor:
    """Cuts out crops at random places, and mirrors half of them left to right.

    Args:
        images: `(batch, height, width, 3)`.
        uniform: `(batch, 3)`, random numbers uniform in [0, 1): row, column, mirrored if below 0.5.
        size: side of the crops, in pixels.

    Returns:
        float32 `(batch, size, size, 3)`.

    Reference: section 4.1 of Krizhevsky et al. (2012); offsets 0..32 in 256 pixels: 2012 source.
    """
    last = tf.cast(tf.shape(images)[1:3] - 1, tf.float32)
    first = tf.floor(uniform[:, :2] * (last + 2.0 - size))
    top, left = tf.unstack(first, axis=1)
    bottom, right = tf.unstack(first + size - 1.0, axis=1)
    mirrored = uniform[:, 2] < 0.5
    first_column = tf.where(mirrored, right, left)
    last_column = tf.where(mirrored, left, right)
    # No pixel is resized. Only this operation cuts a different crop out of each image of a batch.
    boxes = _inside(
        tf.stack([top, first_column, bottom, last_column], 1) / tf.concat([last, last], 0)
    )
    return tf.image.crop_and_resize(
        images, boxes, tf.range(tf.shape(images)[0]), (size, size), "nearest"
    )


def crop_at_scale(images, uniform, size: int, scales: tuple) -> tf.Tensor:
    """Cuts out crops of images at random scales and places, and mirrors half of them.

    In an image scaled to a side of `s`, a crop of `size` pixels covers `size * side / s` original
    pixels. These are scaled to `size` (bilinear).

    Args:
        images: `(batch, side, side, 3)`.
        uniform: `(batch, 4)`, random numbers uniform in [0, 1): row, column, mirrored if below 0.5,
            side.
        size: side of the crops, in pixels.
        scales: smallest and largest `s`, in pixels; all whole numbers between them are equally
            likely.

    Returns:
        float32 `(batch, size, size, 3)`.

    Reference: section 3.1 of Simonyan and Zisserman (2014), "training image size".
    """
    side = tf.cast(tf.shape(images)[1], tf.float32)
    low, high = scales
    scale = low + tf.floor(uniform[:, 3] * (high - low + 1))
    step = side / scale  # pixels of the image
    place = tf.floor(uniform[:, :2] * (scale[:, None] + 1.0 - size))
    first = (place + 0.5) * step[:, None] - 0.5  # the middle of the first pixel
    top, left = tf.unstack(first, axis=1)
    bottom = top + (size - 1) * step
    right = left + (size - 1) * step
    mirrored = uniform[:, 2] < 0.5
    first_column = tf.where(mirrored, right, left)
    last_column = tf.where(mirrored, left, right)
    boxes = _inside(tf.stack([top, first_column, bottom, last_column], 1) / (side - 1))
    return tf.image.crop_and_resize(
        images, boxes, tf.range(tf.shape(images)[0]), (size, size), "bilinear"
    )


def _inside(boxes):
    """Returns boxes a little inside of the image, as `crop_and_resize` puts zeros outside of it."""
    return tf.clip_by_value(boxes, 1e-6, 1 - 1e-6)


def crop_and_flip_one(image, uniform, size: int) -> tf.Tensor:
    """Returns the crop of one image that `crop_and_flip` gives, in the dtype of the image.

    Args:
        image: `(height, width, 3)`.
        uniform: `(3,)`, random numbers as for `crop_and_flip`.
        size: side of the crop, in pixels.

    Returns:
        `(size, size, 3)`.
    """
    last = tf.cast(tf.shape(image)[:2] - 1, tf.float32)
    top, left = tf.unstack(tf.cast(tf.floor(uniform[:2] * (last + 2.0 - size)), tf.int32))
    crop = image[top : top + size, left : left + size]
    crop = tf.cond(uniform[2] < 0.5, lambda: tf.reverse(crop, [1]), lambda: crop)
    return tf.ensure_shape(crop, (size, size, 3))


@tf.function(autograph=False, jit_compile=True)  # one pass through memory instead of four
def cast_and_subtract_mean(images, mean, shift, divisor) -> tf.Tensor:
    """Returns `alexnet_keras.data.pca_noise.subtract_mean` for images of any dtype."""
    return subtract_mean(tf.cast(images, tf.float32), mean, shift, divisor)
