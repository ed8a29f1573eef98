"""Generated blocks in README and the documentation.

A block stands between two comments: `<!-- begin NAME ARGUMENT... -->` and `<!-- end -->`.
"""

import itertools
import re
import textwrap
from pathlib import Path

from alexnet_keras.files import read_json
from experiments.reporting.claims import CLAIMS
from experiments.reporting.rows import VERDICTS, published_results, rows_of, verdict_counts
from experiments.reporting.speed import speed_sentences
from experiments.reporting.trainings import export_table, first_epochs_table, trainings_table
from experiments.tower_colors import towers_table

_BLOCK = re.compile(r"(<!-- begin ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)
_WIDTH = 100
_HEADLINES = ("relu_vs_tanh", "towers", "overlapping_pooling", "ten_crops", "dropout")


def fill_blocks(text, workdir):
    """Returns a page with its generated blocks written anew.

    Args:
        text: the page.
        workdir: folder of the stored results.

    Raises:
        ValueError: if a block has an unknown name.
    """

    def fill(match):
        name, *arguments = match[2].split()
        if name not in _BLOCKS:
            raise ValueError(
                f"A block must have one of the names {', '.join(_BLOCKS)}. Received: {name!r}"
            )
        return f"{match[1]}\n{_BLOCKS[name](Path(workdir), *arguments)}\n\n{match[3]}"

    return _BLOCK.sub(fill, text)


def _verdicts(workdir):
    counts, _ = verdict_counts(workdir)
    counted = [f"{counts[name]} {name}" for name in VERDICTS if counts[name]]
    return _filled(
        f"Of {counts.total()} comparisons with the papers of AlexNet and VGG: {', '.join(counted)}."
    )


def _headlines(workdir):
    """A line for the first comparison of some claims, which names its variants."""
    lines = ["| claim | the paper | comparison | measured | verdict |", "|---|---|---|---|---|"]
    for experiment in _HEADLINES:
        claim = next(claim for claim in CLAIMS if claim.experiment == experiment)
        row = rows_of([claim], workdir)[0]
        cells = (claim.words, claim.paper, row.names, row.measured, row.verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _results(workdir, *experiments):
    """A line for each comparison of some experiments, and the published errors beside theirs."""
    lines = []
    tables = []
    for experiment in experiments:
        claims = [claim for claim in CLAIMS if claim.experiment == experiment]
        if not claims:
            raise ValueError(
                f"A block `results` must name experiments with a claim. Received: {experiment!r}"
            )
        for row in rows_of(claims, workdir):
            paper = f"; the paper: {row.paper}" if row.paper else ""
            n = f", n = {row.comparison['n']:,}" if row.comparison else ""
            measured = f": {row.measured}{n}{paper}" if row.comparison else ""
            lines.append(
                _filled(
                    f"- {row.names}{measured}. **{row.verdict[0].upper()}{row.verdict[1:]}.**", "  "
                )
            )
        tables.append(published_results(experiment, workdir))
    return "\n\n".join(["\n".join(lines), *filter(None, tables)])


def _table(workdir, path, start=None):
    """Returns a benchmark's text and tables without its command, or the tables with this start."""
    parts = (workdir / path).read_text().strip().split("\n\n")[1:]
    if start is not None:
        pairs = itertools.pairwise(parts)
        parts = [part for text, table in pairs if text.startswith(start) for part in (text, table)]
    return "\n\n".join(part if part.startswith("|") else _filled_lines(part) for part in parts)


def _filled_lines(text):
    """Fills a paragraph, or each item of a list."""
    items = re.split(r"\n(?=- )", text)
    return "\n".join(_filled(item, "  " if item.startswith("- ") else "") for item in items)


def _filled(text, indent=""):
    # A line that begins with "2. " would be an item of a numbered list.
    text = re.sub(r" (\d+\. )", "\N{NO-BREAK SPACE}\\1", text)
    filled = textwrap.fill(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace("\N{NO-BREAK SPACE}", " ")


_BLOCKS = {
    "export": export_table,
    "first-epochs": first_epochs_table,
    "headlines": _headlines,
    "results": _results,
    "speed": lambda workdir: _filled(speed_sentences(workdir)),
    "table": _table,
    "towers": lambda workdir: towers_table(read_json(workdir / "tower_colors" / "results.json")),
    "trainings": trainings_table,
    "verdicts": _verdicts,
}
