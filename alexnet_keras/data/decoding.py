"""Decoding of image files, and the check of files before a training."""

import concurrent.futures
import contextlib
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from alexnet_keras.data.image_files import FORMATS, MAX_BYTES, pixels_of, reason_against_header
from alexnet_keras.data.statistics import check_cache
from alexnet_keras.files import write_text

# Part of every fingerprint of encoded images. Raise it when a file is decoded to other pixels, or
# when another file is accepted. All statistics are then computed again.
DECODING_VERSION = 3

# An EXIF orientation from 2 to 8: tag 0x112, of type SHORT, one value; big or little endian. It
# stands among the first entries of an EXIF block, and the block among the first of a file. Without
# EXIF, Pillow takes the orientation in XMP.
_HEAD_BYTES = 4096
_TURNED = (
    r"\C*(?:\x01\x12\x00\x03\x00\x00\x00\x01\x00[\x02-\x08]"
    r"|\x12\x01\x03\x00\x01\x00\x00\x00[\x02-\x08]\x00"
    r'|tiff:Orientation(?:="|>)[2-8])\C*'
)
_ORIENTATION = 0x112


def decode_image(encoded) -> tf.Tensor:
    """Decodes an image file to upright uint8 `(height, width, 3)`.

    The EXIF or XMP orientation is applied. The first of several pictures is taken. Transparency is
    dropped, and the upper 8 of 16 bits are kept.

    Args:
        encoded: string tensor, the content of a JPEG, PNG, BMP, GIF or WebP file.
    """
    encoded = tf.convert_to_tensor(encoded)
    image = tf.cond(
        _is_decoded_by_tensorflow(encoded),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
        lambda: tf.numpy_function(_decode_with_pillow, [encoded], tf.uint8),
    )
    image.set_shape((None, None, 3))
    return image


def _is_decoded_by_tensorflow(encoded):
    """Returns whether a file is an upright JPEG, PNG or plain WebP.

    TensorFlow decodes these correctly and without Python, which is faster. It takes the palette
    indices of a BMP for colors, and refuses a WebP with transparency.
    """
    start = tf.strings.substr(encoded, 0, 16)
    is_jpeg = tf.strings.substr(start, 0, 3) == b"\xff\xd8\xff"
    is_other = tf.strings.regex_full_match(start, r"(?:\CPNG|RIFF\C{4}WEBPVP8 )\C*")
    head = tf.strings.substr(encoded, 0, _HEAD_BYTES)
    return (is_jpeg | is_other) & ~tf.strings.regex_full_match(head, _TURNED)


def _decode_with_pillow(encoded):
    if isinstance(encoded, np.ndarray):  # outside a graph
        encoded = encoded.item()
    with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
        return pixels_of(image)


def corrupt_files(
    files: list, folders: set, fingerprint: str, cache_dir: str | os.PathLike | None
) -> dict:
    """Decodes every file once, and returns the reasons against those that are not usable.

    Args:
        files: paths, strings.
        folders: the folders that links may lead into.
        fingerprint: digest of the files, under which the result is cached.
        cache_dir: folder of the cache; `None` for no cache.

    Returns:
        dict from the path of each file that is not a usable image to the reason.

    Raises:
        OSError: for a file that can't be read now, such as without permission or memory.
    """
    name = f"unusable-{DECODING_VERSION}-{fingerprint}.json"
    remembered = Path(cache_dir) / name if cache_dir else None
    if remembered and remembered.exists():
        with contextlib.suppress(ValueError):
            return json.loads(remembered.read_text())
    if cache_dir and remembered:
        check_cache(cache_dir)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(lambda file: _lasting_reason_against(Path(file), folders), files)
        pairs = zip(files, reasons, strict=True)
        pairs = tqdm(pairs, total=len(files), desc="Checking images", unit="image")
        corrupt = {file: reason for file, reason in pairs if reason}
    if remembered:
        write_text(remembered, json.dumps(corrupt))
    return corrupt


def reason_against(file: Path, folders: set | None = None) -> str | None:
    """Returns why a file is not a usable image; `None` for a usable one. Files are not trusted.

    Args:
        file: path of the file.
        folders: the folders that a link may lead into; `None` for any.
    """
    try:
        return _lasting_reason_against(file, folders)
    except OSError as error:
        return str(error)


def _lasting_reason_against(file, folders):
    """Like `reason_against`, but raises an `OSError` for errors of the disk or of memory."""
    try:
        return _reason_against_file(file, folders) or _reason_against_content(file)
    except Image.UnidentifiedImageError:
        return "not a JPEG, PNG, BMP, GIF or WebP image"
    except Exception as error:  # a file can be wrong in more ways than decoders document
        message = _message_of(error, file)
        is_temporary = isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError))
        if is_temporary or getattr(error, "errno", None):  # only the system's errors have one
            raise OSError(f"{file} can't be read: {message}") from error
        return message


def _reason_against_file(file, folders):
    is_inside = folders is None or any(file.resolve().is_relative_to(folder) for folder in folders)
    if not is_inside:
        return "a link that leads out of the folder"
    if folders is None and not file.exists():
        return "file not found"
    if not file.is_file():
        return "not a file"
    size = file.stat().st_size
    if not size:
        return "empty"
    if size > MAX_BYTES:
        return f"too large: {size:,} bytes"
    return None


def _reason_against_content(file):
    with Image.open(file, formats=FORMATS) as image:  # its header
        reason = reason_against_header(image)
        turned = reason is None and _orientation(image) != 1
    if reason:
        return reason
    encoded = file.read_bytes()
    if not _is_decoded_by_tensorflow(encoded):
        _decode_with_pillow(encoded)
    elif turned:
        return f"an orientation after the first {_HEAD_BYTES} bytes; save it upright"
    else:
        tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return None


def _message_of(error, file):
    reason = getattr(error, "message", None) or str(error)
    reason = re.sub(r"^\{\{.*?\}\} ", "", reason).split(" [Op:")[0]
    return reason.replace(str(file), file.name) or type(error).__name__


def _orientation(image):
    """Returns the orientation, 1 to 8, by which Pillow turns an opened image.

    It may also be in XMP, in a text of a PNG, or behind its pixels.
    """
    if image.format == "PNG":
        image.load()
    orientation = image.getexif().get(_ORIENTATION, 1)
    return orientation if orientation in range(2, 9) else 1
