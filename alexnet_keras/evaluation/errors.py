"""Top-k error in percent."""

from typing import Any

import keras
from keras import ops


def top_k_miss(predictions: Any, labels: Any, k: int) -> keras.KerasTensor:
    """Returns the probability that each label is not among the `k` highest predictions.

    Classes with equal predictions are in random order: of ten equal ones, each is the first with
    probability 0.1. Without ties the result is 0 or 1. A prediction that is not finite is a miss.

    Args:
        predictions: `(images, ..., classes)`, probabilities or logits.
        labels: whole numbers `(images,)`.
        k: number of classes that count.

    Returns:
        Float tensor `(images, ...)`.
    """
    predictions = ops.convert_to_tensor(predictions)
    labels = ops.cast(ops.reshape(labels, (-1,) + (1,) * (len(predictions.shape) - 1)), "int32")
    is_label = ops.arange(predictions.shape[-1], dtype="int32") == labels
    finite = ops.isfinite(ops.sum(predictions, axis=-1))
    of_label = ops.sum(ops.where(is_label, predictions, 0), axis=-1, keepdims=True)
    higher = ops.sum(ops.cast(predictions > of_label, "float32"), axis=-1)
    equal = ops.sum(ops.cast(predictions == of_label, "float32"), axis=-1)
    hit = ops.clip((k - higher) / ops.maximum(equal, 1), 0, 1)
    return 1 - ops.where(finite, hit, 0)


@keras.saving.register_keras_serializable(package="alexnet_keras")
class TopKError(keras.metrics.Metric):
    """Computes the percentage of images whose label is not among the top `k` classes.

    Args:
        k: number of classes that count; top-1 and top-5 are the usual ones.
        name: name of the metric; `"top1_error"` for `k=1`.
        **kwargs: `dtype`.

    Labels are whole numbers `(batch,)`, predictions probabilities or logits `(batch, classes)`.
    Classes with equal predictions are in random order, so uniform predictions over ten classes have
    a top-1 error of 90%. Predictions that are not finite are wrong.

    Example:

    >>> error = TopKError(k=1)
    >>> error.update_state([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    >>> float(error.result())
    50.0

    Reference: section 2 of Krizhevsky et al. (2012).
    """

    def __init__(self, k: int = 1, name: str | None = None, **kwargs: Any):
        super().__init__(name=name or f"top{k}_error", **kwargs)
        self.k = k
        self.wrong = self.add_weight(name="wrong", initializer="zeros")
        self.images = self.add_weight(name="images", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        wrong = ops.cast(top_k_miss(y_pred, y_true, self.k), self.dtype)
        weight = (
            ops.ones_like(wrong) if sample_weight is None else ops.cast(sample_weight, self.dtype)
        )
        self.wrong.assign_add(ops.sum(wrong * ops.reshape(weight, (-1,))))
        self.images.assign_add(ops.sum(weight))

    def result(self):
        return ops.divide_no_nan(100.0 * self.wrong, self.images)

    def get_config(self):
        return {**super().get_config(), "k": self.k}
