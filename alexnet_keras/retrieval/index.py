"""Exact nearest neighbors with faiss: vectors by Euclidean, codes by Hamming distance."""

import json
import os
from collections.abc import Iterable, Mapping

import numpy as np

from alexnet_keras.checks import check_whole_number
from alexnet_keras.extras import extra
from alexnet_keras.files import check_suffix, expand_home, read_npz, replacing

with extra("searching for neighbors"):
    import faiss


def nearest(
    queries: np.ndarray, chunks: Iterable[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the vectors at the smallest Euclidean distance from each query.

    Args:
        queries: `(queries, numbers)`.
        chunks: arrays `(vectors, numbers)`; one at a time is in memory.
        count: neighbors of each query.

    Returns:
        `(distances, numbers)`, float32 and int64 `(queries, count)`, the nearest first. A vector's
        number is its index in all chunks together.

    Raises:
        ValueError: for no neighbors, fewer vectors than neighbors, or vectors of another length
            than the queries.
    """
    check_whole_number("count", count)
    queries = np.ascontiguousarray(np.asarray(queries).reshape(len(queries), -1), "float32")
    distances = np.empty((len(queries), 0), "float32")
    numbers = np.empty((len(queries), 0), "int64")
    first = 0
    for chunk in chunks:
        chunk = np.ascontiguousarray(np.asarray(chunk).reshape(len(chunk), -1), "float32")
        if chunk.shape[1] != queries.shape[1]:
            raise ValueError(
                f"`queries` must have the {chunk.shape[1]} numbers of the vectors. Received: "
                f"{queries.shape[1]}"
            )
        index = faiss.IndexFlatL2(chunk.shape[1])
        index.add(chunk)
        found = index.search(queries, min(count, len(chunk)))
        distances = np.concatenate([distances, found[0]], 1)
        numbers = np.concatenate([numbers, found[1] + first], 1)
        best = np.argsort(distances, axis=1, kind="stable")[:, :count]
        distances, numbers = (np.take_along_axis(part, best, 1) for part in (distances, numbers))
        first += len(chunk)
    check_count(count, first, "count")
    return np.sqrt(np.maximum(distances, 0)), numbers


def check_count(count: int, images: int, argument: str) -> None:
    """Raises a `ValueError` for more neighbors than there are images, or none.

    Args:
        count: number of neighbors.
        images: number of images.
        argument: name of the argument in the message.
    """
    check_whole_number(argument, count, 1, images, "the number of images")


class CodeIndex:
    """Binary codes of images, searched by Hamming distance.

    Args:
        codes: uint8 `(images, bits / 8)`, as `alexnet_keras.retrieval.encode` gives them.
        about: description of the codes, such as `Activations.about`. Its `"model"` is the
            fingerprint of the model.

    Raises:
        ValueError: for codes that are not bytes.
    """

    def __init__(self, codes: np.ndarray, about: Mapping):
        codes = _checked(codes)
        self.codes = codes
        self.about = dict(about)
        self._index = faiss.IndexBinaryFlat(8 * codes.shape[1])
        # The threads wait for each other after each batch. Faiss' types lack the attribute.
        self._index.query_batch_size = 1024  # pyright: ignore[reportAttributeAccessIssue]
        self._index.add(codes)

    def search(self, codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Finds the codes at the smallest Hamming distance from each query.

        Args:
            codes: uint8 `(queries, bits / 8)`.
            count: neighbors of each query.

        Returns:
            `(distances, numbers)`: int32 bits and int64 indices, `(queries, count)`, the nearest
            first.

        Raises:
            ValueError: for more neighbors than images, codes that are not bytes, or codes of
                another length.
        """
        check_count(count, len(self.codes), "count")
        codes = _checked(codes)
        if codes.shape[1] != self.codes.shape[1]:
            raise ValueError(
                f"`codes` must have {8 * self.codes.shape[1]} bits, as the index. Received: "
                f"{8 * codes.shape[1]}"
            )
        return self._index.search(codes, count)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the index to an `.npz` file.

        Raises:
            ValueError: for another ending.
        """
        check_suffix(path, ".npz")
        with replacing(expand_home(path)) as partial:
            np.savez(partial, codes=self.codes, about=json.dumps(self.about))

    @classmethod
    def load(cls, path: str | os.PathLike, model: str | None = None) -> "CodeIndex":
        """Reads an index that `save` has written.

        Args:
            path: path of the file.
            model: expected fingerprint of the model; `None` for any.

        Raises:
            ValueError: for a file that is not an index, or an index of another model.
        """
        codes, about = read_npz(expand_home(path), "codes", "about")
        about = json.loads(str(about))
        if model not in (None, about.get("model")):
            raise ValueError(
                f"`path` must be an index of model {model}. Received: one of model "
                f"{about.get('model')}"
            )
        return cls(codes, about)


def _checked(codes):
    """Returns codes as a contiguous array; raises a `ValueError` for other arrays."""
    codes = np.ascontiguousarray(codes)
    if codes.dtype != np.uint8 or codes.ndim != 2:
        raise ValueError(
            f"`codes` must be uint8 (images, bytes). Received: {codes.dtype} {codes.shape}"
        )
    return codes
