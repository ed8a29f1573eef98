"""Draws the pictures of the page "AlexNet in the browser".

    python docs/playground/sample_pictures.py

writes the six samples that the page offers. The test of the page and `make_network.py` draw ten
more images, which are hard to prepare: turned, gray, transparent, very narrow or very wide. The
test also draws rare images, and images that the page refuses.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = {  # class of the data set `shapes`, and its seed
    "orange_ball": (0, 3),
    "triangle": (2, 4),
    "level_stripes": (5, 1),
    "red_cross": (7, 7),
    "yellow_ring": (8, 0),
    "violet_ring": (9, 5),
}
_ORIENTATION = 0x0112  # tag of EXIF
# First row and column, and steps, of the seven passes of an interlaced PNG.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
_PASSES += ((1, 0, 2, 1),)


def write_samples(folder: Path) -> None:
    """Writes the samples, PNG files of 64x64 pixels."""
    from alexnet_keras.data.drawing import draw

    folder.mkdir(exist_ok=True)
    for name, (label, seed) in SAMPLES.items():
        Image.fromarray(draw(label, (2025, seed))).save(folder / f"{name}.png", optimize=True)


def write_check_images(folder: Path) -> list[Path]:
    """Writes the ten images whose probabilities the test compares.

    Args:
        folder: folder to make.

    Returns:
        The paths of the images.
    """
    folder.mkdir()
    gray = _picture(90, 70)[..., 0]
    Image.fromarray(_picture(50, 400)).save(folder / "panorama.png")
    Image.fromarray(_picture(240, 90)).save(folder / "portrait.png")
    Image.fromarray(_picture(200, 1)).save(folder / "one_pixel_wide.png")
    Image.fromarray(_picture(23, 17)).save(folder / "smaller.png")
    Image.fromarray(_picture(64, 64)).save(folder / "same_size.png")
    Image.fromarray(gray).save(folder / "gray.png")
    Image.fromarray(gray.astype("uint16") * 256 + 77).save(folder / "gray_16_bits.png")
    _transparent(Image.fromarray(_picture(120, 100))).save(folder / "transparent.png")
    colors = Image.fromarray(_picture(80, 100)).quantize(32)
    colors.save(folder / "palette.png", transparency=3)
    _save_turned(Image.fromarray(_picture(90, 160)), 6, folder / "turned.jpg")
    return sorted(folder.iterdir())


def write_rare_images(folder: Path) -> list[Path]:
    """Writes files of rarer kinds, and a picture with more pixels than a canvas of iOS may have.

    Args:
        folder: folder to make.

    Returns:
        The paths of the images.
    """
    folder.mkdir()
    picture = Image.fromarray(_picture(75, 95))
    picture.convert("1").save(folder / "one_bit.png")
    picture.quantize(4).save(folder / "two_bits.png", bits=2)
    picture.quantize(16).save(folder / "four_bits.png", bits=4)
    _transparent(picture.convert("L")).save(folder / "gray_transparent.png")
    for orientation in range(2, 9):
        _save_turned(picture, orientation, folder / f"turned_{orientation}.png")
    (folder / "interlaced.png").write_bytes(_interlaced(_picture(83, 71)))
    picture.save(folder / "opaque.gif", comment="a block before the picture")
    picture.save(folder / "opaque.webp", lossless=True)
    picture.convert("L").resize((4200, 4000)).save(folder / "large.bmp")
    return sorted(folder.iterdir())


def write_refused_images(folder: Path) -> list[Path]:
    """Writes animations, and transparent files whose colors a browser does not keep.

    Args:
        folder: folder to make.

    Returns:
        The paths of the images.
    """
    folder.mkdir()
    first = Image.fromarray(_picture(60, 50))
    second = first.rotate(180)
    for suffix in ("gif", "png", "webp"):
        first.save(folder / f"animated.{suffix}", save_all=True, append_images=[second])
    first.quantize(32).save(folder / "transparent.gif", transparency=3)
    _transparent(first).save(folder / "transparent.webp", lossless=True, exact=True)
    return sorted(folder.iterdir())


def _picture(height, width):
    """Returns a picture of waves and noise, uint8 `(height, width, 3)`."""
    random = np.random.RandomState(height * 1000 + width)
    y, x = np.mgrid[:height, :width] / max(height, width)
    phase = random.uniform(0, 6.28, 3)
    waves = np.sin(
        y[..., None] * random.uniform(4, 25, 3) + x[..., None] * random.uniform(4, 25, 3) + phase
    )
    image = 128 + 90 * waves + random.normal(0, 12, waves.shape)
    return np.round(image.clip(0, 255)).astype("uint8")


def _transparent(image):
    """Returns an image whose left half is fully transparent, with its colors kept."""
    alpha = np.full((image.height, image.width), 200, "uint8")
    alpha[:, : image.width // 2] = 0
    image = image.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


def _save_turned(image, orientation, path):
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    options = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}
    image.save(path, exif=exif, **options)


def _interlaced(pixels):
    """Returns an interlaced PNG file, which Pillow reads but does not write."""
    height, width, _ = pixels.shape
    rows = b""
    for top, left, down, across in _PASSES:
        for row in pixels[top::down, left::across]:
            if row.size:
                rows += b"\0" + row.tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + checksum
    return content


if __name__ == "__main__":
    write_samples(Path(__file__).parent / "samples")
