"""What an experiment measures of a run, and how two variants compare in it.

A metric has a `name`, the `views` of the evaluation that it needs, and a `unit`, `no_effect` and `compare` for its
comparisons.
"""

import dataclasses
import statistics

from experiments.framework.statistics import paired_difference, paired_ratio

_CHANCE = "no better than chance"
_REACHED = "target reached"
DIVERGED = "loss is no number"


class Metric:
    """What a metric is where it does not say otherwise: runs have all their epochs."""

    target = None  # of the training error, percent
    ends_early = False  # whether runs may end before their last epoch

    def rank(self, run):
        """What learning rates are sorted by; less is better."""
        value = self.value(run)
        return float("inf") if value is None else value

    def end(self, epoch, row, classes):
        """Why a run ends after `epoch` epochs, the last of which has this row in the history, or `None`."""
        return None

    def failed(self, run):
        """Whether a run says nothing on where a better learning rate lies."""
        return run["ended"] in (_CHANCE, DIVERGED)

    def is_lost(self, errors, rival):
        """Whether a run ends as its learning rate is worse than that of the run `rival`.

        Args:
            errors: its training top-1 error in each epoch so far, percent.
            rival: the best run so far.
        """
        return False

    def smoke(self):
        """The metric of a trial."""
        return self


@dataclasses.dataclass(frozen=True)
class FinalError(Metric):
    """Error of the trained network on the validation images, in percent; compared by the difference.

    Args:
        views: 1 for the centre crop, 10 for ten crops.
        top: 1 or 5.
    """

    views: int = 10
    top: int = 1

    unit = "percentage points"
    no_effect = 0.0
    compare = staticmethod(paired_difference)

    @property
    def name(self):
        return f"top-{self.top} error on {'ten crops' if self.views == 10 else 'the centre crop'} (%)"

    def value(self, run):
        """The error of a run, or `None` for one that diverged and has none."""
        errors = run["errors"].get("ten_crops" if self.views == 10 else "centre_crop", {})
        return errors.get(f"top{self.top}_error")


@dataclasses.dataclass(frozen=True)
class TrainingError(Metric):
    """Top-1 error on the training images in the last epoch, its mean over the epoch, in percent; compared as above."""

    name = "training top-1 error (%)"
    views = 1
    unit = "percentage points"
    no_effect = 0.0
    compare = staticmethod(paired_difference)

    def value(self, run):
        """The error of a run, or `None` for one that diverged."""
        return None if run["ended"] == DIVERGED else run["history"][-1]["top1_error"]


@dataclasses.dataclass(frozen=True)
class EpochSeconds(Metric):
    """Seconds of an epoch, training and validation, the median over a run's; compared by the ratio.

    It says something where nothing else ran on the machine.
    """

    name = "seconds of an epoch"
    views = 1
    unit = "times the seconds"
    no_effect = 1.0
    compare = staticmethod(paired_ratio)

    def value(self, run):
        """Seconds of a run, or `None` for one without a whole epoch."""
        return statistics.median(row["seconds"] for row in run["history"]) if run["history"] else None


@dataclasses.dataclass(frozen=True)
class EpochsToConverge(Metric):
    """Epochs until the validation error is as low as it gets, but for a margin; compared by the ratio.

    Args:
        margin: percentage points above the lowest validation top-1 error of the run.
    """

    margin: float = 1.0

    views = 1
    unit = "times the epochs"
    no_effect = 1.0
    compare = staticmethod(paired_ratio)

    @property
    def name(self):
        return f"epochs until the validation error is within {self.margin:g} points of its lowest"

    def value(self, run):
        """Epochs of a run, or `None` for one that diverged, or that was still getting better when it ended."""
        if run["ended"] == DIVERGED:
            return None
        errors = [row["val_top1_error"] for row in run["history"]]
        epochs = 1 + next(epoch for epoch, error in enumerate(errors) if error <= min(errors) + self.margin)
        return float(epochs) if epochs < len(errors) else None


@dataclasses.dataclass(frozen=True)
class StepsAtChance(Metric):
    """Steps until the loss leaves that of guessing, as `alexnet_keras.training.callbacks.LeavesChance` says; the ratio.

    A run ends after the epoch in which it leaves.
    """

    name = "steps until the loss leaves that of guessing"
    ends_early = True
    views = 1
    unit = "times the steps"
    no_effect = 1.0
    compare = staticmethod(paired_ratio)

    def value(self, run):
        """Steps, or `None` for a run that did not leave."""
        return run["history"][-1]["left_chance_at_step"] or None if run["history"] else None

    def end(self, epoch, row, classes):
        return _REACHED if row["left_chance_at_step"] else None


@dataclasses.dataclass(frozen=True)
class EpochsToError(Metric):
    """Epochs until the training top-1 error, its mean over an epoch, is down to a target; compared by the ratio.

    Between the ends of two epochs it is taken as linear, and at the start as chance. A run ends at the target, or when
    its error is within five points of chance after five epochs. In the search for a learning rate, one that lies five
    points behind the best so far at the same epoch, the third or later, ends as well, one that is too late already, and
    one that is clear of chance, falls ever more slowly, and would come too late even if it went on as fast as in the
    epoch before the last.

    Args:
        target: training top-1 error, percent.
    """

    target: float = 25.0

    ends_early = True
    views = 1
    unit = "times the epochs"
    no_effect = 1.0
    compare = staticmethod(paired_ratio)

    @property
    def name(self):
        return f"epochs to a training error of {self.target:g}%"

    def value(self, run):
        """Epochs, or `None` for a run that did not get there."""
        before = 100.0 * (1 - 1 / run["data"]["classes"])
        for epoch, row in enumerate(run["history"]):
            error = row["top1_error"]
            if error <= self.target:
                return epoch + (max(before - self.target, 0.0) / (before - error) if before > error else 0.0)
            before = error
        return None

    def rank(self, run):
        """Epochs; of those that did not get there, what had the lower error after three epochs."""
        value = self.value(run)
        if value is not None:
            return 0, value
        return (2, 0.0) if run["ended"] == DIVERGED else (1, run["history"][:3][-1]["top1_error"])

    def end(self, epoch, row, classes):
        error = row["top1_error"]
        if error <= self.target:
            return _REACHED
        if epoch >= 5 and not error <= 100 * (1 - 1 / classes) - 5:
            return _CHANCE
        return None

    def is_lost(self, errors, rival):
        theirs, epoch, arrival = [row["top1_error"] for row in rival["history"]], len(errors), self.value(rival)
        if epoch < 3:
            return False
        if epoch <= len(theirs) and not errors[-1] < theirs[epoch - 1] + 5:
            return True
        before, last = errors[-3] - errors[-2], errors[-2] - errors[-1]
        at_chance = errors[-1] > 100 * (1 - 1 / rival["data"]["classes"]) - 5
        if arrival is None or epoch >= arrival:
            return arrival is not None
        if at_chance or last > before:
            return False
        return epoch + (errors[-1] - self.target) / max(before, 1e-9) >= arrival

    def smoke(self):
        return dataclasses.replace(self, target=70.0)
