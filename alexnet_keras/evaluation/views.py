"""Several views of each image: centre crop and ten crops."""

import keras
import numpy as np
from keras import ops

VIEWS = (1, 10)


def crop_views(images, size, views=10):
    """The crops that a prediction is averaged over.

    Args:
        images: tensor `(batch, height, width, channels)`.
        size: side of the crops, in pixels.
        views: 1 for the centre crop; 10 for the four corners and the centre, then their mirror images.

    Returns:
        tensor `(batch, views, size, size, channels)`.

    Raises:
        ValueError: for another number of views, or crops that are larger than the images.

    Reference: section 4.1 of Krizhevsky et al. (2012).
    """
    height, width = images.shape[1:3]
    if views not in VIEWS:
        raise ValueError(f"`views` must be 1 or 10. Received: views={views}")
    if size > min(height, width):
        raise ValueError(f"`size` must be at most {min(height, width)} pixels, the images' side. Received: size={size}")
    bottom, right = height - size, width - size
    corners = [(0, 0), (0, right), (bottom // 2, right // 2), (bottom, 0), (bottom, right)]
    if views == 1:
        corners = corners[2:3]
    crops = [images[:, y : y + size, x : x + size] for y, x in corners]
    if views == 10:
        crops += [ops.flip(crop, axis=2) for crop in crops]
    return ops.stack(crops, axis=1)


def views_model(model, image_size, mean_crop, views=10):
    """A model from whole images to predictions averaged over views.

    Args:
        model: a classifier of crops less the mean, `(batch, size, size, 3)`.
        image_size: side of the whole images, in pixels.
        mean_crop: `(size, size, 3)`, what is subtracted from every crop.
        views: 1 or 10.

    Returns:
        `keras.Model` from images `(batch, image_size, image_size, 3)`, 0-255, to `(batch, classes)`.

    Reference: section 4.1 of Krizhevsky et al. (2012).
    """
    size, classes = model.input_shape[1], model.output_shape[-1]
    images = keras.Input((image_size, image_size, 3), name="whole_image")
    crops = crop_views(images, size, views) - np.asarray(mean_crop, "float32")
    probabilities = model(ops.reshape(crops, (-1, size, size, 3)), training=False)
    return keras.Model(images, ops.mean(ops.reshape(probabilities, (-1, views, classes)), axis=1))
