"""All methods that explain images, by name."""

from collections.abc import Iterator
from typing import Any

from alexnet_keras.classifier import Classifier
from alexnet_keras.explain.class_activation_maps import grad_cam_method
from alexnet_keras.explain.explanation import Explanation, explained_images
from alexnet_keras.explain.guided_gradients import guided_backpropagation_method
from alexnet_keras.explain.occlusion_maps import occlusion_method
from alexnet_keras.explain.saliency_maps import saliency_method

_METHODS = {
    "grad_cam": grad_cam_method,
    "occlusion": occlusion_method,
    "saliency": saliency_method,
    "guided_backpropagation": guided_backpropagation_method,
}


def explain_each(
    classifier: Classifier,
    images: Any,
    class_name: str | None = None,
    *,
    method: str = "grad_cam",
    batch_size: int = 32,
    **options,
) -> Iterator[Explanation]:
    """Explains images one batch after the other.

    This is for many images: each `Explanation` is there as soon as its batch is explained, and none
    is kept in memory.

    Args:
        classifier: a `Classifier`.
        images: as for `Classifier.predict`.
        class_name: the class to explain; `None` for the most probable class of each image.
        method: name of the function that explains the images: `"grad_cam"`, `"occlusion"`,
            `"saliency"` or `"guided_backpropagation"`.
        batch_size: images that pass through the network at a time.
        **options: further arguments of this function, such as `layer` of `grad_cam`.

    Returns:
        An iterator of `Explanation`, as in the list of the function.

    Raises:
        ValueError: for an unknown method, or as the function. If no image can be read, it is raised
            after the last one.

    Example:

    >>> for explanation in explain_each(classifier, "photos"):  # doctest: +SKIP
    ...     print(explanation.source, explanation.class_name)
    """
    if method not in _METHODS:
        raise ValueError(
            f"`method` must be one of {', '.join(_METHODS)}. Received: method={method!r}"
        )
    chosen = _METHODS[method](classifier, **options)
    return explained_images(classifier, images, class_name, batch_size, chosen)
