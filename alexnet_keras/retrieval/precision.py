"""How good the neighbors are: the share of them that have the class of the query."""

import numpy as np


def precision_at(relevant, count=6):
    """Share of each query's nearest neighbors that have its class.

    Args:
        relevant: bool `(queries, neighbors)`, whether each has the class of the query, the nearest first.
        count: how many neighbors count; the paper shows six.

    Returns:
        float64 `(queries,)`.
    """
    return np.asarray(relevant, bool)[:, :count].mean(1)


def average_precision(relevant, totals):
    """The mean of the precisions at the places of the neighbors that have the query's class.

    `sum_r P(r) rel(r) / min(R, n)`, where `rel(r)` is 1 if neighbor `r` of `n` has the class and else 0, `P(r)` the
    share of the first `r` that have it, and `R` the number of all images that have it.

    Args:
        relevant: bool `(queries, neighbors)`, the nearest first.
        totals: `(queries,)`, how many images of the query's class there are.

    Returns:
        float64 `(queries,)`; their mean is the mean average precision, mAP.

    Example:

    >>> average_precision([[True, False, True]], [2])  # (1 / 1 + 2 / 3) / 2
    array([0.83333333])
    """
    relevant, totals = np.asarray(relevant, bool), np.asarray(totals)
    precisions = relevant.cumsum(1) / np.arange(1, relevant.shape[1] + 1)
    return (precisions * relevant).sum(1) / np.maximum(1, np.minimum(totals, relevant.shape[1]))
