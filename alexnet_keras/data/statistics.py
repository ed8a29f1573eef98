"""The mean image and the color covariance of a training set."""

import collections
import concurrent.futures
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from alexnet_keras.files import check_writable, expand_home, read_npz, replacing

_MOVE = (
    "Set the environment variable ALEXNET_KERAS_CACHE to a folder with space that can be written"
)


def default_cache_dir() -> Path:
    """Returns the folder in `ALEXNET_KERAS_CACHE`, or `~/.cache/alexnet_keras`."""
    return expand_home(os.environ.get("ALEXNET_KERAS_CACHE") or "~/.cache/alexnet_keras")


def check_cache(cache_dir: str | os.PathLike) -> None:
    """Raises an `OSError`, which says how to move the cache, for a folder that can't be written."""
    try:
        check_writable(Path(cache_dir), "cache_dir")
    except ValueError as error:
        raise OSError(f"{error}. {_MOVE}") from error


def training_statistics(
    images: Iterable,
    count: int,
    key: str,
    cache_dir: str | os.PathLike | None,
    *,
    read_anyway: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean image and the covariance of the RGB values of all pixels.

    They are computed once for each data set, in one streaming pass.

    Args:
        images: uint8 batches `(batch, height, width, 3)`, the whole training set once.
        count: number of images, for the progress bar.
        key: digest of the images. Statistics that are cached under another key are never used.
        cache_dir: folder of the cache; `None` for no cache.
        read_anyway: whether to read the images into memory even if their statistics are cached.

    Returns:
        `(mean image, covariance)`: float32 `(height, width, 3)` in pixel values 0-255, and float64
        `(3, 3)`.

    Raises:
        OSError: if the folder of the cache can't be written.

    Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
    """
    path = Path(cache_dir) / f"statistics-{key}.npz" if cache_dir else None
    result = _read(path, key)
    if result is None:
        if cache_dir:
            check_cache(cache_dir)
        result = _compute(images, count)
        if path:
            _write(path, key, *result)
    elif read_anyway:
        with tqdm(total=count, desc="Reading images into memory", unit="image") as bar:
            for batch in images:
                bar.update(len(batch))
    return result


def _compute(images, count):
    total = np.zeros(())
    products = np.zeros((3, 3))
    seen = 0
    with tqdm(total=count, desc="Mean image and color covariance", unit="image") as bar:
        for size, sums, squares in _on_all_cores(_sums, images):
            total = total + sums
            products += squares
            seen += size
            bar.update(size)
    mean_image = total / seen
    mean = mean_image.mean((0, 1)) - 128.0
    pixels = seen * mean_image.shape[0] * mean_image.shape[1]
    covariance = products / pixels - np.outer(mean, mean)
    return mean_image.astype("float32"), covariance


def _sums(batch):
    """Returns the number of images of a batch, their sum, and the products of `colors - 128`."""
    batch = np.asarray(batch)
    squares = np.zeros((3, 3))
    for part in np.array_split(batch, -(-len(batch) // 16)):  # few enough for a core's cache
        # Sums of centered squares are exact enough in float32 for one image, not across images.
        pixels = part.reshape(len(part), -1, 3).astype("float32") - 128
        squares += (pixels.transpose(0, 2, 1) @ pixels).sum(0, dtype="float64")
    return len(batch), batch.sum(0, dtype="uint64"), squares


def _on_all_cores(function, batches):
    """Yields the results of `map`, computed in threads that hold one batch each."""
    cores = min(os.cpu_count() or 1, 16)
    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        for batch in batches:
            waiting.append(pool.submit(function, batch))
            if len(waiting) >= cores:
                yield waiting.popleft().result()
        for result in waiting:
            yield result.result()


def _write(path, key, mean_image, covariance):
    try:
        with replacing(path) as partial:
            np.savez(partial, key=key, mean_image=mean_image, covariance=covariance)
    except OSError as error:
        raise OSError(f"{path} can't be written: {error}. {_MOVE}") from error


def _read(path, key):
    if path is None or not path.exists():
        return None
    try:
        stored_key, mean_image, covariance = read_npz(path, "key", "mean_image", "covariance")
    except ValueError:
        return None  # a damaged cache is computed anew
    return (mean_image, covariance) if str(stored_key) == key else None
