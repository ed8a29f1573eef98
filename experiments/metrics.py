"""What an experiment measures of a run, and how two variants compare in it.

A metric has a `name`, the `views` of the evaluation that it needs, a `target` of the training error or none, a `unit`
and `no_effect` of its comparisons, and tells when a run may end early.
"""

import dataclasses

from experiments.comparison import paired_difference, paired_ratio

_CHANCE = "no better than chance"


@dataclasses.dataclass(frozen=True)
class FinalError:
    """Error of the trained network on the validation images, in percent; compared by the difference.

    Args:
        views: 1 for the centre crop, 10 for ten crops.
        top: 1 or 5.
    """

    views: int = 10
    top: int = 1

    target = None
    unit = "percentage points"
    no_effect = 0.0
    compare = staticmethod(paired_difference)

    @property
    def name(self):
        return f"top-{self.top} error on {'ten crops' if self.views == 10 else 'the centre crop'} (%)"

    def value(self, run):
        """The error of a run."""
        return run["errors"]["ten_crops" if self.views == 10 else "centre_crop"][f"top{self.top}_error"]

    def rank(self, run):
        """Less is better."""
        return self.value(run)

    def end(self, epoch, error, classes):
        """Why a run ends before its last epoch: never."""

    def failed(self, run):
        """Whether a run says nothing on where a better learning rate lies: never."""
        return False

    def is_lost(self, epoch, error, rival):
        """Whether a run can end as it is worse than another: never, the last epochs decide."""
        return False

    def smoke(self):
        """The metric of a trial."""
        return self


@dataclasses.dataclass(frozen=True)
class EpochsToError:
    """Epochs until the training top-1 error, its mean over an epoch, is down to a target; compared by the ratio.

    Between the ends of two epochs it is taken as linear, and at the start as chance. A run ends at the target, or when
    its error is not a number, or within five points of chance after five epochs. In the search for a learning rate, one
    that lies five points behind the best so far at the same epoch, the third or later, ends as well, and one that can
    no longer be the faster.

    Args:
        target: training top-1 error, percent.
    """

    target: float = 25.0

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
        """Less is better; of those that did not get there, what had the lower error after three epochs."""
        value = self.value(run)
        return (0, value) if value is not None else (1, run["history"][:3][-1]["top1_error"])

    def end(self, epoch, error, classes):
        """Why a run ends after `epoch` epochs, or `None`."""
        if error <= self.target:
            return "target reached"
        if epoch >= 5 and not error <= 100 * (1 - 1 / classes) - 5:
            return _CHANCE
        return None

    def failed(self, run):
        """Whether a run says nothing on where a better learning rate lies, as it did not learn at all."""
        return run["ended"] == _CHANCE

    def is_lost(self, epoch, error, rival):
        """Whether a run ends after `epoch` epochs as its learning rate is worse than the rival's."""
        errors = [row["top1_error"] for row in rival["history"]]
        if self.value(rival) is not None and epoch >= len(errors):
            return True
        return 3 <= epoch <= len(errors) and not error < errors[epoch - 1] + 5

    def smoke(self):
        """The metric of a trial, whose target is soon reached."""
        return dataclasses.replace(self, target=70.0)
