"""The text of REPRODUCTION.md."""

import statistics
import textwrap
from collections import Counter
from pathlib import Path

from alexnet_keras.evaluation.statistics import VERDICT_RULE
from experiments.framework.tables import mean_with_deviation
from experiments.reporting.claims import GROUPS
from experiments.reporting.rows import VERDICTS, published_results, rows_of, verdict_counts

_WIDTH = 100
_HEADER = """\
# What reproduces

[`python -m experiments.report`](experiments/report.py) writes this page from the stored results,
which hold every run with its configuration, seed, library versions, machine and epochs. It trains
nothing.
"""
_SIGNS = """\
Errors of the paper are top-1 / top-5 in percent. "pp" are percentage points, "×" is a ratio.
Square brackets are 95% intervals of the paired difference or ratio over n seeds, unless the text
names another unit, such as images. Below each table are the means of the variants, with standard
deviations. The training error is the error of the last epoch. It is measured during training, with
dropout and augmentation. If it is far below the error on other images, the network overfits.
"""


def reproduction(workdir):
    """Returns the text of REPRODUCTION.md.

    Args:
        workdir: folder with the results of the experiments. The text includes its file `data.md`,
            which describes the images, if there is one.
    """
    workdir = Path(workdir)
    parts = [_HEADER, _summary(workdir), "## How to read the tables\n", VERDICT_RULE + "\n", _SIGNS]
    if (workdir / "data.md").exists():
        parts.append((workdir / "data.md").read_text().strip() + "\n")
    parts += [_section(group, workdir) for group in GROUPS]
    return "\n".join(parts)


def _summary(workdir):
    of_papers, of_ours = verdict_counts(workdir)
    lines = ["| verdict | claims of the papers | claims of ours |", "|---|---|---|"]
    lines += [f"| {name} | {of_papers[name]} | {of_ours[name]} |" for name in VERDICTS]
    lines.append(f"| comparisons | {of_papers.total()} | {of_ours.total()} |")
    return "\n".join(lines) + "\n"


def _section(group, workdir):
    lines = [f"## {group.title}", ""]
    for claim in group.claims:
        source = "Our claim" if claim.paper is None else f"The paper: {claim.paper}"
        lines += _wrapped(f"- {claim.words}. {source}.", "  ")
    for path, description in group.pictures.items():
        if (workdir / path).exists():
            lines += ["", f"![{description}](results/{path})"]
    rows = rows_of(group.claims, workdir)
    measured = [row for row in rows if row.comparison]
    if measured:
        lines += ["", "| comparison | measured | n | paper | verdict |", "|---|---|---|---|---|"]
        counts = Counter(row.names for row in measured)
        lines += [f"| {' | '.join(_cells(row, counts[row.names] == 1))} |" for row in measured]
        lines += ["", *_details(measured)]
    for experiment in dict.fromkeys(claim.experiment for claim in group.claims):
        published = experiment and published_results(experiment, workdir)
        lines += ["", published] if published else []
    lines += _unmeasured(rows)
    return "\n".join(lines) + "\n"


def _cells(row, is_unique):
    """The cells of a row; names that are not unique are followed by the experiment's."""
    names = row.names if is_unique else f"{row.names} (`{row.results['experiment']}`)"
    return names, row.measured, f"{row.comparison['n']:,}", row.paper, row.verdict_with_seeds


def _details(rows):
    """What was measured on which data, the means of the variants, and the commands."""
    by_command = {}
    for row in rows:
        by_command.setdefault(row.command, []).append(row)
    lines = []
    for same in by_command.values():
        lines += [*_wrapped(_described(same), ""), ""]
        means = _means(same[0].results)
        lines += [*means, ""] if means else []
    lines.append("```sh")
    for command in by_command:
        lines += _wrapped_command(command)
    return [*lines, "```"]


def _described(rows):
    """Returns the data set and the metrics of one experiment."""
    results = rows[0].results
    metric = results["settings"]["metric"]
    others = list(dict.fromkeys(row.metric for row in rows if row.metric != metric))
    text = f"`{results['experiment']}` on {rows[0].dataset}, {metric}."
    if others:
        text += f" Also: {'; '.join(others)}."
    if "of" in rows[0].comparison:
        text += f" n counts {rows[0].comparison['of']}."
    return text


def _means(results):
    """A table with the means of the variants, and their training errors if they were measured."""
    metric = results["settings"]["metric"]
    variants = _variants(results)
    errors = [_training_error(variant, metric) for _, variant in variants]
    header = ["variant", "mean", *(["training error"] if any(errors) else [])]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for (name, variant), error in zip(variants, errors, strict=True):
        cells = [name, f"{mean_with_deviation(variant)}{_reached(variant)}", error]
        lines.append(f"| {' | '.join(cells[: len(header)])} |")
    return lines if variants else []


def _variants(results):
    """The variants that are compared, with their names."""
    compared = [
        comparison[side]
        for comparison in results["comparisons"]
        for side in ("variant", "baseline")
    ]
    return [
        (name, results["variants"][name])
        for name in dict.fromkeys(compared)
        if name in results["variants"]
    ]


def _training_error(variant, metric):
    """The mean training error of the last epoch, for a metric that is an error on other images."""
    # A run that diverged in its first epoch has an empty curve.
    last = [curve[-1] for curve in variant.get("curves", {}).values() if curve]
    if not last or " error on " not in metric:
        return ""
    return f"{statistics.mean(last):.1f}"


def _reached(variant):
    runs = len(variant.get("values", ()))
    reached = variant.get("n", runs)
    return f" in {reached} of {runs} runs" if 0 < reached < runs else ""


def _unmeasured(rows):
    """Lines about the claims without a measured comparison, one for each reason."""
    by_reason = {}
    for row in rows:
        if row.claim.reason:
            by_reason.setdefault(f"Not testable here, as it {row.claim.reason}", []).append(
                row.claim.words
            )
        elif row.comparison is None:
            by_reason.setdefault("Not run yet", []).append(row.claim.words)
    lines = []
    for reason, claims in by_reason.items():
        lines += _wrapped(f"{reason}: {'; '.join(claims)}.", "")
        lines.append("")
    return ["", *lines[:-1]] if lines else []


def _wrapped(text, indent):
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _wrapped_command(command):
    lines = textwrap.wrap(
        command, _WIDTH - 2, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]
