"""Order of an experiment's runs: the searches for learning rates first, then the seeds."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class RunRequest:
    """The next run of an experiment.

    Args:
        variant: name of the variant.
        learning_rate: learning rate; `None` for the variant's own.
        seed: seed of the run.
        incumbent: best run so far of a search for a learning rate; `None` for any other run.
    """

    variant: str
    learning_rate: float | None
    seed: int
    incumbent: dict | None = None


class LearningRateSearch:
    """Finds a learning rate by trying a grid of rising ones.

    The middle of the grid comes first, so that the others soon have a good one to beat. If the best
    rate is at an end of the grid, the grid grows at this end by its own ratio.

    Args:
        grid: rising learning rates.
        metric: `Metric` that ranks runs.
    """

    def __init__(self, grid, metric):
        middle = (len(grid) - 1) / 2
        self.waiting = sorted(grid, key=lambda rate: abs(grid.index(rate) - middle))
        self.runs = {}  # from a learning rate to its run
        self._metric = metric
        self._most_runs = 3 * len(grid)

    @property
    def best(self) -> float | None:
        """The learning rate of the best run so far, or `None`."""
        return min(self.runs, key=lambda rate: self._metric.rank(self.runs[rate]), default=None)

    @property
    def best_run(self) -> dict | None:
        """The best run so far, or `None`."""
        return self.runs.get(self.best)

    def add(self, rate: float | None, run: dict) -> None:
        """Adds the run of a waiting learning rate."""
        self.waiting.remove(rate)
        self.runs[rate] = run
        if not self.waiting and 1 < len(self.runs) <= self._most_runs:
            self._extend()

    def _extend(self):
        rates = sorted(self.runs)
        best = self.best
        if best not in (rates[0], rates[-1]) or self._metric.failed(self.best_run):
            return
        neighbor = rates[1] if best == rates[0] else rates[-2]
        further = float(f"{best * best / neighbor:.3g}")
        if further not in self.runs:  # of rates that hardly differ, it is one of them
            self.waiting.append(further)


class Progress:
    """Chooses the next run of an experiment, and holds the runs so far.

    A variant whose first seed has no value of the metric gets no further seeds.

    Args:
        experiment: an `Experiment`.
        variants: names of the variants to run.
    """

    def __init__(self, experiment, variants):
        self.experiment = experiment
        self.searches = {
            # The one learning rate of a variant without a grid is its own, `None`.
            variant: LearningRateSearch(
                list(experiment.learning_rates.get(variant, (None,))), experiment.metric
            )
            for variant in variants
        }
        self._repeats = {variant: {} for variant in variants}  # runs of the other seeds
        self._skipped = set()  # pairs of variant and seed

    def next(self) -> RunRequest | None:
        """Returns the next `RunRequest`, or `None` at the end."""
        first_seed, *other_seeds = self.experiment.seeds
        for variant, search in self.searches.items():
            if search.waiting and (variant, first_seed) not in self._skipped:
                return RunRequest(variant, search.waiting[0], first_seed, search.best_run)
        for seed in other_seeds:
            for variant, search in self.searches.items():
                if self._needs(variant, seed):
                    return RunRequest(variant, search.best, seed)
        return None

    def add(self, request: RunRequest, run: dict) -> None:
        """Adds the run that was requested."""
        if request.seed == self.experiment.seeds[0]:
            self.searches[request.variant].add(request.learning_rate, run)
        else:
            self._repeats[request.variant][request.seed] = run

    def skip(self, request: RunRequest) -> None:
        """Leaves out a run, and with the first seed all runs of its variant."""
        self._skipped.add((request.variant, request.seed))

    @property
    def planned(self) -> int:
        """Number of runs from start to end, as far as it is known."""
        searched = sum(len(search.runs) + len(search.waiting) for search in self.searches.values())
        return searched + sum(len(self._other_seeds(variant)) for variant in self.searches)

    @property
    def all_runs(self) -> list[dict]:
        """All runs so far."""
        runs = []
        for variant, search in self.searches.items():
            runs += search.runs.values()
            runs += self._repeats[variant].values()
        return runs

    def runs_of(self, variant: str) -> dict[int, dict]:
        """Returns a dict from seeds to a variant's runs at its best learning rate, if known."""
        search = self.searches[variant]
        if search.waiting:
            return {}
        return {self.experiment.seeds[0]: search.best_run, **self._repeats[variant]}

    def _needs(self, variant, seed):
        """Whether another seed of a variant is to be run."""
        if seed in self._repeats[variant] or (variant, seed) in self._skipped:
            return False
        return not self.searches[variant].waiting and seed in self._other_seeds(variant)

    def _other_seeds(self, variant):
        """Seeds of a variant besides the first one."""
        if self._has_failed(variant):
            return ()
        return self.experiment.seeds[1 : self.experiment.seed_counts.get(variant)]

    def _has_failed(self, variant):
        """Whether the best run of a variant has no value of the metric."""
        search = self.searches[variant]
        return not search.waiting and self.experiment.metric.value(search.best_run) is None
