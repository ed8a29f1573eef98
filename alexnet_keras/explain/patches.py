"""The image patches that excite a unit most."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from alexnet_keras.checks import check_whole_number
from alexnet_keras.classifier import Classifier
from alexnet_keras.data.info import center
from alexnet_keras.data.photographs import list_photographs, progress
from alexnet_keras.explain.explanation import check_classifier, readable_batches
from alexnet_keras.explain.receptive_fields import receptive_field
from alexnet_keras.layers import Preparation
from alexnet_keras.models.inspection import layer_of


@dataclasses.dataclass(frozen=True)
class UnitPatches:
    """The patches that excite one unit most, the strongest first.

    Args:
        unit: number of the map or unit in its layer.
        values: values of the unit, float32 `(count,)`.
        sources: path of each patch's image, or its number such as `"image 0"`.
        boxes: `(top, left, bottom, right)` of each patch in pixels of the crop, int `(count, 4)`.
            They may reach beyond the crop, into the padding.
        patches: uint8 `(count, height, width, 3)`, RGB, in the size of the receptive field. Outside
            the crop they have the mean color, the zeros of the padding.
    """

    unit: int
    values: np.ndarray
    sources: tuple[str, ...]
    boxes: np.ndarray
    patches: np.ndarray


def top_patches(
    classifier: Classifier,
    images: Any,
    layer: str,
    units: int | Iterable[int] | None = None,
    *,
    count: int = 9,
    batch_size: int = 32,
) -> list[UnitPatches]:
    """Finds the image patches that excite the units of a layer most.

    A patch is what a unit sees, its receptive field, at the position of its largest value. Each
    image has one patch. Images are read once, batch by batch, for all units.

    Args:
        classifier: a `Classifier`.
        images: as for `Classifier.predict`.
        layer: name of a layer. Convolutions give their values after their activation.
        units: numbers of maps or units of the layer; `None` for all.
        count: patches of each unit; there are fewer of fewer images.
        batch_size: images that pass through the network at a time.

    Returns:
        A list of `UnitPatches`, one for each unit, in order.

    Raises:
        ValueError: for an unknown layer or unit, layers before it that are not a chain, a path
            without images, or if no image can be read.

    Reference: figure 2 of Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks"
    (2013).
    """
    check_classifier(classifier)
    check_whole_number("count", count)
    check_whole_number("batch_size", batch_size)
    shape = layer_of(classifier.network, layer).output.shape
    units = checked_units(units, shape[-1], layer)
    field = receptive_field(classifier.network, layer)
    photographs = list_photographs(images)
    extractor = classifier.feature_extractor(layer, batch_size=batch_size)
    strongest = _Strongest(units, count, field, padding_color(classifier.preparation))
    with progress(len(photographs), "Patches") as bar:
        for batch in readable_batches(classifier, photographs, batch_size, bar):
            strongest.add(extractor.compute(batch.images)[layer], batch.crops, batch.sources)
    return strongest.sorted()


def checked_units(units: int | Iterable[int] | None, count: int, layer: str) -> list[int]:
    """Returns a list of units.

    Args:
        units: one or several numbers of units; `None` for all.
        count: number of units of the layer.
        layer: name of the layer, for the message.

    Raises:
        ValueError: for a number that is out of range, or no numbers.
    """
    if units is None:
        return list(range(count))
    numbers = [units] if isinstance(units, (int, np.integer)) else list(units)
    if not numbers:
        raise ValueError("`units` must hold at least one unit. Received: none")
    for number in numbers:
        check_whole_number("units", number, 0, count - 1, f"the units of {layer}")
    return [int(number) for number in numbers]


def padding_color(preparation: Preparation) -> np.ndarray:
    """Returns the color that stands for the padding: the mean color of the crop, uint8 `(3,)`."""
    mean = center(preparation.mean_image, preparation.crop_size)
    return np.round(mean.mean((0, 1))).astype("uint8")


def cut(image: np.ndarray, box: tuple[int, int, int, int], color: np.ndarray) -> np.ndarray:
    """Cuts a box out of an image, with a color outside the image.

    Args:
        image: `(height, width, 3)`.
        box: `(top, left, bottom, right)`, in pixels.
        color: `(3,)`.

    Returns:
        `(bottom - top, right - left, 3)` of the image's dtype.
    """
    top, left, bottom, right = box
    patch = np.empty((bottom - top, right - left, 3), image.dtype)
    patch[:] = color
    inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    first = max(-top, 0)
    second = max(-left, 0)
    patch[first : first + inside.shape[0], second : second + inside.shape[1]] = inside
    return patch


class _Strongest:
    """The strongest patches of each unit so far.

    Args:
        units: list of numbers of units.
        count: patches of each unit.
        field: the `ReceptiveField` of the units.
        color: color outside the crop, uint8 `(3,)`.
    """

    def __init__(self, units, count, field, color):
        self._units = units
        self._field = field
        self._color = color
        self._found = {unit: [] for unit in units}  # of (value, source, box, patch)
        self._count = count

    def add(self, values, crops, sources):
        """Adds a batch.

        Args:
            values: values of all units, `(batch, rows, columns, units)` or `(batch, units)`.
            crops: uint8 `(batch, size, size, 3)`.
            sources: list of the images' sources.
        """
        columns = values.shape[2] if values.ndim == 4 else 1
        flat = values.reshape(len(values), -1, values.shape[-1])
        places = flat.argmax(1)
        largest = flat.max(1)
        for unit, found in self._found.items():  # once, also if a unit is requested twice
            for index in np.argsort(-largest[:, unit], kind="stable")[: self._count]:
                value = float(largest[index, unit])
                if len(found) == self._count and value <= found[-1][0]:
                    break
                box = self._field.box(*divmod(int(places[index, unit]), columns))
                found.append((value, sources[index], box, cut(crops[index], box, self._color)))
                found.sort(key=lambda entry: -entry[0])
                del found[self._count :]

    def sorted(self):
        """Returns the list of `UnitPatches`."""
        result = []
        for unit in self._units:
            values, sources, boxes, patches = zip(*self._found[unit], strict=True)
            result.append(
                UnitPatches(
                    unit,
                    np.array(values, "float32"),
                    sources,
                    np.array(boxes),
                    np.stack(patches),
                )
            )
        return result
