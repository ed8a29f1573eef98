"""Errors of a model on a data set."""

import contextlib

import keras

from alexnet_keras.distributed.devices import needs_full_batches
from alexnet_keras.evaluation.errors import TopKError
from alexnet_keras.evaluation.views import TEST_VIEWS, check_test_views, dense_model, views_model


def evaluate(model, dataset, test_views="ten_crop", batch_size=128, verbose=1):
    """Top-1 and top-5 error and loss on the validation images, predictions averaged over views.

    Args:
        model: a classifier that ends in a softmax or in logits.
        dataset: an `alexnet_keras.data.Dataset`.
        test_views: `"center"` for the center crop, `"ten_crop"` for the ten crops of the paper, `"nine_crop"` for those of cuda-convnet, `"dense"` for all
            positions of the whole image and its mirror image, as VGG does.
        batch_size: crops that pass through the network at a time.
        verbose: 1 for a progress bar, 0 for none.

    Returns:
        dict with `top1_error` and `top5_error`, in percent, and `loss`, in nats.

    Raises:
        ValueError: when the model's classes or input size are not the data set's, or it ends in something else.

    Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
    """
    info = dataset.info
    if model.output_shape[-1] != info.classes:
        raise ValueError(
            f"`model` must have the classes of the data set, {info.classes} in {info.name!r}. Received: a model with "
            f"{model.output_shape[-1]}"
        )
    if model.input_shape[1:3] != (info.crop_size, info.crop_size):
        raise ValueError(
            f"`model` must take crops of {info.crop_size} pixels. Received: a model of input {model.input_shape}"
        )
    check_test_views(test_views)
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


def compile_classifier(model, optimizer="rmsprop"):
    """Compiles a model with the loss and the errors that training and evaluation measure.

    XLA compiles it where Keras chooses so: not for TensorFlow on a CPU, where XLA makes this network slower.

    Args:
        model: a classifier that ends in a softmax.
        optimizer: a Keras optimizer; any one for a model that is only evaluated.
    """
    model.compile(
        optimizer,
        loss="sparse_categorical_crossentropy",
        weighted_metrics=[TopKError(1), TopKError(5)],
    )


def _strategy_scope():
    """The scope of TensorFlow's replicas, in which a model is made that uses their variables."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.distribute.get_strategy().scope()
