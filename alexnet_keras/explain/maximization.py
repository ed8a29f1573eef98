"""Activation maximization: images that excite a unit."""

import functools
from collections.abc import Iterable

import keras
import numpy as np
from tqdm import tqdm

from alexnet_keras.checks import check_whole_number
from alexnet_keras.classifier import Classifier
from alexnet_keras.data.info import center
from alexnet_keras.data.photographs import progress
from alexnet_keras.explain.explanation import check_classifier, label_of
from alexnet_keras.explain.gradients import gradient
from alexnet_keras.explain.network import chosen_outputs, score_model
from alexnet_keras.explain.patches import checked_units, cut, padding_color
from alexnet_keras.explain.receptive_fields import receptive_field
from alexnet_keras.features import linear_output
from alexnet_keras.models.inspection import layer_of

_START = 8.0  # gray levels, the standard deviation of the first image
_STEP = 4.0  # gray levels, the root mean square change of the values that the unit sees
_DECAY = 0.01  # of the difference from the mean image, in each step
_BLUR_EVERY = 4  # steps


def activation_maximization(
    classifier: Classifier,
    units: str | int | Iterable[str | int],
    layer: str | None = None,
    *,
    steps: int = 64,
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """Draws images that excite units: classes, or units of a layer.

    From noise, an image climbs the gradient of the unit's value before its activation. For a map it
    is the unit at the center. Two simple regularizers keep the image smooth: it decays to the mean
    image, and it is blurred after every fourth step.

    Args:
        classifier: a `Classifier`.
        units: one or several class names; with `layer`, numbers of its maps or units.
        layer: name of a layer; `None` for the classes' scores.
        steps: number of steps.
        seed: seed of the noise.
        batch_size: images that pass through the network at a time.

    Returns:
        float32 `(units, height, width, 3)`, RGB 0-255: the crop, or the receptive field of a map's
        central unit.

    Raises:
        ValueError: for an unknown layer, unit or class, or layers before it that are not a chain.

    Reference: Erhan et al., "Visualizing Higher-Layer Features of a Deep Network" (2009), with the
    regularizers of Yosinski et al., "Understanding Neural Networks Through Deep Visualization"
    (2015).
    """
    check_classifier(classifier)
    check_whole_number("steps", steps)
    check_whole_number("seed", seed, 0)
    check_whole_number("batch_size", batch_size)
    model, numbers = _model_and_numbers(classifier, units, layer)
    box = _central_box(classifier.network, layer)
    ascent = _Ascent(classifier.preparation, model, steps, seed)
    parts = [numbers[i : i + batch_size] for i in range(0, len(numbers), batch_size)]
    with progress(steps * len(parts), "Activation maximization", "step") as bar:
        images = np.concatenate([ascent.run(np.array(part), bar) for part in parts])
    if box is None:
        return images
    color = padding_color(classifier.preparation)
    return np.stack([cut(image, box, color) for image in images])


def _model_and_numbers(classifier, units, layer):
    """Returns the model from crops less the mean to units, and the numbers of the chosen ones."""
    if layer is None:
        names = [units] if isinstance(units, (str, int)) else list(units)
        numbers = [label_of(classifier, name, "units") for name in names]
        if not numbers:
            raise ValueError("`units` must hold at least one class name. Received: none")
        return score_model(classifier), numbers
    count = layer_of(classifier.network, layer).output.shape[-1]
    numbers = checked_units(units, count, layer)
    make = functools.partial(_unit_model, classifier.network, layer)
    return classifier.once(("units", layer), make), numbers


def _unit_model(network, layer):
    """Returns the model from crops less the mean to a layer's units, the central ones of maps."""
    output, _ = linear_output(network, layer_of(network, layer))
    if len(output.shape) == 4:
        output = output[:, output.shape[1] // 2, output.shape[2] // 2]
    return keras.Model(network.inputs[0], output)


def _central_box(network, layer):
    """Returns the receptive field of a map's central unit; `None` for a layer without maps."""
    if layer is None:
        return None
    shape = layer_of(network, layer).output.shape
    if len(shape) != 4:
        return None
    return receptive_field(network, layer).box(shape[1] // 2, shape[2] // 2)


class _Ascent:
    """Gradient ascent on the pixels of an image.

    Args:
        preparation: the `Preparation` layer of the classifier.
        model: `keras.Model` from crops less the mean to `(batch, units)`.
        steps: number of steps.
        seed: seed of the noise.
    """

    def __init__(self, preparation, model, steps, seed):
        mean = center(preparation.mean_image, preparation.crop_size).astype("float32")
        self._swaps = preparation.color_order == "BGR"
        self._mean = mean[..., ::-1] if self._swaps else mean
        self._model = model
        self._steps = steps
        # Each unit starts from the same noise, so that it does not matter which others there are.
        self._noise = np.random.RandomState(seed).normal(0, _START, mean.shape)

    def run(self, numbers: np.ndarray, bar: tqdm) -> np.ndarray:
        """Returns images that excite units, float32 `(units, size, size, 3)`, RGB 0-255."""
        values = functools.partial(chosen_outputs, self._model, numbers)
        images = np.repeat(self._noise[None], len(numbers), axis=0).astype("float32")
        for step in range(1, self._steps + 1):
            rise = gradient(values, images)
            images += _STEP * rise / _scale(rise)
            images *= 1 - _DECAY
            if step % _BLUR_EVERY == 0:
                images = _blurred(images)
            images = np.clip(images, -self._mean, 255 - self._mean)
            bar.update()
        images += self._mean
        return images[..., ::-1] if self._swaps else images


def _scale(rise):
    """Returns the root mean square of the values of each gradient that are not 0."""
    seen = np.maximum(np.count_nonzero(rise, axis=(1, 2, 3)), 1)
    scale = np.sqrt(np.square(rise, dtype="float64").sum((1, 2, 3)) / seen)
    scale[scale == 0] = 1  # of a unit without a gradient
    return scale[:, None, None, None].astype("float32")


def _blurred(images):
    """Returns images `(batch, height, width, 3)`, blurred by the weights 1/4, 1/2, 1/4."""
    for axis in (1, 2):
        padded = np.pad(images, [(int(a == axis),) * 2 for a in range(4)], "edge")
        length = images.shape[axis]
        shifted = [np.take(padded, range(i, i + length), axis) for i in range(3)]
        images = (shifted[0] + 2 * shifted[1] + shifted[2]) / 4
    return images
