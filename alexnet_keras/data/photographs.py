"""A user's images: files, arrays or Pillow images, prepared batch by batch without TensorFlow."""

import concurrent.futures
import dataclasses
import functools
import os
import sys
from collections.abc import Iterable, Iterator

import numpy as np
from keras import ops
from PIL import Image, ImageFile
from tqdm import tqdm

from alexnet_keras.data.image_files import (
    find_images,
    pixels_of,
    prepared_square,
    read_image,
    reasons_as_value_errors,
)

_PROGRESS_SECONDS = 3  # of work before a progress bar shows


@dataclasses.dataclass(frozen=True)
class Photograph:
    """An image that is not prepared yet.

    Args:
        source: path of the image, or its number such as `"image 0"`.
        image: path, array `(height, width, 3)` or Pillow image.
    """

    source: str
    image: object


@dataclasses.dataclass(frozen=True)
class PreparedBatch:
    """A batch of images, some of which may not be readable.

    Args:
        photographs: list of `Photograph`.
        images: uint8 `(readable ones, image_size, image_size, 3)`.
        errors: for each photograph, why it can't be read; `None` for one that can.
    """

    photographs: list
    images: np.ndarray
    errors: list

    def print_errors(self) -> None:
        """Names the photographs that can't be read on stderr."""
        for photograph, error in zip(self.photographs, self.errors, strict=True):
            if error is not None:
                tqdm.write(f"{photograph.source} is left out: {error}", file=sys.stderr)


def list_photographs(images) -> list[Photograph]:
    """Lists images without reading files.

    Args:
        images: a path, an array `(height, width, 3)` of RGB values 0-255, a Pillow image, or a list
            of these. A path is a file, a folder or a glob. An array may also be
            `(count, height, width, 3)`.

    Raises:
        ValueError: for a path without images, an array of another shape or other values, anything
            else, or no images.
    """
    is_one = isinstance(images, (str, os.PathLike, Image.Image))
    axes = len(getattr(images, "shape", (0,)))  # an array of one axis may hold paths
    if is_one or not isinstance(images, Iterable) or axes not in (1, 4):
        images = [images]
    found = []
    for image in images:
        if isinstance(image, (str, os.PathLike)):
            found += [Photograph(path, path) for path in find_images(image)]
        else:
            # A memory-mapped array has a file name, too.
            name = image.filename if isinstance(image, ImageFile.ImageFile) else ""
            source = os.fsdecode(name) if name else f"image {len(found)}"
            found.append(Photograph(source, _checked(image)))
    if not found:
        raise ValueError("`images` must hold at least one image. Received: none")
    loaded = [photograph.image for photograph in found]
    if axes == 4:  # one of its images may be dark
        _check_scale(loaded)
    else:
        for image in loaded:
            _check_scale([image])
    return found


def progress(count: int, title: str, unit: str = "image") -> tqdm:
    """Returns a progress bar of images or other units, which shows after a few seconds of work.

    For one unit it stays silent.
    """
    return tqdm(total=count, desc=title, unit=unit, delay=_PROGRESS_SECONDS, disable=count == 1)


def prepared_batches(photographs, image_size, batch_size, bar) -> Iterator[PreparedBatch]:
    """Reads and scales images; threads read the next batch while one is in use.

    A single image needs no threads, whose start takes a large part of a millisecond. Nor do arrays
    of the right size.

    Args:
        photographs: list of `Photograph`.
        image_size: side of the prepared images, in pixels.
        batch_size: number of images in a batch.
        bar: progress bar, which is brought forward.
    """
    if len(photographs) == 1:
        prepare = functools.partial(_prepare, photographs[0].image, image_size)
        yield _collect(photographs, [prepare], image_size)
        bar.update(1)
        return
    batches = [photographs[i : i + batch_size] for i in range(0, len(photographs), batch_size)]
    with concurrent.futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
        following = _start(batches[0], image_size, pool)
        for number, batch in enumerate(batches):
            current = following
            following = []
            if number + 1 < len(batches):
                following = _start(batches[number + 1], image_size, pool)
            yield _collect(batch, current, image_size)
            bar.update(len(batch))


def _start(batch, size, pool):
    """Returns the functions that return the prepared images of a batch; threads read the files."""
    functions = []
    for photograph in batch:
        prepare = functools.partial(_prepare, photograph.image, size)
        needs_no_thread = _is_prepared(photograph.image, size)
        functions.append(prepare if needs_no_thread else pool.submit(prepare).result)
    return functions


def _is_prepared(image, size):
    """Whether an image is an array that only has to be cut."""
    return (
        isinstance(image, np.ndarray) and image.dtype == np.uint8 and min(image.shape[:2]) == size
    )


def _collect(batch, results, image_size):
    """Calls the functions that return the prepared images of a batch, or raise a ValueError."""
    images = []
    errors = []
    for result in results:
        try:
            images.append(result())
            errors.append(None)
        except ValueError as error:
            errors.append(str(error))
    stacked = np.stack(images) if images else np.zeros((0, image_size, image_size, 3), "uint8")
    return PreparedBatch(batch, stacked, errors)


def unreadable_error(photographs, errors) -> ValueError:
    """Returns the error for images of which none can be read."""
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return ValueError(
        "`images` must hold an image that can be read. "
        f"Received: {photographs[0].source}: {errors[0]}{more}"
    )


def _checked(image):
    """A Pillow image, or an array of any library as NumPy's."""
    if isinstance(image, Image.Image):
        return image
    array = image
    if not isinstance(image, np.ndarray):
        array = ops.convert_to_numpy(image) if hasattr(image, "shape") else None
    if array is None or array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        found = f"an array of shape {array.shape}" if array is not None else repr(image)[:80]
        raise ValueError(
            "`images` must be paths, arrays (height, width, 3) or Pillow images. Received: " + found
        )
    if array.dtype == bool:
        raise ValueError("`images` must be arrays of values 0-255. Received: booleans")
    in_range = array.dtype == np.uint8 or (array.min() >= 0 and array.max() <= 255)
    if not in_range:  # NaN is not either
        raise ValueError(
            "`images` must be arrays of values 0-255. "
            f"Received: values from {array.min():.6g} to {array.max():.6g}"
        )
    return array


def _check_scale(images):
    """Raises a `ValueError` for fractions up to 1, such as of `plt.imread`.

    Args:
        images: list of a photograph's image, or of all images of one array.
    """
    if not any(_has_fractions(image) for image in images):
        return
    highest = max(image.max() for image in images)
    if highest <= 1:
        raise ValueError(
            "`images` must be arrays of values 0-255, so multiply these by 255. Received: "
            f"fractions from {min(image.min() for image in images):.6g} to {highest:.6g}"
        )


def _has_fractions(image):
    is_float = isinstance(image, np.ndarray) and image.dtype.kind == "f"
    return is_float and image.max() <= 1 and bool((image % 1).any())


def _prepare(image, size):
    if isinstance(image, str):
        image = read_image(image)
    elif isinstance(image, Image.Image):
        with reasons_as_value_errors():  # Pillow decodes a file when its pixels are needed
            image = pixels_of(image)
    elif image.dtype != np.uint8:
        image = np.round(image).astype("uint8")
    return prepared_square(image, size)
