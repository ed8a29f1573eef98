import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet_keras.data.augmentation import (
    cast_and_subtract_mean,
    crop_and_flip,
    crop_and_flip_one,
    crop_at_scale,
    resize_and_crop,
)
from alexnet_keras.data.pca_noise import color_shift, noise_divisor, subtract_mean


@pytest.fixture
def covariance(random):
    pixels = random.normal(0, 50, (1000, 3)) @ random.normal(size=(3, 3))
    return np.cov(pixels.T)


@pytest.mark.parametrize("convention", ["eigenvalue", "standard_deviation"])
def test_color_shift_is_the_definition(convention, covariance, random):
    alpha = random.normal(0, 0.1, (5, 3)).astype("float32")
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    expected = np.zeros((5, 3))
    for image in range(5):
        for i in range(3):
            size = eigenvalues[i] if convention == "eigenvalue" else np.sqrt(eigenvalues[i])
            expected[image] += eigenvectors[:, i] * alpha[image, i] * size
    np.testing.assert_allclose(
        color_shift(alpha, covariance, convention), expected, rtol=1e-4, atol=1e-4
    )


def test_color_shifts_have_the_covariance_of_the_data(covariance, random):
    # Shifts by the standard deviations, with a deviation of 0.1, have a hundredth of the pixels'
    # covariance.
    alpha = random.normal(0, 0.1, (200_000, 3)).astype("float32")
    shifts = color_shift(alpha, covariance, "standard_deviation")
    np.testing.assert_allclose(
        np.cov(shifts.T), covariance / 100, atol=0.02 * covariance.max() / 100
    )


def test_noise_is_one_color_an_image(covariance, random):
    images = random.randint(0, 256, (2, 4, 4, 3)).astype("uint8")
    mean = random.uniform(0, 255, (4, 4, 3)).astype("float32")
    alpha = random.normal(0, 0.1, (2, 3)).astype("float32")
    for convention, divisor in (("none", 1.0), ("eigenvalue", 1.0), ("standard_deviation", 1.1)):
        assert noise_divisor(convention) == divisor
        shift = color_shift(alpha, covariance, convention)
        expected = (images - mean.astype("float64") + shift[:, None, None]) / divisor
        seen = cast_and_subtract_mean(images, mean, shift, noise_divisor(convention))
        np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-4)
        seen = subtract_mean(
            images.astype("float32"), mean, shift, np.full((2, 1, 1, 1), divisor, "float32")
        )
        np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("flip", [0.1, 0.9])
@pytest.mark.parametrize(("side", "size"), [(72, 64), (48, 32), (384, 224), (61, 60)])
def test_crops_at_the_edges_hold_only_pixels(side, size, flip):
    images = np.full((1, side, side, 1), 7, "uint8")
    sevens = np.full((1, size, size, 1), 7.0)
    for place in (0.0, 0.5, 1 - 1e-6):
        uniform = tf.constant([[place, place, flip]])
        np.testing.assert_array_equal(crop_and_flip(images, uniform, size), sevens)
        scales = range(size, 2 * side)
        sides = (np.arange(len(scales)) + 0.5) / len(scales)  # draws each scale once
        sides = sides[:: max(1, len(scales) // 64)]
        for some in np.array_split(sides, -(-len(scales) // 64)):
            uniform = tf.constant([[place, place, flip, drawn] for drawn in some], tf.float32)
            crops = crop_at_scale(
                np.repeat(images, len(some), 0), uniform, size, (scales[0], scales[-1])
            )
            np.testing.assert_allclose(crops, np.repeat(sevens, len(some), 0), rtol=1e-5)


@pytest.mark.parametrize(("place", "top"), [(0.0, 0), (0.5, 16), (0.999, 32)])
@pytest.mark.parametrize("flip", [0.1, 0.9])
def test_crop_and_flip(place, top, flip, random):
    images = random.randint(0, 256, (2, 256, 256, 3)).astype("uint8")
    uniform = tf.constant([[place, 1 - 1e-6 - place, flip], [0.0, 0.0, 0.9]])
    crops = crop_and_flip(images, uniform, 224).numpy()
    left = 32 - top
    expected = images[0, top : top + 224, left : left + 224]
    np.testing.assert_array_equal(crops[0], expected[:, ::-1] if flip < 0.5 else expected)
    np.testing.assert_array_equal(crops[1], images[1, :224, :224])


@pytest.mark.parametrize(("size", "crop"), [(256, 224), (32, 28), (29, 28), (28, 28), (99, 9)])
def test_crops_are_the_pixels_at_every_offset(size, crop, random):
    images = random.randint(0, 256, (size - crop + 1, size, size, 3)).astype("uint8")
    offsets = np.arange(len(images))
    uniform = np.stack(
        [(offsets + 0.5) / len(images), (offsets[::-1] + 0.5) / len(images), offsets % 2], 1
    )
    crops = crop_and_flip(images, uniform.astype("float32"), crop).numpy()
    for top, left, image, out in zip(offsets, offsets[::-1], images, crops, strict=True):
        expected = image[top : top + crop, left : left + crop]
        np.testing.assert_array_equal(out, expected if top % 2 else expected[:, ::-1])
    for image, numbers, out in zip(images, uniform.astype("float32"), crops, strict=True):
        one = crop_and_flip_one(tf.constant(image), numbers, crop)
        assert one.dtype == "uint8"
        np.testing.assert_array_equal(one, out)


def test_all_offsets_from_0_to_32_are_equally_likely(random):
    images = np.broadcast_to(np.arange(256, dtype="uint8")[:, None, None], (150, 256, 256, 3))
    uniform = random.uniform(size=(11, 150, 3)).astype("float32")
    offsets = [crop_and_flip(images, part, 224)[:, 0, 0, 0].numpy() for part in uniform]
    counts = np.bincount(np.concatenate(offsets).astype(int), minlength=33)
    assert len(counts) == 33
    assert counts.min() > 20  # 50 expected of each


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (256, 256), (100, 80), (256, 700)])
def test_shorter_side_and_center(shape):
    # A picture that is brighter from left to right, and greener from top to bottom.
    height, width = shape
    y, x = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    image = np.stack([x, y, np.zeros_like(x)], -1).astype("uint8")
    out = resize_and_crop(tf.constant(image), 256).numpy()
    assert out.shape == (256, 256, 3)
    for channel, length, other in ((0, width, height), (1, height, width)):
        seen = out[..., channel].astype("float64")
        share = min(1.0, other / length)  # of this direction that the center square shows
        assert abs(seen.mean() - 127.5) < 3
        assert abs((seen.max() - seen.min()) / 255 - share) < 0.03


@pytest.mark.parametrize(
    ("shape", "size"), [((60, 81), 32), ((50, 33), 48), ((9, 7), 16), ((5, 90), 32)]
)
def test_the_center_square_is_cut_out_of_the_scaled_image(shape, size, random):
    image = random.randint(0, 256, (*shape, 3)).astype("uint8")
    height, width = (round(side * size / min(shape)) for side in shape)
    top, left = (height - size) // 2, (width - size) // 2
    scaled = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    expected = scaled[top : top + size, left : left + size]
    np.testing.assert_allclose(resize_and_crop(image, size).numpy().astype(int), expected, atol=1)


@pytest.mark.parametrize("length", [8000, 2_000_000])
def test_a_thin_image_takes_no_more_memory_than_its_center(length):
    image = np.zeros((1, length, 3), "uint8")
    image[0, length // 2] = 200  # pixel 0.5 to the right of the middle
    row = resize_and_crop(image, 256)[0, :, 0].numpy()
    # Scaled 256 times, the pixel's middle is 128 to the right of the square's middle, 127.5.
    expected = 200 * np.maximum(1 - np.abs(np.arange(256) - 255.5) / 256, 0)
    np.testing.assert_allclose(row, expected, atol=1)


def test_at_the_images_own_scale_crops_are_plain_ones(random):
    images = random.randint(0, 256, (50, 32, 32, 3)).astype("uint8")
    uniform = random.uniform(0, 1, (50, 4)).astype("float32")
    at_scale = crop_at_scale(images, uniform, 28, (32, 32)).numpy()
    np.testing.assert_allclose(at_scale, crop_and_flip(images, uniform[:, :3], 28), atol=0.03)


def test_crops_of_smaller_images_reach_further():
    # The values of an image are its 64 columns. At a side of 32, pixel c is the mean of 2c and
    # 2c + 1.
    images = np.tile(np.arange(64, dtype="uint8")[None, None, :, None], (5, 64, 1, 3))
    # Of 32 - 28 + 1 places the third, plain and mirrored; the first and the last; one at a side of
    # 64.
    uniform = np.array(
        [
            [0, 0.5, 0.9, 0],
            [0, 0.5, 0.1, 0],
            [0, 0, 0.9, 0],
            [0, 0.99, 0.9, 0],
            [0, 0.5, 0.9, 0.999],
        ]
    )
    crops = crop_at_scale(images, uniform.astype("float32"), 28, (32, 64)).numpy()
    columns = 2 * np.arange(28) + 0.5
    for crop, expected in zip(
        crops, (columns + 4, columns[::-1] + 4, columns, columns + 8), strict=False
    ):
        np.testing.assert_allclose(crop[:, :, 1], np.tile(expected, (28, 1)), atol=0.01)
    np.testing.assert_allclose(
        crops[4, 3, :, 0], np.arange(28) + 18, atol=0.01
    )  # the 18th of 37 places


def test_all_sides_are_equally_likely(random):
    images = np.tile(np.arange(64, dtype="uint8")[None, None, :, None], (3000, 64, 1, 3))
    uniform = random.uniform(0, 1, (3000, 4)).astype("float32")
    uniform[:, 2] = 0.9
    crops = crop_at_scale(images, uniform, 28, (32, 34)).numpy()
    sides = np.round(64 / (crops[:, 0, 1, 0] - crops[:, 0, 0, 0])).astype(int)
    assert np.abs(np.bincount(sides)[32:] - 1000).max() < 110  # four standard deviations
    assert set(sides) == {32, 33, 34}
