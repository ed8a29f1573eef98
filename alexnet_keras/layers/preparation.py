"""The step from prepared images to the crops that a network sees."""

import keras
import numpy as np
from keras import ops

from alexnet_keras.checks import check_color_order, check_crop_size, check_mean_subtraction
from alexnet_keras.layers.replaced_weights import ReplacedWeights


@keras.saving.register_keras_serializable(package="alexnet_keras")
class Preparation(ReplacedWeights):
    """Subtracts the mean, cuts out the center and orders the colors, inside a saved model.

    `y = x[center] - mean[center]`, with the last axis reversed for `"BGR"`. The layer computes in
    float32 under mixed precision too.

    Args:
        image_size: side of the prepared images, in pixels.
        crop_size: side of the crops, in pixels, at most `image_size`.
        mean: mean to subtract, 0-255, in the order RGB: an image of shape
            `(image_size, image_size, 3)`, or a color of shape `(3,)`. `None` for zeros, until
            `set_weights` or a file changes them.
        mean_subtraction: `"image"` or `"color"`; `None` for the kind of `mean`.
        color_order: order of the colors that the network takes, `"RGB"` or `"BGR"`.
        class_names: a name for each label of the network; they are saved with the layer.
        **kwargs: `name` and the other arguments of `keras.layers.Layer`.

    Input: RGB images `(batch, image_size, image_size, 3)`, 0-255, of any dtype; output: float32
    `(batch, crop_size, crop_size, 3)`.

    Raises:
        ValueError: for sizes, a mean or an order that do not fit, or an input of another size.

    Example:

    >>> prepare = Preparation(256, 224, mean=(123.0, 117.0, 104.0))
    >>> prepare(keras.ops.ones((1, 256, 256, 3))).shape
    TensorShape([1, 224, 224, 3])

    Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
    """

    def __init__(
        self,
        image_size: int,
        crop_size: int,
        mean=None,
        *,
        mean_subtraction: str | None = None,
        color_order: str = "RGB",
        class_names: tuple = (),
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        check_crop_size(crop_size, image_size)
        check_color_order(color_order)
        if mean is not None:
            mean = np.asarray(mean, "float32")
            mean_subtraction = _kind_of(mean, image_size, mean_subtraction)
        check_mean_subtraction(mean_subtraction)
        self.image_size = int(image_size)
        self.crop_size = int(crop_size)
        self.mean_subtraction = mean_subtraction
        self.color_order = color_order
        self.class_names = tuple(class_names)
        side = (image_size, image_size) if mean_subtraction == "image" else ()
        # Made here, not in `build`: the mean is known, and a layer that is loaded gets its own.
        self.mean = self.add_weight(
            shape=(*side, 3), initializer="zeros", trainable=False, autocast=False, name="mean"
        )
        if mean is not None:
            self.mean.assign(mean)

    def build(self, input_shape: tuple) -> None:
        expected = (self.image_size, self.image_size, 3)
        if tuple(input_shape[1:]) != expected:
            raise ValueError(
                f"The input of layer '{self.name}' must be images of shape {expected}. "
                f"Received: input shape={tuple(input_shape)}"
            )

    def call(self, inputs):
        crops = _center(ops.cast(inputs, self.compute_dtype), self.crop_size)
        mean = ops.convert_to_tensor(self.mean)
        if self.mean_subtraction == "image":
            mean = _center(mean, self.crop_size)
        crops = crops - mean
        return ops.flip(crops, axis=-1) if self.color_order == "BGR" else crops

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.crop_size, self.crop_size, 3)

    @property
    def mean_image(self) -> np.ndarray:
        """Mean as an image, float32 `(image_size, image_size, 3)`, in the order RGB."""
        mean = ops.convert_to_numpy(self.mean)
        return np.broadcast_to(mean, (self.image_size, self.image_size, 3))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "image_size": self.image_size,
            "crop_size": self.crop_size,
            "mean_subtraction": self.mean_subtraction,
            "color_order": self.color_order,
            "class_names": list(self.class_names),
        }


def _center(images, size):
    """Returns the center square of `(..., height, width, 3)`."""
    top = (images.shape[-3] - size) // 2
    left = (images.shape[-2] - size) // 2
    return images[..., top : top + size, left : left + size, :]


def _kind_of(mean, image_size, requested):
    """Returns whether a mean is an image or a color."""
    shapes = {(image_size, image_size, 3): "image", (3,): "color"}
    kind = shapes.get(mean.shape)
    if kind is None or requested not in (None, kind):
        raise ValueError(
            f"`mean` must have the shape {' or '.join(map(str, shapes))}. Received: a mean of "
            f"shape {mean.shape}, mean_subtraction={requested!r}"
        )
    return kind
