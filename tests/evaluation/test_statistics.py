import numpy as np
import pytest

from alexnet_keras.evaluation.statistics import (
    paired_difference,
    paired_ratio,
    seeds_for_significance,
    share_difference,
    summary,
    verdict,
)


def test_summary():
    half = (
        4.302653 * (13 / 3) ** 0.5
    )  # 97.5% quantile of t with two degrees of freedom, standard error
    interval = pytest.approx([5 - half, 5 + half], rel=1e-6)
    deviation = pytest.approx(13**0.5)
    assert summary([2, 4, 9]) == {
        "mean": 5.0,
        "interval": interval,
        "standard_deviation": deviation,
        "n": 3,
    }
    assert summary([7]) == {"mean": 7.0, "interval": None, "standard_deviation": None, "n": 1}
    assert summary([]) == {"mean": None, "interval": None, "standard_deviation": None, "n": 0}


def test_paired_difference_by_students_table():
    # Differences 1, 2, 3: mean 2, deviation 1. The 97.5% quantile of t is 4.302653 with two degrees
    # of freedom.
    result = paired_difference([11, 22, 33], [10, 20, 30])
    half = 4.302653 / 3**0.5
    assert (result["estimate"], result["n"]) == (2.0, 3)
    assert result["interval"] == pytest.approx([2 - half, 2 + half], rel=1e-6)


@pytest.mark.parametrize("values", [[2, 0], [2, -1], [2, float("nan")]])
def test_a_ratio_needs_positive_numbers(values):
    for arguments in ((values, [1, 1]), ([1, 1], values)):
        with pytest.raises(ValueError, match="`values` and `baseline` must be positive"):
            paired_ratio(*arguments)


def test_share_difference_by_clopper_and_pearson():
    # Of two runs, k successes: the ends p solve P(X >= k) = 0.025 and P(X <= k) = 0.025. For k = 1
    # these are 1 - (1 - p)^2 and 1 - p^2.
    half = 100 * (1 - 0.975**0.5)
    result = share_difference([100.0, 0.0], [5.0, 5.0])
    assert (result["estimate"], result["n"]) == (45.0, 2)
    assert result["interval"] == pytest.approx([half - 5, 95 - half])
    every = share_difference([100.0] * 3, [5.0] * 3)
    assert every["interval"] == pytest.approx([100 * 0.025 ** (1 / 3) - 5, 95])
    assert share_difference([100.0], [5.0])["interval"] is None


def test_paired_ratio_is_geometric():
    # Logarithms of the ratios, to base 2: 1, 2, 3.
    result = paired_ratio([2, 4, 8], [1, 1, 1])
    half = 4.302653 / 3**0.5
    assert result["estimate"] == pytest.approx(4.0)
    assert result["interval"] == pytest.approx([2 ** (2 - half), 2 ** (2 + half)], rel=1e-6)


def test_one_pair_and_no_spread():
    assert paired_difference([3], [1]) == {"estimate": 2.0, "interval": None, "n": 1}
    assert paired_difference([3, 4], [1, 2])["interval"] == [2.0, 2.0]
    with pytest.raises(ValueError, match="Received: 2 and 1 numbers"):
        paired_difference([1, 2], [1])


@pytest.mark.parametrize(
    ("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (0.01, None)]
)
def test_seeds_for_significance_by_cohens_tables(effect, seeds):
    # Paired t-test, two-sided 5%, power 80%, for a difference of some standard deviations.
    half = 4.302653 * 2 / 3**0.5  # three pairs of deviation 2
    comparison = {
        "estimate": -2 * effect,
        "interval": [-2 * effect - half, -2 * effect + half],
        "n": 3,
    }
    assert seeds_for_significance(comparison) == seeds
    ratio = {name: value if name == "n" else np.exp(value) for name, value in comparison.items()}
    assert seeds_for_significance(ratio, no_effect=1.0) == seeds


@pytest.mark.parametrize(
    ("interval", "paper", "no_effect", "expected"),
    [
        ([0.1, 1.0], (None, 1), 0, "reproduced"),
        ([-0.1, 1.0], (None, 1), 0, "not reproduced"),
        ([-1.0, -0.1], (None, -1), 0, "reproduced"),
        ([0.1, 1.0], (None, -1), 0, "not reproduced"),
        ([-2.5, -1.0], -2.0, 0, "reproduced"),
        ([-1.5, -1.0], -2.0, 0, "same direction"),
        ([-1.5, 0.1], -2.0, 0, "not reproduced"),
        ([0.5, 1.0], -2.0, 0, "not reproduced"),
        ([5.0, 7.0], 6.0, 1, "reproduced"),
        ([1.5, 2.0], 6.0, 1, "same direction"),
        ([0.9, 7.0], 6.0, 1, "not reproduced"),
        (None, 6.0, 1, "not run yet"),
    ],
)
def test_verdict(interval, paper, no_effect, expected):
    paper, side = paper if isinstance(paper, tuple) else (paper, 0)
    assert verdict({"interval": interval, "paper": paper, "side": side}, no_effect) == expected


@pytest.mark.parametrize(
    ("interval", "side", "expected"),
    [
        ([-0.4, 0.3], 1, "reproduced"),  # no gain above half a point
        ([0.1, 3.0], 1, "reproduced"),  # it harms
        ([-0.6, 3.0], 1, "not reproduced"),  # a gain above half a point may be
        ([-3.0, -0.6], 1, "not reproduced"),
        ([-0.3, 0.4], -1, "reproduced"),
        ([-0.3, 0.6], -1, "not reproduced"),
    ],
)
def test_verdict_on_a_claim_of_no_gain(interval, side, expected):
    comparison = {"interval": interval, "paper": None, "side": side, "margin": 0.5}
    assert verdict(comparison) == expected
