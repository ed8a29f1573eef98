import numpy as np
import pytest

from experiments.framework.metrics import (
    EpochSeconds,
    EpochsToConverge,
    EpochsToError,
    FinalError,
    Metric,
    StepsAtChance,
    TowerColorGap,
    TowersDiffer,
    TrainingError,
)


@pytest.mark.parametrize("kind", Metric.__subclasses__())
def test_every_metric_has_what_the_base_class_declares(kind):
    metric = kind()
    assert metric == kind() and hash(metric) == hash(kind())
    assert isinstance(metric.name, str) and isinstance(metric.unit, str)
    assert metric.no_effect in (0.0, 1.0)
    assert metric.compare([2.0], [2.0]) == {
        "estimate": pytest.approx(metric.no_effect),
        "interval": None,
        "n": 1,
    }
    assert {name for name in Metric.__annotations__ if not hasattr(metric, name)} == set()


def test_a_metric_without_a_value_is_none():
    class WithoutValue(Metric):
        name = "none"

    with pytest.raises(TypeError, match="abstract method '?value"):
        WithoutValue()


def run(*errors):
    return {
        "data": {"classes": 10},
        "ended": "all epochs",
        "history": [{"top1_error": error} for error in errors],
    }


def test_epochs_to_error_by_hand():
    metric = EpochsToError(25.0)
    # Half-way between 30 after three epochs and 20 after four.
    assert metric.value(run(60, 40, 30, 20)) == 3.5
    assert metric.value(run(24)) == pytest.approx(65 / 66)  # from chance, 90
    assert metric.value(run(60, 40, 30, 25)) == 4.0
    assert metric.value(run(60, 40, 30)) is None


def test_epochs_to_error_ranks():
    metric = EpochsToError(25.0)
    fast = run(60, 20)
    slow = run(60, 40, 20)
    ahead = run(70, 60, 50, 45)
    behind = run(70, 60, 55)
    stopped = {**run(60, 50, 40, 80), "ended": "early stopped"}  # ahead until the third epoch
    diverged = {**run(60, 50, 30), "ended": "NaN loss"}
    assert sorted([diverged, stopped, behind, slow, ahead, fast], key=metric.rank) == [
        fast,
        slow,
        ahead,
        behind,
        stopped,
        diverged,
    ]


def test_epochs_to_error_ends():
    metric = EpochsToError(25.0)
    assert metric.reason_to_end(1, {"top1_error": 25.0}, 10) == "target reached"
    assert metric.reason_to_end(4, {"top1_error": 89.0}, 10) is None
    assert metric.reason_to_end(5, {"top1_error": 85.1}, 10) == "at chance"
    assert metric.reason_to_end(5, {"top1_error": 84.9}, 10) is None
    assert metric.reason_to_end(5, {"top1_error": float("nan")}, 10) == "at chance"


def test_epochs_to_error_stops_early():
    metric = EpochsToError(25.0)
    incumbent = run(60, 50, 40, 24)  # reaches the target after 3.94 epochs
    assert not metric.is_beaten([90, 90], incumbent)
    assert metric.is_beaten([70, 60, 45], incumbent)  # five points behind
    # It falls by 25.1 an epoch, and would reach 25 after 3.8 epochs.
    assert not metric.is_beaten([90, 70, 44.9], incumbent)
    assert metric.is_beaten([60, 50, 40, 25.1], incumbent)  # the incumbent has arrived
    # An incumbent that never reached the target beats nothing by its arrival.
    assert not metric.is_beaten([60, 50, 40, 30], run(60, 50, 40))


def test_epochs_to_error_stops_a_run_that_can_not_arrive_first():
    metric = EpochsToError(25.0)
    incumbent = run(60, 50, 40, 36, 33, 31, 29, 27, 25)  # arrives after 9 epochs
    # It falls by up to 4 an epoch, and would arrive after 7.5 epochs.
    assert not metric.is_beaten([60, 50, 41, 37, 35, 31], incumbent)
    assert metric.is_beaten([60, 50, 41, 37, 35, 33], incumbent)  # by 2 an epoch: after 10 epochs
    assert metric.is_beaten([60, 50, 40, 36, 36, 36], incumbent)  # never
    # It falls by 0.8 an epoch, but for the last two, which may be chance: after 35 epochs.
    slow = [45.6, 44.8, 44, 43.2, 42.4, 41.6, 40.8, 40, 39.2, 38.4, 37.6, 36.8, 36, 35.7, 35.6]
    assert not metric.is_beaten(slow, run(*slow[:-1], *[35] * 30, 25))
    assert metric.is_beaten(slow, run(*slow[:-1], *[35] * 15, 25))
    late = run(90, 90, 90, 80, 60, 40, 30, 25)
    assert not metric.is_beaten([90, 90, 90, 84.9], late)  # just left chance
    assert not metric.is_beaten([90, 90, 90], late)


def test_training_error_of_the_last_epoch():
    assert TrainingError().value(run(60, 40, 41)) == 41.0
    assert TrainingError().value({"ended": "NaN loss", "history": []}) is None


def test_epochs_to_converge():
    errors = {
        "ended": "all epochs",
        "history": [{"val_top1_error": error} for error in (50, 30.9, 31, 30, 30.5)],
    }
    assert EpochsToConverge().value(errors) == 2.0  # within a point of the 30 of the fourth epoch
    assert EpochsToConverge(margin=0.0).value(errors) == 4.0
    still_improving = {**errors, "history": errors["history"][:2]}
    assert EpochsToConverge().value(still_improving) is None
    rarely = {**errors, "history": [{"top1_error": 60}, *errors["history"]]}
    assert EpochsToConverge().value(rarely) is None  # its first epoch was not validated


def test_steps_at_chance():
    metric = StepsAtChance()
    assert metric.reason_to_end(1, {"left_chance_at_step": 0}, 10) is None
    assert metric.reason_to_end(2, {"left_chance_at_step": 390}, 10) == "target reached"
    rows = [{"left_chance_at_step": 0}, {"left_chance_at_step": 420}]
    assert metric.value({"history": rows}) == 420
    assert metric.value({"history": rows[:1]}) is None
    assert metric.value({"history": []}) is None  # diverged in its first epoch


def test_final_error():
    errors = {"center": {"top1_error": 20.0, "top5_error": 5.0}, "ten_crop": {"top1_error": 18.0}}
    assert FinalError().value({"errors": errors}) == 18.0
    assert FinalError(test_views="center", top=5).value({"errors": errors}) == 5.0
    assert FinalError().reason_to_end(50, {"top1_error": 90}, 10) is None


def test_seconds_of_an_epoch():
    seconds = {"history": [{"seconds": value} for value in (9.0, 3.0, 4.0)]}
    assert EpochSeconds().value(seconds) == 4.0
    assert EpochSeconds().value({"history": []}) is None
    assert EpochSeconds().compare([4.0, 6.0], [2.0, 3.0])["estimate"] == pytest.approx(2.0)


def write_snapshots(folder, *epochs):
    """Writes the kernels after each epoch, `(towers, kernels, height, width, colors)`."""
    folder.mkdir(parents=True)
    for epoch, kernels in enumerate(epochs):
        np.savez(folder / f"epoch-{epoch:04d}.npz", epoch=epoch, layer="conv1", kernels=kernels)


def gray_and_red():
    """A tower of four gray kernels, and a tower of four red ones."""
    kernels = np.zeros((2, 4, 2, 2, 3), "float32")
    kernels[0] = 1.0
    kernels[1, ..., 0] = 1.0
    return kernels


def test_gap_between_a_gray_and_a_red_tower(tmp_path):
    kernels = gray_and_red()
    write_snapshots(tmp_path / "snapshots", kernels[::-1], kernels)
    metric = TowerColorGap()
    measured = metric.measure(tmp_path)
    # Of the energy of (1, 0, 0), one third lies on the gray axis.
    expected = [[200 / 3, 0.0], [0.0, 200 / 3]]
    np.testing.assert_allclose(measured["towers"], expected, atol=1e-4)
    # 2 of the 70 ways to deal four of eight kernels to a tower give the gap of all.
    np.testing.assert_allclose(measured["p"], 2 / 70, atol=0.01)
    # With i red kernels of eight in a tower, the gap is the difference of 1 - i/4 and i/4. Dealt by
    # chance, i is 0, 1, ..., 4 in 1, 16, 36, 16, 1 of the 70 ways.
    chance = (2 * 1 * 4 + 2 * 16 * 2) / 70 / 4 * 200 / 3
    np.testing.assert_allclose(measured["chance"], chance, rtol=0.05)
    stored = {"ended": "all epochs", "measures": {metric.name: measured}}
    assert metric.is_measured(stored)
    assert metric.value(stored) == pytest.approx(200 / 3)
    parts = TowersDiffer()
    assert parts.measure(tmp_path) is None and parts.is_measured(stored)
    assert [parts.value(stored), TowersDiffer(by_chance=True).value(stored)] == [100.0, 5.0]
    measured["p"] = [0.01, 0.05]
    assert parts.value(stored) == 0.0
    assert parts.value({"ended": "NaN loss"}) is None
    assert not parts.is_measured({"measures": {}})
    assert metric.value({"ended": "NaN loss"}) is None


def test_a_gap_does_not_rank_learning_rates():
    metric = TowerColorGap()

    def gap_and_error(gap, error):
        measures = {metric.name: {"towers": [[gap, 0.0]]}}
        errors = {"center": {"top1_error": error}}
        return {"ended": "all epochs", "measures": measures, "errors": errors}

    poor = gap_and_error(1.0, 60.0)
    good = gap_and_error(9.0, 40.0)
    diverged = {"ended": "NaN loss", "errors": {}}
    assert sorted([diverged, poor, good], key=metric.rank) == [good, poor, diverged]


def test_a_single_tower_is_measured_in_halves(tmp_path):
    kernels = gray_and_red().reshape(1, 8, 2, 2, 3)
    write_snapshots(tmp_path / "snapshots", kernels)
    measured = TowerColorGap().measure(tmp_path)
    np.testing.assert_allclose(measured["towers"], [[0.0, 200 / 3]], atol=1e-4)
