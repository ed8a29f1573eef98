"""Test views of images: center crop, ten or nine crops, and all positions."""

import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

from alexnet_keras.evaluation.probabilities import as_probabilities
from alexnet_keras.evaluation.view_names import CROPS, TEST_VIEWS, check_test_views


def crop_views(images: Any, size: int, test_views: str = "ten_crop") -> Any:
    """Returns the crops of the test views.

    Args:
        images: tensor `(batch, height, width, channels)`.
        size: side of the crops, in pixels.
        test_views: `"center"` for the center crop; `"ten_crop"` for the four corners and the
            center, then their mirror images; `"nine_crop"` for three rows of three crops, up to the
            edges.

    Returns:
        Tensor `(batch, views, size, size, channels)`.

    Raises:
        ValueError: for unknown views, or crops that are larger than the images.

    Reference: section 4.1 of Krizhevsky et al. (2012); for nine crops, cuda-convnet's multiview
    test of CIFAR-10.
    """
    height, width = images.shape[1:3]
    check_test_views(test_views, CROPS)
    if size > min(height, width):
        raise ValueError(
            f"`size` must be at most {min(height, width)} pixels, the images' side. Received: "
            f"size={size}"
        )
    bottom = height - size
    right = width - size
    corners = list(itertools.product((0, bottom // 2, bottom), (0, right // 2, right)))
    if test_views == "center":
        corners = corners[4:5]
    if test_views == "ten_crop":
        corners = corners[::2]
    crops = [images[:, y : y + size, x : x + size] for y, x in corners]
    if test_views == "ten_crop":
        crops += [ops.flip(crop, axis=2) for crop in crops]
    return ops.stack(crops, axis=1)


def views_model(
    model: keras.Model, image_size: int, mean_crop: np.ndarray, test_views: str = "ten_crop"
) -> keras.Model:
    """Returns a model from whole images to probabilities averaged over views.

    Args:
        model: a classifier of crops less the mean, `(batch, size, size, 3)`, that ends in a softmax
            or in logits.
        image_size: side of the whole images, in pixels.
        mean_crop: mean to subtract from every crop, `(size, size, 3)`.
        test_views: `"center"`, `"ten_crop"` or `"nine_crop"`.

    Returns:
        `keras.Model` from images `(batch, image_size, image_size, 3)`, 0-255, to `(batch,
        classes)`.

    Raises:
        ValueError: for a model with other outputs, unknown views, or crops that are larger than the
            images.

    Reference: section 4.1 of Krizhevsky et al. (2012).
    """
    size = model.input_shape[1]
    classes = model.output_shape[-1]
    images = keras.Input((image_size, image_size, 3), name="whole_image")
    crops = crop_views(images, size, test_views) - np.asarray(mean_crop, "float32")
    outputs = model(ops.reshape(crops, (-1, size, size, 3)), training=False)
    # A model of `[inputs]` and `[outputs]` gives a list of one.
    probabilities = as_probabilities(model, keras.tree.flatten(outputs)[0])
    return keras.Model(
        images, ops.mean(ops.reshape(probabilities, (-1, TEST_VIEWS[test_views], classes)), axis=1)
    )


def dense_model(model: keras.Model, image_size: int, mean_image: np.ndarray) -> keras.Model:
    """Returns a model from whole images to probabilities averaged over all positions.

    The first fully connected layer becomes a convolution with kernels as large as its input maps.
    The others become 1x1 convolutions. A larger image then gives a map of scores for each class.
    The softmax of its mean over the positions is averaged over the image and its mirror image. The
    weights are shared with the model.

    Args:
        model: a classifier of crops less the mean, such as AlexNet or VGG. Its layers are a chain
            with one `Flatten`.
        image_size: side of the whole images, in pixels, at least the side of the crops.
        mean_image: mean to subtract from the images, `(image_size, image_size, 3)`.

    Returns:
        `keras.Model` from images `(batch, image_size, image_size, 3)`, 0-255, to `(batch,
        classes)`.

    Raises:
        ValueError: for a model that is not such a chain, or has other outputs.

    Reference: section 3.2 of Simonyan and Zisserman (2014).
    """
    # Functions such as `keras.ops.relu` are operations, and no layers.
    operations = getattr(model, "operations", model.layers)
    layers = [
        layer
        for layer in operations
        if not isinstance(layer, (keras.layers.InputLayer, keras.layers.Dropout))
    ]
    flat = [i for i, layer in enumerate(layers) if isinstance(layer, keras.layers.Flatten)]
    if (
        len(flat) != 1
        or not all(isinstance(layer, keras.layers.Layer) for layer in layers)
        or not _is_chain(model, operations)
        or not all(isinstance(layer, keras.layers.Dense) for layer in layers[flat[0] + 1 :])
    ):
        raise ValueError(
            "`model` must be a chain of layers with one Flatten before the fully connected layers. "
            f"Received: a model with {', '.join(layer.name for layer in operations)}"
        )
    quantized = [layer.name for layer in layers if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise ValueError(
            "`model` must not be quantized for dense views. Received: a model with quantized "
            f"{', '.join(quantized)}"
        )
    whole = keras.Input((image_size, image_size, 3), name="whole_image")
    probabilities = []
    for images in (whole, ops.flip(whole, axis=2)):
        x = images - np.asarray(mean_image, "float32")
        for layer in layers[: flat[0]]:
            x = layer(x)
        size = layers[flat[0]].input.shape[1:]
        for layer in layers[flat[0] + 1 :]:
            x = _DenseAsConvolution(
                layer, size, last=layer is layers[-1], dtype=layer.dtype_policy
            )(x)
            size = (1, 1, layer.units)
        probabilities.append(as_probabilities(model, x))
    return keras.Model(whole, (probabilities[0] + probabilities[1]) / 2)


def _is_chain(model, operations):
    """Returns whether each operation takes only the output of the one before it."""
    tensors = model.outputs
    for operation in reversed(operations):
        if isinstance(operation, keras.layers.InputLayer):
            continue
        if len(tensors) != 1 or tensors[0]._keras_history.operation is not operation:
            return False
        # A layer may have other calls, outside this model.
        node = operation._inbound_nodes[tensors[0]._keras_history.node_index]
        tensors = node.input_tensors
    return len(tensors) == 1 and tensors[0] is model.inputs[0]


class _DenseAsConvolution(keras.layers.Layer):
    """Applies a `Dense` layer at every position of larger maps; the last one to their mean."""

    def __init__(self, dense, size, last, **kwargs):
        super().__init__(**kwargs)
        self.dense = dense
        self.size = size
        self.last = last

    def call(self, x):
        kernel = ops.reshape(ops.cast(self.dense.kernel, self.compute_dtype), (*self.size, -1))
        x = ops.conv(x, kernel, padding="valid", data_format="channels_last")
        if self.dense.use_bias:
            x = ops.add(x, ops.cast(self.dense.bias, self.compute_dtype))
        return self.dense.activation(ops.mean(x, axis=(1, 2)) if self.last else x)
