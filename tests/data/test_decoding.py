import errno
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet_keras.data.augmentation import resize_and_crop
from alexnet_keras.data.decoding import corrupt_files, decode_image
from alexnet_keras.data.image_files import read_image

ROWS, COLUMNS = np.mgrid[:24, :40]
PIXELS = np.stack([COLUMNS * 6, ROWS * 10, (ROWS + COLUMNS) * 4], -1).astype("uint8")
RGB = Image.fromarray(PIXELS)
ALPHA = Image.fromarray((COLUMNS * 6).astype("uint8"))
EXIF_ORIENTATION = 0x112


def transparent():
    image = RGB.copy()
    image.putalpha(ALPHA)
    return image


def palette(colors=256):
    return RGB.convert("P", palette=Image.Palette.ADAPTIVE, colors=colors)


# Format and mode, and whether the format loses something.
KINDS = {
    "jpg": (RGB, "JPEG", {"quality": 95}),
    "progressive.jpg": (RGB, "JPEG", {"progressive": True}),
    "rgb.jpg": (RGB, "JPEG", {"keep_rgb": True}),
    "gray.jpg": (RGB.convert("L"), "JPEG", {}),
    "cmyk.jpg": (RGB.convert("CMYK"), "JPEG", {"quality": 95}),
    "png": (RGB, "PNG", {}),
    "gray.png": (RGB.convert("L"), "PNG", {}),
    "bilevel.png": (RGB.convert("1"), "PNG", {}),
    "palette.png": (palette(), "PNG", {}),
    "16colors.png": (palette(16), "PNG", {}),
    "transparent.png": (transparent(), "PNG", {}),
    "gray_alpha.png": (transparent().convert("LA"), "PNG", {}),
    "palette_transparent.png": (palette(), "PNG", {"transparency": 0}),
    "bmp": (RGB, "BMP", {}),
    "gray.bmp": (RGB.convert("L"), "BMP", {}),
    "bilevel.bmp": (RGB.convert("1"), "BMP", {}),
    "palette.bmp": (palette(), "BMP", {}),
    "transparent.bmp": (transparent(), "BMP", {}),
    "gif": (RGB, "GIF", {}),
    "gray.gif": (RGB.convert("L"), "GIF", {}),
    "transparent.gif": (palette(), "GIF", {"transparency": 0}),
    "webp": (RGB, "WEBP", {}),
    "lossless.webp": (RGB, "WEBP", {"lossless": True}),
    "transparent.webp": (transparent(), "WEBP", {}),
    "mpo.jpg": (RGB, "MPO", {"save_all": True, "append_images": [RGB.rotate(180)]}),
}


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_pillows_colors(name, tmp_path):
    image, kind, options = KINDS[name]
    encoded = encode(image, kind, **options)
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)
    # Decoders of JPEG round, and scale up its colors, in their own ways.
    tolerance = 6 if kind in ("JPEG", "MPO") else 0
    for content in (encoded, tf.constant(encoded)):
        np.testing.assert_allclose(decode_image(content).numpy(), expected, atol=tolerance)
    file = tmp_path / "image.jpg"  # the content decides, not the ending
    file.write_bytes(encoded)
    assert corrupt_files([str(file)], [tmp_path], "", None) == {}


def test_of_16_bits_the_upper_8_are_kept():
    values = (np.arange(24 * 40).reshape(24, 40) * 68).astype("uint16")
    expected = np.repeat((values // 256)[..., None], 3, -1)
    image = Image.fromarray(values)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 3
    np.testing.assert_array_equal(decode_image(encode(image, "PNG")), expected)
    turned = decode_image(encode(image, "PNG", exif=exif))
    np.testing.assert_array_equal(turned, expected[::-1, ::-1])


def test_a_bmp_of_another_program_has_its_colors():
    # 2x2 pixels of 16 bits, 5 a color, from the bottom to the top; and of 4 bits with a palette.
    five = np.array([[31 << 10, 31 << 5], [31, 0]], "<u2").tobytes()
    header = b"BM" + np.array([54 + 8, 0, 54, 40, 2, 2], "<u4").tobytes()
    header += np.array([1, 16], "<u2").tobytes() + np.array([0, 8, 0, 0, 0, 0], "<u4").tobytes()
    expected = [[[0, 0, 255], [0, 0, 0]], [[255, 0, 0], [0, 255, 0]]]
    np.testing.assert_array_equal(decode_image(header + five), expected)
    header = b"BM" + np.array([54 + 12 + 8, 0, 66, 40, 2, 2], "<u4").tobytes()
    header += np.array([1, 4], "<u2").tobytes() + np.array([0, 8, 0, 0, 3, 0], "<u4").tobytes()
    colors = bytes([0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0])  # red, green, blue as BGR
    rows = bytes([0x01, 0, 0, 0, 0x22, 0, 0, 0])
    expected = [[[0, 0, 255], [0, 0, 255]], [[255, 0, 0], [0, 255, 0]]]
    np.testing.assert_array_equal(decode_image(header + colors + rows), expected)


# The upright image as a NumPy expression of the stored pixels (EXIF 2.32, tag 274, which says where
# row 0 and column 0 are seen).
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photographs_are_decoded_upright(orientation, endian):
    exif = Image.Exif()
    exif.endian = endian
    exif[0x10F] = "Maker of the camera"
    exif[EXIF_ORIENTATION] = orientation
    for kind in ("JPEG", "PNG", "WEBP"):
        image = decode_image(encode(RGB, kind, exif=exif, quality=95, lossless=True)).numpy()
        expected = UPRIGHT[orientation](PIXELS).astype(int)
        np.testing.assert_allclose(image, expected, atol=12 if kind == "JPEG" else 0)


def test_an_orientation_in_xmp_is_applied(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"></x:xmpmeta>'
    file = tmp_path / "xmp.jpg"
    file.write_bytes(encode(RGB, "JPEG", xmp=xmp, quality=95))
    assert not corrupt_files([str(file)], [tmp_path], "", None)
    image = decode_image(file.read_bytes()).numpy()
    np.testing.assert_array_equal(image, read_image(file))  # as for predictions
    np.testing.assert_allclose(image.astype(int), UPRIGHT[6](PIXELS).astype(int), atol=12)


def test_an_orientation_that_would_be_missed_is_reported(tmp_path):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    png = encode(RGB, "PNG", exif=exif)
    before = b"tEXtComment\0" + bytes(5000)
    chunk = (len(before) - 4).to_bytes(4, "big") + before + zlib.crc32(before).to_bytes(4, "big")
    file = tmp_path / "late.png"
    file.write_bytes(png[:33] + chunk + png[33:])  # 8 bytes of signature, 25 of header
    (reason,) = corrupt_files([str(file)], [tmp_path], "", None).values()
    assert reason == "an orientation after the first 4096 bytes; save it upright"


def test_reasons_are_plain(tmp_path):
    still = RGB.rotate(180)
    files = {
        "animated.webp": (encode(RGB, "WEBP", save_all=True, append_images=[still]), "animated"),
        "animated.png": (encode(RGB, "PNG", save_all=True, append_images=[still]), "animated"),
        "empty.jpg": (b"", "empty"),
        "tiff.jpg": (encode(RGB, "TIFF"), "not a JPEG, PNG, BMP, GIF or WebP image"),
        "page.jpg": (b"<!DOCTYPE html>", "not a JPEG, PNG, BMP, GIF or WebP image"),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    for name, kind in (
        ("cut.jpg", "JPEG"),
        ("cut.png", "PNG"),
        ("cut.bmp", "BMP"),
        ("cut.webp", "WEBP"),
    ):
        (tmp_path / name).write_bytes(encode(RGB, kind)[:-100])
    names = [path.name for path in tmp_path.iterdir()]
    reasons = corrupt_files([str(tmp_path / name) for name in names], [tmp_path], "", None)
    assert len(reasons) == len(names) == 9
    for name, (_, reason) in files.items():
        assert reasons[str(tmp_path / name)] == reason
    for reason in reasons.values():
        assert "{{" not in reason and "\n" not in reason and str(tmp_path) not in reason


def test_a_file_that_cannot_be_read_now_is_not_remembered_as_corrupt(tmp_path, monkeypatch):
    file = tmp_path / "image.png"
    file.write_bytes(encode(RGB, "PNG"))
    cache = tmp_path / "cache"

    def refuse(path):
        raise OSError(errno.EIO, "Input/output error")

    with (
        monkeypatch.context() as context,
        pytest.raises(OSError, match=r"image\.png can't be read"),
    ):
        context.setattr(Path, "read_bytes", refuse)
        corrupt_files([str(file)], {tmp_path}, "key", cache)
    assert not list(cache.glob("unusable-*"))
    assert corrupt_files([str(file)], {tmp_path}, "key", cache) == {}


def test_all_kinds_are_read_by_a_pipeline(tmp_path):
    paths = []
    expected = []
    for name, (image, kind, options) in KINDS.items():
        paths.append(str(tmp_path / name))
        encoded = encode(image, kind, **options)
        (tmp_path / name).write_bytes(encoded)
        expected.append(np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))[:, 8:32])
    data = tf.data.Dataset.from_tensor_slices(paths)
    data = data.map(lambda path: resize_and_crop(decode_image(tf.io.read_file(path)), 24), 2)
    images = np.stack(list(data.as_numpy_iterator())).astype(int)
    np.testing.assert_allclose(images, expected, atol=6)
