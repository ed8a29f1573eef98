"""Metrics: values of a run, and comparisons between the values of two variants."""

import abc
import dataclasses
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from alexnet_keras.evaluation.statistics import (
    SIGNIFICANT,
    paired_difference,
    paired_ratio,
    share_difference,
)
from alexnet_keras.evaluation.view_names import CROP_LABELS

# Why runs ended, as stored with them.
ALL_EPOCHS = "all epochs"
TARGET_REACHED = "target reached"
AT_CHANCE = "at chance"
DIVERGED = "NaN loss"
EARLY_STOPPED = "early stopped"


class Metric(abc.ABC):
    """Base class of metrics. By default a run trains for all its epochs.

    A metric is a frozen dataclass, as experiments compare metrics. It sets the attributes without a
    default here, and defines `value`. A run is a dict as `results.json` has it.

    Attributes:
        name: the metric with its unit, for tables and figures.
        test_views: the test views that a run must be evaluated on; see `TrainingConfig`.
        unit: unit of a comparison.
        no_effect: estimate of a comparison that finds no effect: 0 for a difference, 1 for a ratio.
        compare: function from the values of a variant and of its baseline, a number for each seed
            in the same order, to a dict with `estimate`, `interval` and `n`.
        target: training top-1 error in percent that figures show as a line; `None` for no line.
        ends_early: whether a run may end before its last epoch.
        depends_on_machine: whether runs of other machines or devices have another value.
    """

    name: str
    test_views: str
    unit: str
    no_effect: float
    compare: Callable[[Sequence[float], Sequence[float]], dict]
    target: float | None = None
    ends_early: bool = False
    depends_on_machine: bool = False

    @abc.abstractmethod
    def value(self, run: dict) -> float | None:
        """Returns the metric of a run, or `None` for a run without a value."""

    def rank(self, run: dict) -> float | tuple[int, float]:
        """Returns a value that orders learning rates; lower is better."""
        value = self.value(run)
        return float("inf") if value is None else value

    def reason_to_end(self, epoch: int, row: dict, classes: int) -> str | None:
        """Returns why a run ends, or `None` if it continues.

        Args:
            epoch: number of epochs so far.
            row: the last epoch's row of the history.
            classes: number of classes of the data.
        """
        return None

    def failed(self, run: dict) -> bool:
        """Whether a run does not show in which direction a better learning rate lies."""
        return run["ended"] in (AT_CHANCE, DIVERGED)

    def is_beaten(self, errors: list[float], incumbent: dict) -> bool:
        """Whether a run stops early because another learning rate is better.

        Args:
            errors: its training top-1 error after each epoch so far, percent.
            incumbent: the best run so far.
        """
        return False

    def measure(self, folder: Path) -> float | None:
        """Returns what the metric needs of a run's folder, a JSON value; `None` for nothing.

        It is stored with the run, in `measures` by the metric's name.
        """
        return None

    def is_measured(self, run: dict) -> bool:
        """Whether a stored run has what the metric needs."""
        return True

    def smoke(self) -> "Metric":
        """Returns the metric for a trial on a tiny network."""
        return self


@dataclasses.dataclass(frozen=True)
class FinalError(Metric):
    """Error on the validation images after training, in percent, compared by the difference.

    Args:
        test_views: `"center"`, `"ten_crop"` or `"nine_crop"`.
        top: 1 or 5.
    """

    test_views: str = "ten_crop"
    top: int = 1

    unit = "percentage points"
    no_effect = 0.0
    compare = staticmethod(paired_difference)

    @property
    def name(self) -> str:
        return f"top-{self.top} error on {CROP_LABELS[self.test_views]} (%)"

    def value(self, run: dict) -> float | None:
        """Returns the error of a run, or `None` for one that diverged."""
        return run["errors"].get(self.test_views, {}).get(f"top{self.top}_error")


@dataclasses.dataclass(frozen=True)
class TrainingError(Metric):
    """Training top-1 error of the last epoch, in percent, compared by the difference."""

    name = "training top-1 error (%)"
    test_views = "center"
    unit = "percentage points"
    no_effect = 0.0
    compare = staticmethod(paired_difference)

    def value(self, run: dict) -> float | None:
        """Returns the error of a run, or `None` for one that diverged."""
        return None if run["ended"] == DIVERGED else run["history"][-1]["top1_error"]


@dataclasses.dataclass(frozen=True)
class HighFrequencyShare(Metric):
    """Share of the first layer's energy at high frequencies after training, in percent.

    It is the mean over the kernels of `alexnet_keras.analysis.high_frequency_energy`, compared by
    the difference. White noise has 80%.
    """

    name = "energy of conv1 at high frequencies (%)"
    test_views = "center"
    unit = "points of energy"
    no_effect = 0.0
    compare = staticmethod(paired_difference)

    def measure(self, folder: Path) -> float:
        from alexnet_keras.analysis import high_frequency_energy
        from alexnet_keras.analysis.snapshots import read_snapshots

        last = read_snapshots(folder / "snapshots")[-1]
        return 100.0 * float(high_frequency_energy(last.kernels).mean())

    def is_measured(self, run: dict) -> bool:
        return self.name in run.get("measures", {})

    def value(self, run: dict) -> float | None:
        """Returns the share of a run, or `None` for one that diverged."""
        return None if run["ended"] == DIVERGED else run["measures"][self.name]


@dataclasses.dataclass(frozen=True)
class TowerColorGap(Metric):
    """How much more colorful one tower's first kernels are than the other's, in points of energy.

    A tower's value is the mean share of its kernels' energy off the gray axis
    (`alexnet_keras.analysis.colorfulness`). The gap has no sign, as the order of the towers is
    arbitrary. The kernels of a single tower are taken in two halves, so that its gap is chance.

    Reference: section 6.1 of Krizhevsky et al. (2012).
    """

    name = "gap between the towers in color (points of energy)"
    test_views = "center"
    unit = "points of energy"
    no_effect = 0.0
    compare = staticmethod(paired_difference)

    def measure(self, folder: Path) -> dict:
        """Returns the measure of a run.

        Returns:
            dict of lists with an entry for the initial weights and for each epoch: `towers`, the
            value of each tower in percent; `chance`, the mean gap of random towers of the same
            kernels; and `p`, from the permutation test.
        """
        from alexnet_keras.analysis import colorfulness, permutation_test
        from alexnet_keras.analysis.snapshots import read_snapshots

        values = []
        for snapshot in read_snapshots(folder / "snapshots"):
            each = colorfulness(snapshot.kernels)
            values.append(each.reshape(2, -1) if len(each) == 1 else each)
        tests = [permutation_test([each]) for each in values]
        return {
            "towers": [(100.0 * each.mean(-1)).tolist() for each in values],
            "chance": [100.0 * test["chance"][0] for test in tests],
            "p": [test["p"] for test in tests],
        }

    def is_measured(self, run: dict) -> bool:
        return self.name in run.get("measures", {})

    def value(self, run: dict) -> float | None:
        """Returns the gap of a run, or `None` for one that diverged."""
        if run["ended"] == DIVERGED:
            return None
        towers = run["measures"][self.name]["towers"][-1]
        return max(towers) - min(towers)

    def rank(self, run: dict) -> float | tuple[int, float]:
        """Orders runs by their validation error, as no gap is better than another."""
        return FinalError(test_views="center").rank(run)


@dataclasses.dataclass(frozen=True)
class TowersDiffer(Metric):
    """Whether the towers differ in color beyond chance: 100 for a run in which they do, else 0.

    `TowerColorGap` measures it. The towers differ if p < 0.05 after the last epoch.

    Args:
        by_chance: whether the value is the one of towers that differ only by chance: 5.
    """

    by_chance: bool = False

    test_views = "center"
    unit = "percentage points"
    no_effect = 0.0
    compare = staticmethod(share_difference)

    @property
    def name(self) -> str:
        return "differing towers by chance (%)" if self.by_chance else "differing towers (%)"

    def is_measured(self, run: dict) -> bool:
        return TowerColorGap().is_measured(run)

    def value(self, run: dict) -> float | None:
        """Returns 100, 0 or the share by chance, or `None` for a run that diverged."""
        if run["ended"] == DIVERGED:
            return None
        if self.by_chance:
            return 100.0 * SIGNIFICANT
        return 100.0 * (run["measures"][TowerColorGap.name]["p"][-1] < SIGNIFICANT)


@dataclasses.dataclass(frozen=True)
class EpochSeconds(Metric):
    """Median seconds of an epoch with its validation, compared by the ratio.

    It is only meaningful if no other program runs on the machine.
    """

    name = "seconds of an epoch"
    depends_on_machine = True
    test_views = "center"
    unit = "times the seconds"
    no_effect = 1.0
    compare = staticmethod(paired_ratio)

    def value(self, run: dict) -> float | None:
        """Returns the seconds of a run, or `None` for one without a complete epoch."""
        if not run["history"]:
            return None
        return statistics.median(row["seconds"] for row in run["history"])


@dataclasses.dataclass(frozen=True)
class EpochsToConverge(Metric):
    """Epochs until the validation error is within a margin of its minimum, compared by the ratio.

    Args:
        margin: percentage points above the lowest validation top-1 error of the run.
    """

    margin: float = 1.0

    test_views = "center"
    unit = "times the epochs"
    no_effect = 1.0
    compare = staticmethod(paired_ratio)

    @property
    def name(self) -> str:
        unit = "point" if self.margin == 1 else "points"
        return f"epochs until the validation error is within {self.margin:g} {unit} of its lowest"

    def value(self, run: dict) -> float | None:
        """Returns the epochs.

        It is `None` for a run that diverged, improved to its end, or was not validated after each
        epoch.
        """
        errors = [row.get("val_top1_error") for row in run["history"]]
        if run["ended"] == DIVERGED or None in errors:
            return None
        limit = min(errors) + self.margin
        epochs = 1 + next(epoch for epoch, error in enumerate(errors) if error <= limit)
        return float(epochs) if epochs < len(errors) else None


@dataclasses.dataclass(frozen=True)
class StepsAtChance(Metric):
    """Steps until the loss falls below the loss of guessing, compared by the ratio.

    The history of the training names the step. A run ends after the epoch of that step.
    """

    name = "steps until the loss leaves chance level"
    ends_early = True
    test_views = "center"
    unit = "times the steps"
    no_effect = 1.0
    compare = staticmethod(paired_ratio)

    def value(self, run: dict) -> float | None:
        """Returns the steps, or `None` for a run that stayed at chance."""
        if not run["history"]:
            return None
        return run["history"][-1]["left_chance_at_step"] or None

    def reason_to_end(self, epoch: int, row: dict, classes: int) -> str | None:
        return TARGET_REACHED if row["left_chance_at_step"] else None


@dataclasses.dataclass(frozen=True)
class EpochsToError(Metric):
    """Epochs until the training top-1 error reaches a target, compared by the ratio.

    The error is the mean over an epoch. Between the ends of two epochs it is interpolated linearly;
    at the start it is the error of guessing. A run ends at the target. It also ends if its error is
    within `_MARGIN` of chance after `_PATIENCE` epochs. `is_beaten` ends further ones.

    Args:
        target: training top-1 error, percent.
    """

    target: float = 25.0

    ends_early = True
    test_views = "center"
    unit = "times the epochs"
    no_effect = 1.0
    compare = staticmethod(paired_ratio)

    _MARGIN = 5  # percentage points that count as a difference
    _PATIENCE = 5  # epochs in which a run must leave chance
    _WARM_UP = 3  # epochs before runs are compared

    @property
    def name(self) -> str:
        return f"epochs to a training error of {self.target:g}%"

    def value(self, run: dict) -> float | None:
        """Returns the epochs, or `None` for a run that did not reach the target."""
        before = _error_of_chance(run["data"]["classes"])
        for epoch, row in enumerate(run["history"]):
            error = row["top1_error"]
            if error <= self.target:
                if before <= error:
                    return float(epoch)
                return epoch + max(before - self.target, 0.0) / (before - error)
            before = error
        return None

    def rank(self, run: dict) -> float | tuple[int, float]:
        """Orders runs by their epochs, or else by their error after the warm-up.

        A run that another learning rate stopped comes behind all runs but the diverged ones.
        """
        value = self.value(run)
        if value is not None:
            return 0, value
        if run["ended"] == DIVERGED:
            return 3, 0.0
        error = run["history"][: self._WARM_UP][-1]["top1_error"]
        return (2, error) if run["ended"] == EARLY_STOPPED else (1, error)

    def reason_to_end(self, epoch: int, row: dict, classes: int) -> str | None:
        error = row["top1_error"]
        if error <= self.target:
            return TARGET_REACHED
        if epoch >= self._PATIENCE and not error <= _error_of_chance(classes) - self._MARGIN:
            return AT_CHANCE
        return None

    def is_beaten(self, errors: list[float], incumbent: dict) -> bool:
        """Whether a run is clearly behind the incumbent, or can't reach the target before it."""
        epoch = len(errors)
        if epoch < self._WARM_UP:
            return False
        incumbent_errors = [row["top1_error"] for row in incumbent["history"]]
        if (
            epoch <= len(incumbent_errors)
            and not errors[-1] < incumbent_errors[epoch - 1] + self._MARGIN
        ):
            return True
        arrival = self.value(incumbent)
        if arrival is None:
            return False
        chance = _error_of_chance(incumbent["data"]["classes"])
        return epoch >= arrival or self._arrives_later(errors, arrival, chance)

    def _arrives_later(self, errors, arrival, chance):
        """Whether a run that slows down reaches the target after `arrival` at its present pace.

        The pace is the mean of the last third of the epochs, as single epochs of a slow run fall by
        less than they vary.
        """
        previous_fall = errors[-3] - errors[-2]
        last_fall = errors[-2] - errors[-1]
        if errors[-1] > chance - self._MARGIN or last_fall > previous_fall:
            return False
        window = max(2, len(errors) // 3)
        pace = (errors[-1 - window] - errors[-1]) / window
        return len(errors) + (errors[-1] - self.target) / max(pace, 1e-9) >= arrival

    def smoke(self) -> "Metric":
        return dataclasses.replace(self, target=70.0)


def _error_of_chance(classes):
    """Top-1 error of guessing, percent."""
    return 100.0 * (1 - 1 / classes)
