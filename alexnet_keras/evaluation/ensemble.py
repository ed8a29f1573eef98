"""Ensembles: several models on the same images."""

from collections.abc import Sequence

import keras
from keras import ops

from alexnet_keras.data.info import DatasetInfo, center
from alexnet_keras.evaluation.probabilities import ends_in_logits
from alexnet_keras.evaluation.views import views_model
from alexnet_keras.models.saved import check_has_no_preparation


def check_ensemble(models: Sequence[keras.Model], names: Sequence[str] | None = None) -> None:
    """Raises a `ValueError` unless the models' predictions can be averaged.

    Args:
        models: networks of crops less the mean that end in a softmax or in logits.
        names: names of the models in the message; `None` for their own.
    """
    names = [model.name for model in models] if names is None else names
    if not models:
        raise ValueError("`models` must hold at least one model. Received: none")
    classes = [model.output_shape[-1] for model in models]
    if len(set(classes)) > 1:
        counts = ", ".join(f"{count} in {name}" for name, count in zip(names, classes, strict=True))
        raise ValueError(f"`models` must have the same classes. Received: {counts}")
    for model, name in zip(models, names, strict=True):
        check_has_no_preparation(model, name)
        ends_in_logits(model, name)


def ensemble_model(
    models: Sequence[keras.Model], info: DatasetInfo, test_views: str = "ten_crop"
) -> keras.Model:
    """Returns a model from whole images to each network's probabilities, averaged over views.

    Args:
        models: classifiers of square crops less the mean, of the same classes. Their outputs are
            probabilities or logits. The crops may differ in size.
        info: the `DatasetInfo` of the images.
        test_views: `"center"` for the center crop; `"ten_crop"` for the paper's crops;
            `"nine_crop"` for cuda-convnet's crops.

    Returns:
        `keras.Model` from images `(batch, image_size, image_size, 3)`, 0-255, to `(batch, models,
        classes)`.

    Raises:
        ValueError: for models of different classes, with other outputs or with a preparation of
            their own, for crops that are larger than the images, or for unknown views.

    Reference: sections 4.1 and 6 of Krizhevsky et al. (2012).
    """
    check_ensemble(models)
    images = keras.Input((info.image_size, info.image_size, 3), name="whole_image")
    each = []
    for model in models:
        size = model.input_shape[1]
        if size > info.image_size:
            raise ValueError(
                f"`models` must take crops of at most {info.image_size} pixels, the images' side. "
                f"Received: a model of input {model.input_shape}"
            )
        each.append(
            views_model(model, info.image_size, center(info.mean_image, size), test_views)(images)
        )
    return keras.Model(images, ops.stack(each, axis=1))
