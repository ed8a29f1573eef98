"""Image files without TensorFlow: which files are images, their pixels, and the prepared square."""

import collections
import contextlib
import glob
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from alexnet_keras.files import expand_home, printable, raise_error

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")  # Pillow's names; its JPEG includes MPO
MAX_PIXELS = 80_000_000  # of an image in a folder; decoded, these are 240 MB
MAX_BYTES = 2**28
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp")
# Operating systems, archives and file servers write these. Names that begin with a dot are
# ignored as well.
SYSTEM_NAMES = {
    "__macosx",
    "thumbs.db",
    "desktop.ini",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "@eadir",
    "#recycle",
}


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder has a hidden name or a system's name."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def is_image_name(path: str | os.PathLike) -> bool:
    """Returns whether a file has the ending of an image."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def find_images(path: str | os.PathLike, argument: str = "images") -> list[str]:
    """Lists the image files that a path means.

    Args:
        path: path of a file; of a folder, whose images are found at any depth; or a glob such as
            `"photos/*.jpg"`. Other files in a folder are counted on stderr.
        argument: name of the argument in the message.

    Returns:
        List of paths. Those of a folder or a glob are sorted.

    Raises:
        ValueError: for a missing file, or a folder or pattern without images.
    """
    name = os.fspath(path)
    expanded = expand_home(name)
    if not name:  # such as a variable of the shell that is not set
        found = []
        reason = "which is empty; . is the current folder"
    elif expanded.is_dir():
        found = _images_in(expanded)
        reason = f"a folder without images (files that end in {', '.join(IMAGE_SUFFIXES)})"
    elif expanded.exists() or expanded.is_symlink():  # reading it says that the link leads nowhere
        return [str(expanded)]
    elif glob.has_magic(name):
        matches = glob.glob(str(expanded), recursive=True)  # noqa: PTH207  also absolute ones
        matches = [Path(match) for match in sorted(matches)]
        found = [str(match) for match in matches if match.is_file() and is_image_name(match)]
        reason = "a pattern that no image matches"
    else:
        found = []
        reason = f"which does not exist (from {Path.cwd()})"
    if not found:
        raise ValueError(
            f"`{argument}` must be image files, folders of images or patterns. "
            f"Received: {name!r}, {reason}"
        )
    return found


def _images_in(folder):
    """Returns the images of a folder; the other files and linked folders are counted on stderr."""
    found = []
    endings = collections.Counter()
    links = []
    for root, folders, names in os.walk(folder, onerror=raise_error):
        folders[:] = [sub for sub in folders if not is_hidden(sub)]
        links += [sub for sub in folders if (Path(root) / sub).is_symlink()]
        for name in names:
            if is_image_name(name) and not is_hidden(name):
                found.append(str(Path(root) / name))
            elif not is_hidden(name):
                endings[Path(name).suffix.lower() or "no ending"] += 1
    left_out = []
    if endings:
        listed = ", ".join(f"{ending} {count}" for ending, count in endings.most_common(5))
        left_out.append(f"files without an ending of images: {endings.total()} ({listed})")
    if links:
        left_out.append(f"linked folders: {len(links)}")
    if left_out:
        text = f"Left out in {folder}: {'; '.join(left_out)}"
        print(printable(text), file=sys.stderr, flush=True)
    return sorted(found)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Decodes an image file as `alexnet_keras.data.decoding.decode_image` does, with Pillow.

    Pixels of PNG, BMP, GIF and WebP files are the same. Those of a JPEG may differ by a few gray
    levels, as TensorFlow's decoder of JPEG rounds in another way.

    Args:
        path: path of a JPEG, PNG, BMP, GIF or WebP file.

    Returns:
        uint8 `(height, width, 3)`, upright by its EXIF or XMP orientation.

    Raises:
        ValueError: if the file is not such an image; the message is the reason, without the path.
    """
    file = Path(path)
    with reasons_as_value_errors(file):
        if not file.is_file():
            raise ValueError("not a file")
        size = file.stat().st_size
        if not size:
            raise ValueError("empty")
        if size > MAX_BYTES:
            raise ValueError(f"too large: {size:,} bytes")
        with Image.open(file, formats=FORMATS) as image:
            reason = reason_against_header(image)
            if reason:
                raise ValueError(reason)
            return pixels_of(image)


@contextlib.contextmanager
def reasons_as_value_errors(file: Path | None = None) -> Iterator[None]:
    """Context that raises each error of a decoder as a `ValueError` with one line, the reason.

    Args:
        file: path of the image, which is left out of the reason; `None` for an image in memory.
    """
    try:
        yield
    except Image.UnidentifiedImageError as error:
        raise ValueError("not a JPEG, PNG, BMP, GIF or WebP image") from error
    except Exception as error:  # a file can be wrong in more ways than decoders document
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if file is not None:
            reason = reason.replace(str(file), file.name)
        raise ValueError(reason) from error


def reason_against_header(image: Image.Image) -> str | None:
    """Returns why an opened image is not taken, by its header; `None` for one that is taken."""
    if image.width * image.height > MAX_PIXELS:
        return f"too large: {image.width}x{image.height} pixels"
    # The second picture of a camera's MPO is a preview or another view of the same scene.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        return "animated"
    return None


def pixels_of(image: Image.Image) -> np.ndarray:
    """Returns the pixels of a Pillow image, uint8 `(height, width, 3)`.

    The EXIF or XMP orientation is applied, and transparency is dropped. Of 16 bits the upper 8 are
    kept; an image of mode `I` with values up to 255 has 8 bits.

    Raises:
        ValueError: for an image without pixels, with fractions up to 1, or with numbers that do not
            fit into 16 bits.
    """
    if not image.width * image.height:
        raise ValueError(f"empty: {image.width}x{image.height} pixels")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits, which Pillow's conversion clips to 255
        values = np.asarray(upright)
        if values.min() < 0 or values.max() >= 2**16:
            raise ValueError(f"values from {values.min()} to {values.max()}, not 0-65535")
        if upright.mode != "I" or values.max() > 255:  # an array of int32 may have 8 bits
            values = values >> 8
        return np.repeat(values.astype("uint8")[..., None], 3, -1)
    if upright.mode == "F":
        values = np.asarray(upright)
        if values.max() <= 1 and (values % 1).any():
            raise ValueError(f"fractions from {values.min():.6g} to {values.max():.6g}, not 0-255")
    return np.array(upright.convert("RGB"))


def prepared_square(image: np.ndarray, size: int) -> np.ndarray:
    """Scales the shorter side to `size` pixels and cuts out the center square.

    It gives the pixels of `alexnet_keras.data.augmentation.resize_and_crop`, by the same
    arithmetic: a triangle filter that is as wide as the pixels that become one, float32.

    Args:
        image: uint8 `(height, width, 3)`.
        size: pixels.

    Returns:
        uint8 `(size, size, 3)`.

    Reference: section 2 of Krizhevsky et al. (2012).
    """
    lengths = np.array(image.shape[:2])
    shorter = lengths.min()
    if shorter == size:
        top, left = (lengths - size) // 2
        return image[top : top + size, left : left + size]
    new = np.round(lengths * size / shorter)
    first = (new - size) // 2  # scaled pixel that the square begins with
    reach = 2 + max(shorter // size, 1)  # of the filter, in stored pixels
    start = np.maximum((lengths - shorter) // 2 - reach, 0)
    scale = new / lengths
    translation = start * scale - first
    scaled = image[start[0] : lengths[0] - start[0], start[1] : lengths[1] - start[1]]
    for axis in (0, 1):
        spans = _Spans(scaled.shape[axis], size, scale[axis], translation[axis])
        scaled = spans.apply(scaled, axis)
    return np.round(scaled).clip(0, 255).astype("uint8")


class _Spans:
    """The stored pixels that each scaled pixel of an axis is a mean of, with their weights.

    Args:
        length: number of stored pixels.
        size: number of scaled pixels.
        scale, translation: `scaled = scale * stored + translation`.

    Reference: TensorFlow's operation ScaleAndTranslate, kernel "triangle", with antialiasing.
    """

    def __init__(self, length, size, scale, translation):
        inverse = np.float32(1) / np.float32(scale)
        width = max(inverse, np.float32(1))  # half the base of the triangle
        middle = np.arange(size, dtype="float32") + np.float32(0.5)
        middle = middle * inverse - inverse * np.float32(translation)
        first = np.ceil(middle - width - np.float32(0.5)).astype(int).clip(0, length - 1)
        last = np.floor(middle + width - np.float32(0.5)).astype(int).clip(0, length - 1)
        stored = first[:, None] + np.arange((last - first).max() + 1)
        distance = stored.astype("float32") + np.float32(0.5) - middle[:, None]
        weights = 1 - np.abs(distance * (np.float32(1) / width))
        weights = np.where(stored <= last[:, None], weights.clip(0), 0).astype("float32")
        total = np.zeros(size, "float32")
        for column in weights.T:  # in this order, as float32 rounds each sum
            total += column
        self.stored = stored.clip(0, length - 1)
        self.weights = weights * (np.float32(1) / total)[:, None]

    def apply(self, image, axis):
        """Returns `(height, width, 3)`, float32, with the axis scaled."""
        shape = [1, 1, 1]
        shape[axis] = -1
        new_shape = list(image.shape)
        new_shape[axis] = len(self.weights)
        scaled = np.zeros(new_shape, "float32")
        product = np.empty_like(scaled)
        for stored, weights in zip(self.stored.T, self.weights.T, strict=True):
            np.multiply(np.take(image, stored, axis), weights.reshape(shape), out=product)
            scaled += product
        return scaled
