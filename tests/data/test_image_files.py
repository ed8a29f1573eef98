import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet_keras.data.augmentation import resize_and_crop
from alexnet_keras.data.decoding import decode_image
from alexnet_keras.data.image_files import find_images, pixels_of, prepared_square, read_image
from tests.data.test_decoding import EXIF_ORIENTATION, KINDS, PIXELS, RGB, encode


@pytest.mark.parametrize("name", KINDS)
def test_reads_what_the_loader_reads(name, tmp_path):
    image, kind, options = KINDS[name]
    content = encode(image, kind, **options)
    file = tmp_path / "image.png"  # the content decides, not the ending
    file.write_bytes(content)
    tolerance = 6 if kind in ("JPEG", "MPO") else 0  # as decoders of JPEG differ
    np.testing.assert_allclose(
        read_image(file).astype(int), decode_image(content).numpy(), atol=tolerance
    )


def test_turns_a_photograph_upright(tmp_path):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6  # row 0 of the stored image is the right side of the scene
    RGB.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), PIXELS[::-1].swapaxes(0, 1))


@pytest.mark.parametrize(
    "shape",
    [(64, 64), (100, 70), (37, 91), (20, 31), (65, 64), (7, 400), (333, 500), (257, 31)],
    ids=str,
)
@pytest.mark.parametrize("size", [16, 31, 64])
def test_scales_to_the_pixels_of_the_loader(shape, size, random):
    image = random.randint(0, 256, (*shape, 3)).astype("uint8")
    np.testing.assert_array_equal(
        prepared_square(image, size), resize_and_crop(image, size).numpy()
    )


def test_scaling_by_hand():
    # The triangle of half of two pixels: a scaled pixel is 1/8, 3/8, 3/8, 1/8 of four stored ones.
    # At the edges the weights that are left, 3/8, 3/8 and 1/8, are divided by their sum.
    row = np.array([0, 70, 140, 210], "uint8")
    image = np.broadcast_to(row[None, :, None], (4, 4, 3))
    first = (3 * 0 + 3 * 70 + 140) / 7
    second = (70 + 3 * 140 + 3 * 210) / 7
    expected = np.broadcast_to(np.array([first, second])[None, :, None], (2, 2, 3))
    np.testing.assert_array_equal(prepared_square(image, 2), expected.round())


def test_finds_images(tmp_path, monkeypatch):
    for name in (
        "b.PNG",
        "a.jpg",
        "sub/deep/c.webp",
        ".hidden/d.png",
        "__MACOSX/e.png",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "[1].png").write_bytes(b"")
    found = [path.removeprefix(f"{tmp_path}/") for path in find_images(tmp_path)]
    assert found == ["[1].png", "a.jpg", "b.PNG", "sub/deep/c.webp"]
    assert find_images(tmp_path / "*.jpg") == [str(tmp_path / "a.jpg")]
    assert find_images(f"{tmp_path}/**/c.*") == [str(tmp_path / "sub/deep/c.webp")]
    assert find_images(tmp_path / "[1].png") == [
        str(tmp_path / "[1].png")
    ]  # a file before a pattern
    assert find_images(tmp_path / "notes.txt") == [str(tmp_path / "notes.txt")]  # asked for by name
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_images("~/a.jpg") == [str(tmp_path / "a.jpg")]
    monkeypatch.chdir(tmp_path)
    Path("~nobody.jpg").write_bytes(b"")
    assert find_images("~nobody.jpg") == ["~nobody.jpg"]
    Path("broken.jpg").symlink_to("nowhere.jpg")
    assert find_images("broken.jpg") == ["broken.jpg"]  # reading it says why it has no pixels
    with pytest.raises(ValueError, match="which is empty; . is the current folder"):
        find_images("")
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("empty", "a folder without images .files that end in .jpg, "),
        ("*.gif", "a pattern that no image matches"),
        ("none.jpg", "which does not exist .from "),
    ):
        with pytest.raises(
            ValueError, match=f"`images` must be image files, folders.* Received: '.*', {words}"
        ):
            find_images(tmp_path / name)


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "photos" / "closed").mkdir(parents=True)
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    listed = os.scandir
    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(PermissionError, match="Permission denied: .*closed"):
        find_images(tmp_path / "photos")


def test_what_is_left_out_of_a_folder_is_counted(tmp_path, capsys):
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    (tmp_path / "more").mkdir()
    for name in ("a.jpg", "b.TIFF", "sub/c.tiff", "sub/README", ".d.heic"):
        (tmp_path / "photos" / name).write_bytes(b"")
    assert find_images(tmp_path / "photos") == [str(tmp_path / "photos" / "a.jpg")]
    assert capsys.readouterr().err == (
        f"Left out in {tmp_path / 'photos'}: files without an ending of images: 3 "
        "(.tiff 2, no ending 1)\n"
    )
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "more")
    find_images(tmp_path / "photos")
    assert "linked folders: 1" in capsys.readouterr().err
    find_images(tmp_path / "photos" / "*.jpg")
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("value", "expected"), [(200, 200), (200 * 256, 200)])
def test_arrays_of_whole_numbers_have_8_or_16_bits(value, expected):
    image = Image.fromarray(np.full((4, 6), value, "int32"))
    assert image.mode == "I"
    np.testing.assert_array_equal(pixels_of(image), np.full((4, 6, 3), expected, "uint8"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[-5, 200]], "int32"), "values from -5 to 200, not 0-65535"),
        (np.array([[0, 70000]], "int32"), "values from 0 to 70000, not 0-65535"),
        (np.array([[0, 0.5]], "float32"), "fractions from 0 to 0.5, not 0-255"),
    ],
)
def test_numbers_that_do_not_become_8_bits_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        pixels_of(Image.fromarray(values))


def test_floating_point_images_have_values_to_255():
    image = Image.fromarray(np.array([[0.0, 200.0]], "float32"))
    assert image.mode == "F"
    np.testing.assert_array_equal(pixels_of(image), [[[0, 0, 0], [200, 200, 200]]])


def test_the_largest_16_bits_are_white():
    image = Image.fromarray(np.array([[0, 2**16 - 1]], "int32"))
    np.testing.assert_array_equal(pixels_of(image), [[[0, 0, 0], [255, 255, 255]]])


def test_an_image_without_pixels_is_refused():
    with pytest.raises(ValueError, match="empty: 0x10 pixels"):
        pixels_of(Image.new("RGB", (0, 10)))


def test_reasons_are_one_line(tmp_path):
    contents = {
        "page.jpg": (b"<!DOCTYPE html>", "not a JPEG, PNG, BMP, GIF or WebP image"),
        "empty.jpg": (b"", "empty"),
        "animated.png": (
            encode(RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)]),
            "animated",
        ),
        "cut.png": (encode(RGB, "PNG")[:-100], "broken|truncated|not a JPEG"),
        "cut.jpg": (encode(RGB, "JPEG")[:-100], "truncated"),
    }
    for name, (content, words) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=words) as error:
            read_image(tmp_path / name)
        assert "\n" not in str(error.value) and str(tmp_path) not in str(error.value)
    with pytest.raises(ValueError, match="not a file"):
        read_image(tmp_path)
