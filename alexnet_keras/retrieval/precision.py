"""Precision of neighbors: the share of them with the query's class."""

import numpy as np


def precision_at(relevant: np.ndarray, count: int = 6) -> np.ndarray:
    """Returns the share of each query's nearest neighbors with its class.

    Args:
        relevant: whether each neighbor has the class of the query, the nearest first, bool
            `(queries, neighbors)`.
        count: number of neighbors; the paper shows six.

    Returns:
        float64 `(queries,)`.
    """
    return np.asarray(relevant, bool)[:, :count].mean(1)


def average_precision(relevant: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Returns the mean of the precisions at the ranks of neighbors with the query's class.

    `sum_r P(r) rel(r) / min(R, n)`, where `rel(r)` is 1 if neighbor `r` of `n` has the class, else
    0. `P(r)` is the share of the first `r` with the class, and `R` the number of all images with
    it.

    Args:
        relevant: bool `(queries, neighbors)`, the nearest first.
        totals: number of images of the query's class, `(queries,)`.

    Returns:
        float64 `(queries,)`; their mean is the mean average precision, mAP.

    Example:

    >>> average_precision([[True, False, True]], [2])  # (1 / 1 + 2 / 3) / 2
    array([0.83333333])
    """
    relevant = np.asarray(relevant, bool)
    totals = np.asarray(totals)
    precisions = relevant.cumsum(1) / np.arange(1, relevant.shape[1] + 1)
    return (precisions * relevant).sum(1) / np.maximum(1, np.minimum(totals, relevant.shape[1]))
