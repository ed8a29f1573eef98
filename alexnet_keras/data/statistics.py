"""The mean image and the color covariance of a training set."""

import collections
import concurrent.futures
import os
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from alexnet_keras.files import check_writable

_MOVE = (
    "Set the environment variable ALEXNET_KERAS_CACHE to a folder with space that can be written"
)


def default_cache_dir():
    """Folder for what is computed once a data set: `ALEXNET_KERAS_CACHE`, or `~/.cache/alexnet_keras`."""
    return Path(os.environ.get("ALEXNET_KERAS_CACHE", "~/.cache/alexnet_keras")).expanduser()


def check_cache(cache_dir):
    """Raises an `OSError`, which says how to move the cache, for a folder of the cache that can't be written."""
    try:
        check_writable(Path(cache_dir), "cache_dir")
    except ValueError as error:
        raise OSError(f"{error}. {_MOVE}") from error


def training_statistics(images, count, key, cache_dir, *, read_anyway=False):
    """Mean image and covariance of the RGB values of all pixels, in one streaming pass, computed once a data set.

    Args:
        images: uint8 batches `(batch, height, width, 3)`, the whole training set once.
        count: number of images, for the progress bar.
        key: what the statistics depend on; those cached under another key are never used.
        cache_dir: folder of the cache, or `None` for none.
        read_anyway: go through the images also when the cache has their statistics, so that they are in memory.

    Returns:
        `(mean image, covariance)`: float32 `(height, width, 3)` in pixel values 0-255, and float64 `(3, 3)` in their
        square.

    Raises:
        OSError: when the folder of the cache can't be written.

    Reference: sections 2 and 4.1 of Krizhevsky et al. (2012).
    """
    path = Path(cache_dir) / f"statistics-{key}.npz" if cache_dir else None
    result = _read(path, key)
    if result is None:
        if path:
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
    total, products, seen = 0, np.zeros((3, 3)), 0
    with tqdm(total=count, desc="Mean image and color covariance", unit="image") as bar:
        for size, sums, squares in _on_all_cores(_sums, images):
            total, products, seen = total + sums, products + squares, seen + size
            bar.update(size)
    mean_image = total / seen
    mean = mean_image.mean((0, 1)) - 128.0
    covariance = products / (seen * mean_image.shape[0] * mean_image.shape[1]) - np.outer(
        mean, mean
    )
    return mean_image.astype("float32"), covariance


def _sums(batch):
    """Number, sum, and sum of the products of the colors less 128, of the images of a batch."""
    batch, squares = np.asarray(batch), np.zeros((3, 3))
    for part in np.array_split(batch, -(-len(batch) // 16)):  # few enough for a core's cache
        # Sums of centered squares of one image are exact enough in float32; across images they need float64.
        pixels = part.reshape(len(part), -1, 3).astype("float32") - 128
        squares += (pixels.transpose(0, 2, 1) @ pixels).sum(0, dtype="float64")
    return len(batch), batch.sum(0, dtype="uint64"), squares


def _on_all_cores(function, batches):
    """What `map` gives, by threads; of the batches no more are held than there are threads."""
    cores, waiting = min(os.cpu_count(), 16), collections.deque()
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        for batch in batches:
            waiting.append(pool.submit(function, batch))
            if len(waiting) >= cores:
                yield waiting.popleft().result()
        for result in waiting:
            yield result.result()


def _write(path, key, mean_image, covariance):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")
    try:
        np.savez(partial, key=key, mean_image=mean_image, covariance=covariance)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(f"{path} can't be written: {error}. {_MOVE}") from error


def _read(path, key):
    if path is None or not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) == key:
                return file["mean_image"], file["covariance"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        pass  # a damaged cache is computed anew
    return None
