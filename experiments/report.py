"""Writes REPRODUCTION.md, the claims of the paper with the stored results, and draws their figures.

    python -m experiments.report

It trains nothing; `python -m experiments.NAME` does.
"""

import argparse
import dataclasses
from pathlib import Path

from alexnet_keras.files import read_json, write_text
from experiments.framework.cli import run_command
from experiments.framework.figures import draw
from experiments.framework.statistics import VERDICT_RULE, verdict
from experiments.framework.tables import comparison_text, labeled_comparisons, mean_with_deviation

_NO_IMAGENET = "needs ImageNet, about 150 GB to be downloaded by hand, and days on two GPUs"
_NO_FALL_2011 = "needs ImageNet as of Fall 2011, 15 million images"
_TRAIN = "python -m experiments.train --dataset imagenet2012 --devices 2 --workdir runs/imagenet --preset"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Args:
        words: the claim.
        paper: figures of the paper, as text.
        experiment: name of the experiment that tests it.
        of: text in the claim of a comparison that tests it; "" for all comparisons.
        reason: why it can't be tested here.
        command: command that would test it; "" if there is none.
    """

    words: str
    paper: str
    experiment: str = ""
    of: str = ""
    reason: str = ""
    command: str = ""


CLAIMS = (
    Claim("ILSVRC-2010 test, ten crops", "37.5 / 17.0", reason=_NO_IMAGENET),
    Claim("ILSVRC-2010 test, center crop", "39.0 / 18.3", reason=_NO_IMAGENET),
    Claim(
        "ILSVRC-2012 validation, ten crops",
        "40.7 / 18.2",
        reason=_NO_IMAGENET,
        command=f"{_TRAIN} source",
    ),
    Claim(
        "ReLU against tanh, epochs to 25% training error on CIFAR-10",
        "6 times fewer",
        experiment="relu_vs_tanh",
    ),
    Claim("ReLU against sigmoid, the same", "fewer", experiment="relu_vs_sigmoid"),
    Claim(
        "The same with input, initialization or batch size changed",
        "6 times fewer",
        experiment="relu_vs_tanh_inputs",
    ),
    Claim(
        "Normalization, four-layer network on CIFAR-10, test error",
        "11% with, 13% without",
        experiment="cifar_normalization",
        of="11%",
    ),
    Claim(
        "The same, cuda-convnet's plain networks without augmentation",
        "18% with, 19% without",
        experiment="cifar_normalization",
        of="18%",
    ),
    Claim(
        "Kernels of conv1, started at a twentieth of He's: noise",
        "none in figure 3",
        experiment="conv1_initialization",
        of="noise",
    ),
    Claim(
        "The same: error",
        "not given",
        experiment="conv1_initialization",
        of="error",
    ),
    Claim("Overlapping pooling", "-0.4 / -0.3", experiment="overlapping_pooling"),
    Claim("Response normalization", "-1.4 / -1.2", experiment="response_normalization"),
    Claim(
        "Two towers against one of half the kernels",
        "-1.7 / -1.2",
        experiment="towers",
        of="lower the errors",
    ),
    Claim(
        "Two towers that never exchange",
        "2012 source: 41.8 / 19.3",
        experiment="towers",
        of="No exchange",
    ),
    Claim("A middle conv layer removed", "about +2 top-1", experiment="depth"),
    Claim("Color noise", "over 1 top-1", experiment="augmentation", of="Color noise"),
    Claim(
        "No crops and mirror images",
        "substantial overfitting",
        experiment="augmentation",
        of="overfitting",
    ),
    Claim("No dropout", "substantial overfitting", experiment="dropout", of="overfitting"),
    Claim("Dropout, iterations to converge", "about twice", experiment="dropout", of="iterations"),
    Claim("Weight decay", "lowers the training error", experiment="weight_decay"),
    Claim("Bias of 1", "speeds up the early stage", experiment="initialization"),
    Claim(
        "Ten crops against the center crop", "39.0 / 18.3 to 37.5 / 17.0", experiment="ten_crops"
    ),
    Claim(
        "Kernels", "GPU 1 color-agnostic, GPU 2 color-specific, in every run", experiment="kernels"
    ),
    Claim(
        "Neighbors in the last hidden layer against pixels",
        "alike, often far in pixels",
        experiment="neighbors",
    ),
    Claim("Binary codes of activations against codes of pixels", "far better", experiment="codes"),
    Claim(
        "Five networks averaged against one", "40.7 / 18.2 to 38.1 / 16.4", experiment="evaluate"
    ),
    Claim("Five networks averaged, ILSVRC-2012", "38.1 / 16.4", reason=_NO_IMAGENET),
    Claim(
        "Pre-trained and fine-tuned against trained from the start",
        "40.7 to 39.0 top-1",
        experiment="fine_tune",
    ),
    Claim(
        "Sixth conv layer, pre-trained on Fall 2011",
        "39.0 / 16.6",
        reason=_NO_FALL_2011,
    ),
    Claim("Seven networks averaged", "36.7 / 15.4", reason=_NO_FALL_2011),
    Claim(
        "Fall 2009, 10,184 classes",
        "67.4 / 40.9",
        reason="needs ImageNet as of Fall 2009, 8.9 million images",
    ),
    Claim(
        "VGG: more convolutions", "29.6 (A) to 27.0 (D) top-1", experiment="vgg_depth", of="Deeper"
    ),
    Claim(
        "VGG: 1x1 convolutions more",
        "28.7 (B) to 28.1 (C) top-1",
        experiment="vgg_depth",
        of="1x1 convolutions",
    ),
    Claim(
        "VGG: 3x3 in place of 1x1",
        "28.1 (C) to 27.0 (D) top-1",
        experiment="vgg_depth",
        of="in place of",
    ),
    Claim(
        "VGG: response normalization does not help",
        "29.6 (A) to 29.7",
        experiment="vgg_normalization",
        of="help",
    ),
    Claim(
        "VGG: response normalization costs time", "yes", experiment="vgg_normalization", of="time"
    ),
)


def report(workdir):
    """Returns the text of REPRODUCTION.md.

    Args:
        workdir: folder with the results of the experiments. The text includes its file `data.md`,
            which describes the images, if there is one.
    """
    workdir = Path(workdir)
    lines = [
        "# What reproduces",
        "",
        "`python -m experiments.report` writes this file from `results/*/results.json`. They hold every run with its",
        "configuration, seed, library versions, machine and epochs. Errors of the paper are top-1 / top-5 in percent.",
        "Intervals are 95% intervals of the paired difference or ratio over the same seeds, or over what n names.",
        "",
        "A verdict means:",
        "",
        VERDICT_RULE,
        "",
        *_data_lines(workdir),
        "| claim | paper | measured | verdict | command |",
        "|---|---|---|---|---|",
    ]
    for claim in CLAIMS:
        lines += [f"| {' | '.join(row)} |" for row in _rows(claim, workdir)]
    return "\n".join(lines) + "\n"


def _data_lines(workdir):
    path = workdir / "data.md"
    return [path.read_text().strip(), ""] if path.exists() else []


def _rows(claim, workdir):
    """The rows of a claim in the table, each a tuple of cells."""
    if claim.reason:
        command = f"`{claim.command}`" if claim.command else ""
        return [(claim.words, claim.paper, "", f"not testable here: {claim.reason}", command)]
    rows = []
    for path in _paths(claim.experiment, workdir):
        results = read_json(path, "comparisons")
        for comparison in labeled_comparisons(results):
            if _tests_claim(comparison, claim):
                rows.append(_row(claim, comparison, results, path.parent.parent == workdir))
    return rows or [(claim.words, claim.paper, "", "not run yet", "")]


def _paths(experiment, workdir):
    """The results of an experiment, and those at another scale in a folder of their own."""
    paths = [
        workdir / experiment / "results.json",
        *sorted(workdir.glob(f"*/{experiment}/results.json")),
    ]
    return [path for path in paths if path.exists()]


def _tests_claim(comparison, claim):
    has_expectation = comparison["paper"] is not None or bool(comparison.get("side"))
    return has_expectation and claim.of in comparison["claim"]


def _row(claim, comparison, results, is_main):
    """A row of the table.

    Args:
        claim: a `Claim`.
        comparison: its comparison.
        results: results of the experiment.
        is_main: whether these are the results of the experiment's own settings.
    """
    dataset = (results.get("runs") or results["models"])[0]["data"]["name"]
    sides = "; ".join(_side(comparison, side, results) for side in ("variant", "baseline"))
    number = f"n = {comparison['n']} {comparison.get('of', '')}".rstrip()
    measured = f"{comparison_text(comparison)} ({dataset}, {number}; {sides})"
    has_own_settings = is_main and "runs" in results
    command = (
        f"python -m experiments.{claim.experiment}" if has_own_settings else results["command"]
    )
    return (
        claim.words,
        claim.paper,
        measured,
        verdict(comparison, comparison["no_effect"]),
        f"`{command}`",
    )


def _side(comparison, side, results):
    """A side of a comparison, with its mean if the comparison is in the experiment's own metric."""
    name = comparison[side].removesuffix(",")
    main_metric = results["settings"]["metric"]
    variant = results["variants"].get(name)
    if variant is None or comparison.get("metric", main_metric) != main_metric:
        return name
    runs = len(variant.get("values", ()))
    reached = variant.get("n", runs)
    part = f" in {reached} of {runs} runs" if 0 < reached < runs else ""
    return f"{name}: {mean_with_deviation(variant)}{part}"


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m experiments.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workdir", default="results", help="folder of the experiments' results (default: results)"
    )
    parser.add_argument(
        "--output", default="REPRODUCTION.md", help="file to write (default: REPRODUCTION.md)"
    )
    return run_command(parser, _write, arguments)


def _write(options, command):
    workdir = Path(options.workdir)
    if not workdir.is_dir():
        raise ValueError(
            f"`workdir` must be a folder with results. Received: workdir={options.workdir!r}"
        )
    paths = sorted(workdir.rglob("results.json"))
    print(
        f"Reading {len(paths)} files of stored results in {workdir}. Nothing is trained: `python -m experiments.NAME "
        "--workdir FOLDER` trains an experiment again",
        flush=True,
    )
    text = report(workdir)
    for path in paths:
        results = read_json(path)
        if "comparisons" in results:
            draw(results, path.parent)
            print(f"Figures of {results['experiment']}: {path.parent}")
    write_text(Path(options.output), text)
    print(f"Written: {options.output}")


if __name__ == "__main__":
    main()
