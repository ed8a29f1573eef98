"""The paper's preparation and augmentation of images, as TensorFlow operations."""

import numpy as np
import tensorflow as tf

COLOUR_NOISE = ("none", "eigenvalue", "standard_deviation")
NOISE_STDDEV = 0.1


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


def colour_shift(alpha, covariance, convention):
    """The colours that PCA noise adds to images, one to all pixels of each.

    `sum_i p_i * alpha_i * s_i` with `p_i` the eigenvectors of the covariance; `s_i` is the eigenvalue `lambda_i` for
    the convention `"eigenvalue"` (the paper's formula) and its square root, the standard deviation along `p_i`, for
    `"standard_deviation"` (2012 source).

    On pixel values 0-255 the first eigenvalue of photographs is above ten thousand (14,435 on Imagenette), so that the
    paper's formula to the letter shifts whole images by more than a thousand grey levels (standard deviation); the
    source's convention shifts them by about twelve.

    Args:
        alpha: float32 `(batch, 3)`, drawn from a Gaussian with standard deviation 0.1.
        covariance: `(3, 3)`, of RGB pixel values 0-255.
        convention: `"eigenvalue"` or `"standard_deviation"`.

    Returns:
        float32 `(batch, 3)`, in pixel values.

    Reference: section 4.1 of Krizhevsky et al. (2012); 2012 source.
    """
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    scale = eigenvalues if convention == "eigenvalue" else np.sqrt(eigenvalues)
    return tf.matmul(alpha, (eigenvectors * scale).T.astype("float32"))


def add_colour_noise(images, alpha, covariance, convention):
    """Adds PCA colour noise to images from which the mean is subtracted.

    Args:
        images: float32 `(batch, height, width, 3)`.
        alpha, covariance, convention: as for `colour_shift`; `"standard_deviation"` also divides the result by 1.1,
            as the 2012 source does to keep the scale of the values.
    """
    images = images + colour_shift(alpha, covariance, convention)[:, None, None, :]
    return images / (1.0 + NOISE_STDDEV) if convention == "standard_deviation" else images


def centre(image, size):
    """The centre square of `size` pixels of `(..., height, width, 3)`."""
    top, left = (image.shape[-3] - size) // 2, (image.shape[-2] - size) // 2
    return image[..., top : top + size, left : left + size, :]
