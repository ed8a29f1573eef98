"""Statistics of repeated runs: means, paired comparisons and verdicts."""

import math
from collections.abc import Sequence

import numpy as np

from alexnet_keras.extras import extra

CONFIDENCE = 0.95
SIGNIFICANT = 0.05  # a p-value below it is significant
_POWER = 0.8  # probability of finding a real effect, for the number of seeds


def summary(values: Sequence[float]) -> dict:
    """Returns the mean with its 95% interval (Student's t), and the standard deviation.

    The standard deviation is the sample's. For a single value it is `None`, as is the interval.
    """
    values = [float(value) for value in values]
    deviation = None
    interval = None
    mean = None
    if values:
        mean = float(np.mean(values))
    if mean is not None and len(values) > 1:
        deviation = float(np.std(values, ddof=1))
        half = float(_t_quantile(len(values)) * _stats().sem(values))
        interval = [mean - half, mean + half]
    return {
        "mean": mean,
        "interval": interval,
        "standard_deviation": deviation,
        "n": len(values),
    }


def paired_difference(values: Sequence[float], baseline: Sequence[float]) -> dict:
    """Returns the mean of `values - baseline` over the pairs, with a 95% interval (Student's t).

    Args:
        values, baseline: numbers, one for each seed, in the same order of seeds.

    Returns:
        dict with `estimate`, `interval` (two numbers, or `None` for a single pair) and `n`.

    Raises:
        ValueError: if the lengths differ, or are 0.
    """
    minuends = np.asarray(values, float)
    subtrahends = np.asarray(baseline, float)
    if minuends.shape != subtrahends.shape or not minuends.size:
        raise ValueError(
            "`values` and `baseline` must have one number for each seed. "
            f"Received: {minuends.size} and {subtrahends.size} numbers"
        )
    difference = minuends - subtrahends
    return {
        "estimate": float(difference.mean()),
        "interval": _interval(difference),
        "n": len(difference),
    }


def _interval(difference):
    if len(difference) == 1:
        return None
    if np.ptp(difference) == 0:
        return [float(difference[0])] * 2  # the t statistic is not defined without spread
    low, high = _stats().ttest_1samp(difference, 0.0).confidence_interval(CONFIDENCE)
    return [float(low), float(high)]


def paired_ratio(values: Sequence[float], baseline: Sequence[float]) -> dict:
    """Returns the geometric mean of `values / baseline` over the pairs, with a 95% interval.

    It is `paired_difference` of the logarithms.

    Raises:
        ValueError: for a number that is not positive, or as `paired_difference`.
    """
    if not all(number > 0 for number in (*values, *baseline)):
        raise ValueError(
            "`values` and `baseline` must be positive for a ratio. "
            f"Received: {list(values)} and {list(baseline)}"
        )
    difference = paired_difference(np.log(values).tolist(), np.log(baseline).tolist())
    interval = difference["interval"]
    return {
        "estimate": math.exp(difference["estimate"]),
        "interval": interval and [math.exp(end) for end in interval],
        "n": difference["n"],
    }


def share_difference(values: Sequence[float], baseline: Sequence[float]) -> dict:
    """Returns a share of runs less a known share, with a 95% interval (Clopper and Pearson).

    Args:
        values: 100 or 0 for each run.
        baseline: the known share in percent, the same number for each run.

    Returns:
        dict as of `paired_difference`, in percentage points.

    Raises:
        ValueError: as `paired_difference`.
    """
    difference = paired_difference(values, baseline)
    if difference["n"] > 1:
        count = round(sum(values) / 100)
        ends = _stats().binomtest(count, len(values)).proportion_ci(CONFIDENCE)
        difference["interval"] = [100 * float(end) - float(baseline[0]) for end in ends]
    return difference


def seeds_for_significance(
    comparison: dict, no_effect: float = 0.0, most: int = 1000
) -> int | None:
    """Returns how many seeds would make a comparison significant, given its estimate and spread.

    Args:
        comparison: dict with `estimate`, `interval` and `n`.
        no_effect: 0 for a difference, 1 for a ratio.
        most: largest number of seeds to try.

    Returns:
        The least number of seeds for which the paired t-test has a power of 80%; `None` if it is
        above `most`.
    """
    numbers = (*comparison["interval"], comparison["estimate"])
    low, high, effect = np.log(numbers) if no_effect else numbers
    n = comparison["n"]
    deviation = (high - low) / 2 / _t_quantile(n) * math.sqrt(n)
    seeds = np.arange(2, most + 1)
    missed = _stats().nct.cdf(
        _t_quantile(seeds), seeds - 1, abs(effect) / deviation * np.sqrt(seeds)
    )
    enough = seeds[missed <= 1 - _POWER]
    return int(enough[0]) if len(enough) else None


def _stats():
    """Imports `scipy.stats` late, as single values need no interval."""
    with extra("computing confidence intervals"):
        from scipy import stats
    return stats


def _t_quantile(n):
    """Returns the quantile of Student's t for a two-sided interval from `n` values."""
    return _stats().t.ppf(0.5 + CONFIDENCE / 2, n - 1)


VERDICT_RULE = """\
- **reproduced**: the 95% interval lies on the paper's side of no effect, and contains the paper's
  figure if it gives one. If the claim is that nothing is gained or lost, a change of up to half a
  point still agrees with it.
- **same direction**: the interval lies on the paper's side of no effect, but does not contain the
  paper's figure.
- **not reproduced**: the interval contains no effect, or lies on the other side. If it contains no
  effect, a number in brackets says how many seeds would make the measured difference significant,
  with a power of 80%.
- **not testable**: the reason is given.
- **not run yet**: fewer than two seeds have a value of the metric."""


def verdict(comparison: dict, no_effect: float = 0.0) -> str:
    """Returns the verdict of a comparison on the paper's claim, by `VERDICT_RULE`.

    Args:
        comparison: dict with `interval` and `paper`, the figure of the paper. If `paper` is `None`,
            `side` says on which side of no effect the paper expects the interval: 1 or -1. With a
            `margin`, this side begins by the margin before no effect.
        no_effect: 0 for a difference, 1 for a ratio.
    """
    if comparison["interval"] is None:
        return "not run yet"
    low, high = comparison["interval"]
    paper = comparison["paper"]
    expects_higher = comparison["side"] > 0 if paper is None else paper > no_effect
    margin = comparison.get("margin", 0.0)
    on_side = low > no_effect - margin if expects_higher else high < no_effect + margin
    if not on_side:
        return "not reproduced"
    return "reproduced" if paper is None or low <= paper <= high else "same direction"
