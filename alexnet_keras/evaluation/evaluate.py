"""Measures the errors of a model on a data set."""

import contextlib
from typing import Any

import keras

from alexnet_keras.checks import check_whole_number
from alexnet_keras.distributed.devices import needs_full_batches
from alexnet_keras.evaluation.errors import TopKError
from alexnet_keras.evaluation.views import TEST_VIEWS, check_test_views, dense_model, views_model
from alexnet_keras.models.saved import check_has_no_preparation


def evaluate(
    model: keras.Model,
    dataset: Any,
    test_views: str = "ten_crop",
    batch_size: int = 128,
    verbose: int = 1,
) -> dict[str, float]:
    """Returns top-1 error, top-5 error and loss on the validation images.

    Predictions are averaged over the test views.

    Args:
        model: a classifier that ends in a softmax or in logits.
        dataset: an `alexnet_keras.data.Dataset`.
        test_views: `"center"` for the center crop; `"ten_crop"` for the paper's crops;
            `"nine_crop"` for cuda-convnet's crops; `"dense"` for all positions of the whole image
            and its mirror image, as in VGG.
        batch_size: crops that pass through the network at a time.
        verbose: 1 for a progress bar, 0 for none.

    Returns:
        dict with `top1_error` and `top5_error`, in percent, and `loss`, in nats.

    Raises:
        ValueError: for a model of other classes or another input size than the data set's, with
            other outputs, or with a preparation of its own; for unknown views, dense views of a
            model that is not a chain of layers, or a batch without crops.

    Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
    """
    info = dataset.info
    check_has_no_preparation(model)
    if model.output_shape[-1] != info.classes:
        raise ValueError(
            f"`model` must have the classes of the data set, {info.classes} in {info.name!r}. "
            f"Received: a model with {model.output_shape[-1]}"
        )
    if model.input_shape[1:3] != (info.crop_size, info.crop_size):
        raise ValueError(
            f"`model` must take crops of {info.crop_size} pixels. Received: a model of input "
            f"{model.input_shape}"
        )
    check_test_views(test_views)
    check_whole_number("batch_size", batch_size)
    with _strategy_scope():
        if test_views == "dense":
            whole = dense_model(model, info.image_size, info.mean_image)
        else:
            whole = views_model(model, info.image_size, info.mean_crop, test_views)
        compile_classifier(whole)
    images = dataset.validation_images(
        max(1, batch_size // TEST_VIEWS[test_views]), padded=needs_full_batches()
    )
    result = whole.evaluate(images, verbose=verbose, return_dict=True)
    return {name: float(result[name]) for name in ("top1_error", "top5_error", "loss")}


def compile_classifier(model: keras.Model, optimizer: Any = "rmsprop") -> None:
    """Compiles a model with the loss and the errors that training and evaluation measure.

    Keras chooses whether XLA compiles the model; it does not for TensorFlow on a CPU.

    Args:
        model: a classifier that ends in a softmax.
        optimizer: a Keras optimizer; its kind does not matter for evaluation.
    """
    model.compile(
        optimizer,
        loss="sparse_categorical_crossentropy",
        weighted_metrics=[TopKError(1), TopKError(5)],
    )


def _strategy_scope():
    """Returns the scope of TensorFlow's replicas, needed by a model of their variables."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.distribute.get_strategy().scope()
