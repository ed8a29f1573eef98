"""The images of the data set `shapes`, drawn by NumPy."""

import colorsys

import numpy as np
from tqdm import tqdm

from alexnet_keras.data.arrays import NpzData, digest_of, fixed_permutation

SIZE = 64
CLASS_NAMES = (
    "orange ball",
    "blue ball",
    "triangle pointing up",
    "triangle pointing down",
    "upright stripes",
    "level stripes",
    "red upright cross",
    "red diagonal cross",
    "yellow ring",
    "violet ring",
)
COUNTS = {"train": 8000, "test": 2000}  # images of each split
# Hue of each class in turns of the color circle; None for any hue.
_HUES = (0.07, 0.60, 0.36, 0.36, None, None, 0.98, 0.98, 0.15, 0.79)
_HUE_JITTER = 0.025
_SEED = 2012

_AXIS = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
_Y, _X = np.meshgrid(_AXIS, _AXIS, indexing="ij")
_PIXEL = 2 / SIZE


def shapes_arrays() -> NpzData:
    """Draws all images of the data set `shapes`, in a quarter of a minute.

    Returns:
        An `NpzData`, whose training images are in a fixed order that mixes the classes.
    """
    with tqdm(total=sum(COUNTS.values()), desc="Drawing shapes", unit="image") as bar:
        images = {}
        for split, count in COUNTS.items():
            images[split] = np.empty((count, SIZE, SIZE, 3), "uint8")
            for index in range(count):
                images[split][index], _ = draw_example(split, index)
                bar.update()
    labels = {
        split: (np.arange(count) % len(CLASS_NAMES)).astype("int32")
        for split, count in COUNTS.items()
    }
    order = fixed_permutation(COUNTS["train"])
    return NpzData(
        images["train"][order],
        labels["train"][order],
        images["test"],
        labels["test"],
        CLASS_NAMES,
        digest_of(images["train"], labels["train"], images["test"], labels["test"]),
        splits=("train", "test"),
    )


def draw_example(split: str, index: int) -> tuple[np.ndarray, int]:
    """Draws an image of the data set `shapes`.

    Args:
        split: `"train"` or `"test"`.
        index: number of the image in its split.

    Returns:
        `(image, label)`, with an image as from `draw`.
    """
    label = index % len(CLASS_NAMES)
    return draw(label, (_SEED, list(COUNTS).index(split), index)), label


def draw(label: int, seed: tuple) -> np.ndarray:
    """Draws one image.

    Args:
        label: class, 0-9.
        seed: sequence of whole numbers; the same seed gives the same image.

    Returns:
        uint8 `(64, 64, 3)`.
    """
    image, _ = draw_with_mask(label, seed)
    return image


def draw_with_mask(label: int, seed: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Draws one image, and where its object is.

    Args:
        label, seed: as for `draw`.

    Returns:
        The image, uint8 `(64, 64, 3)`, and whether each pixel belongs to the object, bool
        `(64, 64)`.
    """
    # Unlike numpy.random.Generator's, its stream of numbers never changes.
    random = np.random.RandomState(list(seed))
    image = _background(random)
    for _ in range(random.randint(5, 10)):
        window, distance = _clutter(random)
        _paint(image[window], distance, _color(random.uniform(), random))
    center_y, center_x = random.uniform(-0.38, 0.38, 2)
    radius = random.uniform(0.36, 0.6)
    angle = random.uniform(-0.22, 0.22)
    y = (_Y - center_y) / radius
    x = (_X - center_x) / radius
    y, x = _turn(y, x, angle)
    hue = _HUES[label]
    hue = random.uniform() if hue is None else hue + random.uniform(-_HUE_JITTER, _HUE_JITTER)
    color = _color(hue, random, saturated=True)
    if label in (4, 5):
        along = x if label == 4 else y
        stripes = np.sin(along * random.uniform(7, 11) + random.uniform(0, 6.28)) > 0
        other = _color(hue + random.uniform(0.3, 0.7), random, saturated=True)
        color = np.where(stripes[..., None], color, other)
    distance = _distance(label, y, x) * radius
    _paint(image, distance, _shaded(color, y, x, random))
    image += random.normal(0, 0.02, image.shape)
    return np.round(np.clip(image, 0, 1) * 255).astype("uint8"), distance < 0


def _turn(y, x, angle):
    """Returns coordinates turned by an angle."""
    return np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x


def _distance(label, y, x):
    """Returns the signed distance to an object's outline, in radii; negative inside."""
    if label in (2, 3):
        y = -y if label == 2 else y
        # Three half planes at 120 degrees; the tip lies at y = 1.
        return np.maximum(-y - 0.5, np.abs(x) * 0.866 + y * 0.5 - 0.5)
    if label in (6, 7):
        if label == 7:
            y, x = (y - x) * 0.7071, (y + x) * 0.7071
        y = np.abs(y)
        x = np.abs(x)
        return np.minimum(np.maximum(x - 0.3, y - 1), np.maximum(y - 0.3, x - 1))
    distance = np.hypot(y, x) - 0.9
    return np.abs(distance + 0.18) - 0.18 if label in (8, 9) else distance


def _clutter(random):
    """Returns the window of a small random bar or disc, and the signed distance to it there."""
    center = random.uniform(-1, 1, 2)
    is_disc = random.uniform() < 0.4
    thickness = random.uniform(0.06, 0.2) if is_disc else random.uniform(0.02, 0.07)
    length = random.uniform(0.2, 0.6)
    reach = thickness + _PIXEL if is_disc else length + thickness + _PIXEL
    window = tuple(slice(*np.searchsorted(_AXIS, (c - reach, c + reach))) for c in center)
    y = _Y[window] - center[0]
    x = _X[window] - center[1]
    if is_disc:
        return window, np.hypot(y, x) - thickness
    angle = random.uniform(0, 3.1416)
    across = np.abs(np.cos(angle) * y - np.sin(angle) * x) - thickness
    return window, np.maximum(across, np.abs(np.sin(angle) * y + np.cos(angle) * x) - length)


def _background(random):
    angle = random.uniform(0, 6.2832)
    ramp = (np.cos(angle) * _Y + np.sin(angle) * _X + 1.5) / 3
    colors = [_color(random.uniform(), random) for _ in range(2)]
    image = ramp[..., None] * colors[0] + (1 - ramp[..., None]) * colors[1]
    return image + 0.25 * _texture(random, 9)[..., None]


def _texture(random, cells):
    """Returns smooth noise of `cells` values to a side, with a deviation of about 0.6."""
    position = np.linspace(0, cells - 1, SIZE)
    weights = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells)))
    return weights @ random.normal(0, 1, (cells, cells)) @ weights.T


def _color(hue, random, saturated=False):
    saturation = random.uniform(0.65, 1.0) if saturated else random.uniform(0.1, 0.8)
    value = random.uniform(0.6, 1.0) if saturated else random.uniform(0.25, 0.9)
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _shaded(color, y, x, random):
    """Returns a color under light from one side, on a rough surface."""
    light = random.uniform(0, 6.2832)
    height = np.sqrt(np.maximum(0.05, 1 - 0.7 * (y**2 + x**2)))
    shade = 0.35 * (np.cos(light) * y + np.sin(light) * x) + 0.55 * height + 0.35
    return color * (shade + 0.12 * _texture(random, 17))[..., None]


def _paint(image, distance, color):
    """Paints the pixels inside, `distance < 0`, with an edge of one pixel."""
    cover = np.clip(0.5 - distance / _PIXEL, 0, 1)[..., None]
    image += cover * (color - image)
