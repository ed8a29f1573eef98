"""Top-k error in percent."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="alexnet_keras")
class TopKError(keras.metrics.Metric):
    """Share of images, in percent, whose label is not among the `k` most probable classes.

    Args:
        k: number of classes that count; top-1 and top-5 are the usual ones.
        name: name of the metric; `"top1_error"` for `k=1`.
        **kwargs: `dtype`.

    Labels are whole numbers `(batch,)`, predictions probabilities or logits `(batch, classes)`. Predictions with
    what is no number are wrong.

    Example:

    >>> error = TopKError(k=1)
    >>> error.update_state([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    >>> float(error.result())
    50.0

    Reference: section 2 of Krizhevsky et al. (2012).
    """

    def __init__(self, k=1, name=None, **kwargs):
        super().__init__(name=name or f"top{k}_error", **kwargs)
        self.k = k
        self.wrong = self.add_weight(name="wrong", initializer="zeros")
        self.images = self.add_weight(name="images", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        y_pred = ops.convert_to_tensor(y_pred)
        k = min(self.k, y_pred.shape[-1])
        right = ops.logical_and(ops.in_top_k(y_true, y_pred, k=k), ops.isfinite(ops.sum(y_pred, -1)))
        wrong = 1.0 - ops.cast(right, self.dtype)
        weight = ops.ones_like(wrong) if sample_weight is None else ops.cast(sample_weight, self.dtype)
        self.wrong.assign_add(ops.sum(wrong * ops.reshape(weight, (-1,))))
        self.images.assign_add(ops.sum(weight))

    def result(self):
        return ops.divide_no_nan(100.0 * self.wrong, self.images)

    def get_config(self):
        return {**super().get_config(), "k": self.k}
