"""Statistics of repeated runs: means, paired comparisons, verdicts. The arithmetic is SciPy's."""

import math

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def summary(values):
    """Mean with its 95% interval (Student's t), standard deviation (of a sample) and number of values.

    A single value has neither interval nor standard deviation: both are `None`.
    """
    values = [float(value) for value in values]
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    interval = None
    if deviation is not None:
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * stats.sem(values))
        interval = [float(np.mean(values)) - half, float(np.mean(values)) + half]
    return {
        "mean": float(np.mean(values)) if values else None,
        "interval": interval,
        "standard_deviation": deviation,
        "n": len(values),
    }


def paired_difference(values, baseline):
    """Mean of `values - baseline`, pair by pair, with a 95% interval (Student's t).

    Args:
        values, baseline: a number a seed, in the same order of seeds.

    Returns:
        dict with `estimate`, `interval` (two numbers; none for a single pair) and `n`.

    Raises:
        ValueError: when there are not as many of one as of the other, or none.
    """
    values, baseline = np.asarray(values, float), np.asarray(baseline, float)
    if values.shape != baseline.shape or not values.size:
        raise ValueError(
            f"`values` and `baseline` must be equally many, one a seed. Received: {values.size} and {baseline.size}"
        )
    difference = values - baseline
    interval = None
    if len(difference) > 1:
        if np.ptp(difference) == 0:
            interval = [float(difference[0])] * 2  # the t statistic of no spread is not defined
        else:
            low, high = stats.ttest_rel(values, baseline).confidence_interval(CONFIDENCE)
            interval = [float(low), float(high)]
    return {"estimate": float(difference.mean()), "interval": interval, "n": len(difference)}


def paired_ratio(values, baseline):
    """Geometric mean of `values / baseline`, pair by pair, with a 95% interval; `paired_difference` of logarithms."""
    difference = paired_difference(np.log(values), np.log(baseline))
    interval = difference["interval"]
    return {
        "estimate": math.exp(difference["estimate"]),
        "interval": interval and [math.exp(end) for end in interval],
        "n": difference["n"],
    }


def seeds_to_tell(comparison, no_effect=0.0, most=1000):
    """How many seeds would tell a comparison from no effect, were it what was measured and spread as it did.

    Args:
        comparison: dict with `estimate`, `interval` and `n`.
        no_effect: 0 for a difference, 1 for a ratio.
        most: where to stop.

    Returns:
        The least number with which the paired t-test finds it four times out of five, or `None` where `most` are not
        enough.
    """
    numbers = (*comparison["interval"], comparison["estimate"])
    low, high, effect = np.log(numbers) if no_effect else numbers
    n = comparison["n"]
    deviation = (high - low) / 2 / stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * math.sqrt(n)
    seeds = np.arange(2, most + 1)
    critical = stats.t.ppf(0.5 + CONFIDENCE / 2, seeds - 1)
    missed = stats.nct.cdf(critical, seeds - 1, abs(effect) / deviation * np.sqrt(seeds))
    return next((int(count) for count, share in zip(seeds, missed, strict=True) if share <= 0.2), None)


VERDICT_RULE = """\
- **reproduced**: the 95% interval lies on the paper's side of no effect, and the paper's figure lies in it, where it
  gives one; where the paper finds that something does not help, its side reaches to a gain of half a point;
- **same direction**: the interval lies on the paper's side of no effect, but the paper's figure lies outside it;
- **not reproduced**: the interval holds no effect, or lies on the other side; where it holds no effect, the number of
  seeds is named that would tell a difference of the measured size from none, four times out of five;
- **not testable here**: the reason is given;
- **not run yet**: fewer than two seeds have been run, or have come to what is measured."""


def verdict(comparison, no_effect=0.0):
    """What a comparison says about the paper's claim, by `VERDICT_RULE`.

    Args:
        comparison: dict with `interval` and `paper`, the paper's figure; where that is `None`, with `side`, 1 or -1, on
            which side of no effect the paper puts it. With a `margin`, that side begins so far before no effect.
        no_effect: 0 for a difference, 1 for a ratio.
    """
    if comparison["interval"] is None:
        return "not run yet"
    (low, high), paper = comparison["interval"], comparison["paper"]
    above = comparison["side"] > 0 if paper is None else paper > no_effect
    margin = comparison.get("margin", 0.0)
    if not (low > no_effect - margin if above else high < no_effect + margin):
        return "not reproduced"
    return "reproduced" if paper is None or low <= paper <= high else "same direction"
