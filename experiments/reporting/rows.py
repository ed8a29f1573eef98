"""The stored comparisons that test the claims, each with its verdict."""

import dataclasses
from collections import Counter
from pathlib import Path

from alexnet_keras.evaluation.statistics import seeds_for_significance, verdict
from alexnet_keras.files import read_json
from experiments.framework.tables import (
    estimate_with_interval,
    is_of_shares,
    published_table,
)
from experiments.reporting.claims import CLAIMS

NOT_TESTABLE = "not testable"
NOT_RUN = "not run yet"
VERDICTS = ("reproduced", "same direction", "not reproduced", NOT_TESTABLE, NOT_RUN)
_SHORT_NAMES = {"energy of conv1 at high frequencies (%)": "noise"}  # of metrics
# Signs of units, by their beginning.
_SIGNS = {"percentage points": "pp", "points of energy": "pp", "times": "×"}


@dataclasses.dataclass(frozen=True)
class Row:
    """A comparison that tests a claim.

    Args:
        claim: the `Claim`.
        verdict: one of `VERDICTS`.
        comparison: the stored comparison; `None` if there is none.
        results: the stored results of its experiment.
        is_main: whether the experiment has its own settings, not settings of another scale.
    """

    claim: object
    verdict: str
    comparison: dict | None = None
    results: dict | None = None
    is_main: bool = True

    @property
    def names(self):
        """What is compared, with the parts that both sides share said once."""
        if self.comparison is None:
            return self.claim.words
        names = _compared(self.comparison["variant"], self.comparison["baseline"], self._metric)
        return names if self.is_main else f"{names}, {self.dataset.split('/')[0]}"

    @property
    def metric(self):
        """What the comparison is of."""
        return self.comparison.get("metric", self.results["settings"]["metric"])

    @property
    def _metric(self):
        """A short name of a metric of both sides, if it is not the experiment's own; else ""."""
        has_two = self.metric != self.comparison.get("baseline_metric", self.metric)
        if has_two or self.metric == self.results["settings"]["metric"]:
            return ""
        if self.comparison["unit"].startswith("times the "):
            return self.comparison["unit"].removeprefix("times the ")
        name = _SHORT_NAMES.get(self.metric, self.metric)
        return name.removesuffix(" (%)").removesuffix(" error on ten crops")

    @property
    def dataset(self):
        """The name of the data set."""
        return (self.results.get("runs") or self.results["models"])[0]["data"]["name"]

    @property
    def measured(self):
        """The estimate with its interval and the sign of its unit."""
        if self.comparison is None:
            return ""
        text = estimate_with_interval(self.comparison)
        if self.comparison["estimate"] is None:
            return text
        number, _, rest = text.partition(" ")
        unit = self.comparison["unit"]
        sign = next(sign for words, sign in _SIGNS.items() if unit.startswith(words))
        return f"{number}{sign} {rest}" if sign == "×" else f"{number} {sign} {rest}"

    @property
    def paper(self):
        """The paper's figure for this comparison."""
        if self.comparison is None or self.comparison["paper"] is None:
            return ""
        return f"{self.comparison['paper']:.2g}"

    @property
    def verdict_with_seeds(self):
        """The verdict; for an effect without significance, with the seeds that it needs."""
        interval = self.comparison and self.comparison["interval"]
        is_open = interval and interval[0] < self.comparison["no_effect"] < interval[1]
        if not is_open or self.verdict == "reproduced":  # the claim may be that there is none
            return self.verdict
        if is_of_shares(self.comparison):
            return self.verdict
        seeds = seeds_for_significance(self.comparison, self.comparison["no_effect"])
        return f"{self.verdict} ({'over 1,000' if seeds is None else seeds})"

    @property
    def command(self):
        """The command that repeats the experiment."""
        if self.is_main and "runs" in self.results:
            return f"python -m experiments.{self.claim.experiment}"
        return self.results["command"]


def rows_of(claims, workdir):
    """Returns the rows of claims.

    Args:
        claims: some `Claim`s.
        workdir: folder with the results of the experiments.
    """
    rows = []
    for claim in claims:
        rows += _rows(claim, Path(workdir))
    return rows


def published_results(experiment, workdir):
    """Returns the results of an experiment beside published ones as Markdown, "" without any.

    Args:
        experiment: name of the experiment.
        workdir: folder with the results of the experiments.
    """
    path = Path(workdir) / experiment / "results.json"
    results = read_json(path) if path.exists() else {"variants": {}}
    table = published_table(results)
    if not table:
        return ""
    dataset = results["runs"][0]["data"]["name"]
    metric = results["settings"]["metric"]
    return f"`{experiment}` on {dataset}, {metric}, beside published values:\n\n{table}"


def verdict_counts(workdir):
    """Returns how often each verdict occurs in claims of the papers, and in claims of ours.

    Args:
        workdir: folder with the results of the experiments.
    """
    rows = rows_of(CLAIMS, workdir)
    of_papers = Counter(row.verdict for row in rows if row.claim.paper is not None)
    of_ours = Counter(row.verdict for row in rows if row.claim.paper is None)
    return of_papers, of_ours


def _rows(claim, workdir):
    if claim.reason:
        return [Row(claim, NOT_TESTABLE)]
    rows = []
    for path in _paths(claim.experiment, workdir):
        results = read_json(path, "comparisons")
        for comparison in map(_with_metrics, results["comparisons"]):
            if _tests_claim(comparison, claim):
                says = verdict(comparison, comparison["no_effect"])
                rows.append(Row(claim, says, comparison, results, path.parent.parent == workdir))
    return rows or [Row(claim, NOT_RUN)]


def _paths(experiment, workdir):
    """The results of an experiment, and those at another scale in a folder of their own."""
    paths = [
        workdir / experiment / "results.json",
        *sorted(workdir.glob(f"*/{experiment}/results.json")),
    ]
    return [path for path in paths if path.exists()]


def _with_metrics(comparison):
    """A comparison whose sides have their metrics in their names where these differ."""
    metric = comparison.get("metric")
    baseline_metric = comparison.get("baseline_metric")
    if metric == baseline_metric:
        return comparison
    variant = f"{comparison['variant']}, {metric}"
    return {
        **comparison,
        "variant": variant,
        "baseline": f"{comparison['baseline']}, {baseline_metric}",
    }


def _tests_claim(comparison, claim):
    has_expectation = comparison["paper"] is not None or bool(comparison.get("side"))
    return has_expectation and claim.of in comparison["claim"]


def _compared(variant, baseline, metric):
    """The names of two variants, with the parts between commas that both share said once."""
    variant = _parts(variant)
    baseline = _parts(baseline)
    before = []
    while len(variant) > 1 and len(baseline) > 1 and variant[0] == baseline[0]:
        before.append(variant.pop(0))
        baseline.pop(0)
    after = [metric] if metric else []
    while len(variant) > 1 and len(baseline) > 1 and variant[-1] == baseline[-1]:
        after.insert(0, variant.pop())
        baseline.pop()
    prefix = f"{', '.join(before)}: " if before else ""
    suffix = "".join(f", {part}" for part in after)
    return f"{prefix}{', '.join(variant)} against {', '.join(baseline)}{suffix}"


def _parts(name):
    """The parts of a variant's name; an error and the views that it is taken on are two parts."""
    name = (
        name.replace(" (%)", "")
        .replace(" error on the ", " error, ")
        .replace(" error on ", " error, ")
    )
    return name.split(", ")
