"""Writes REPRODUCTION.md: what the paper claims, and what the stored results say of it. Draws their pictures, too.

    python -m experiments.report

It trains nothing; `python -m experiments.NAME` does.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from alexnet_keras.files import read_json, write_text
from experiments.framework.cli import INTERRUPTED, draw, measured, worded
from experiments.framework.statistics import VERDICT_RULE, verdict

_NO_IMAGENET = "needs ImageNet, about 150 GB to be downloaded by hand, and days on two GPUs"
_NO_FALL_2011 = "needs ImageNet as of Fall 2011, 15 million images"
_TRAIN = "python -m experiments.train --dataset imagenet2012 --devices 2 --workdir runs/imagenet --config"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Args:
        words: the claim.
        paper: its figures, in words.
        experiment: the name of the experiment that tests it.
        of: words in the claims of those of its comparisons that do.
        reason: why it cannot be tested here.
        command: what repeats it where the experiment does not; "" where nothing does yet.
    """

    words: str
    paper: str
    experiment: str = ""
    of: str = ""
    reason: str = ""
    command: str = ""


CLAIMS = (
    Claim("ILSVRC-2010 test, ten crops", "37.5 / 17.0", reason=_NO_IMAGENET),
    Claim("ILSVRC-2010 test, centre crop", "39.0 / 18.3", reason=_NO_IMAGENET),
    Claim("ILSVRC-2012 validation, ten crops", "40.7 / 18.2", reason=_NO_IMAGENET, command=f"{_TRAIN} source"),
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
    ),
    Claim("Overlapping pooling", "-0.4 / -0.3", experiment="overlapping_pooling"),
    Claim("Response normalization", "-1.4 / -1.2", experiment="response_normalization"),
    Claim("Two towers against one of half the kernels", "-1.7 / -1.2", experiment="towers", of="lower the errors"),
    Claim("Two towers that never exchange", "2012 source: 41.8 / 19.3", experiment="towers", of="No exchange"),
    Claim("A middle conv layer removed", "about +2 top-1", experiment="depth"),
    Claim("Colour noise", "over 1 top-1", experiment="augmentation", of="Colour noise"),
    Claim("No crops and mirror images", "substantial overfitting", experiment="augmentation", of="overfitting"),
    Claim("No dropout", "substantial overfitting", experiment="dropout", of="overfitting"),
    Claim("Dropout, iterations to converge", "about twice", experiment="dropout", of="iterations"),
    Claim("Weight decay", "lowers the training error", experiment="weight_decay"),
    Claim("Bias of 1", "speeds up the early stage", experiment="initialization"),
    Claim("Ten crops against the centre crop", "39.0 / 18.3 to 37.5 / 17.0", experiment="ten_crops"),
    Claim("Kernels", "GPU 1 colour-agnostic, GPU 2 colour-specific, in every run", experiment="kernels"),
    Claim("Neighbours in the last hidden layer against pixels", "alike, often far in pixels", experiment="neighbours"),
    Claim("Binary codes of activations against codes of pixels", "far better", experiment="codes"),
    Claim("Five networks averaged against one", "40.7 / 18.2 to 38.1 / 16.4", experiment="evaluate"),
    Claim("Five networks averaged, ILSVRC-2012", "38.1 / 16.4", reason=_NO_IMAGENET),
    Claim("Pre-trained and fine-tuned against trained from the start", "40.7 to 39.0 top-1", experiment="fine_tune"),
    Claim(
        "Sixth conv layer, pre-trained on Fall 2011",
        "39.0 / 16.6",
        reason=_NO_FALL_2011,
    ),
    Claim("Seven networks averaged", "36.7 / 15.4", reason=_NO_FALL_2011),
    Claim("Fall 2009, 10,184 classes", "67.4 / 40.9", reason="needs ImageNet as of Fall 2009, 8.9 million images"),
    Claim("VGG: more convolutions", "29.6 (A) to 27.0 (D) top-1", experiment="vgg_depth", of="Deeper"),
    Claim("VGG: 1x1 convolutions more", "28.7 (B) to 28.1 (C) top-1", experiment="vgg_depth", of="1x1 convolutions"),
    Claim("VGG: 3x3 in place of 1x1", "28.1 (C) to 27.0 (D) top-1", experiment="vgg_depth", of="in place of"),
    Claim("VGG: response normalization does not help", "29.6 (A) to 29.7", experiment="vgg_normalization", of="help"),
    Claim("VGG: response normalization costs time", "yes", experiment="vgg_normalization", of="time"),
)


def report(workdir):
    """The text of REPRODUCTION.md.

    Args:
        workdir: folder with the results of the experiments; where it holds a file `data.md`, that is what is said of
            the images that they are of.
    """
    lines = [
        "# What reproduces",
        "",
        "Written by `python -m experiments.report` from `results/*/results.json`, where every run is with its",
        "configuration, seed, library versions, machine and epochs. Errors of the paper are top-1 / top-5 in percent.",
        "Intervals are 95%, of the paired difference or ratio over the same seeds, or over what n says. The verdict's",
        "rule:",
        "",
        VERDICT_RULE,
        "",
        *_words_on_data(Path(workdir)),
        "| claim | paper | measured | verdict | command |",
        "|---|---|---|---|---|",
    ]
    for claim in CLAIMS:
        lines += [f"| {' | '.join(row)} |" for row in _rows(claim, Path(workdir))]
    return "\n".join(lines) + "\n"


def _words_on_data(workdir):
    """What `data.md` in the folder says of the images that its results are of."""
    path = workdir / "data.md"
    return [path.read_text().strip(), ""] if path.exists() else []


def _rows(claim, workdir):
    paths = [workdir / claim.experiment / "results.json", *sorted(workdir.glob(f"*/{claim.experiment}/results.json"))]
    measurements = [(read_json(path, "comparisons"), path) for path in paths if claim.experiment and path.exists()]
    triples = [
        (comparison, results, path)
        for results, path in measurements
        for comparison in worded(results)
        if (comparison["paper"] is not None or comparison.get("side")) and claim.of in comparison["claim"]
    ]
    if claim.reason:
        command = f"`{claim.command}`" if claim.command else ""
        yield claim.words, claim.paper, "", f"not testable here: {claim.reason}", command
    elif not triples:
        yield claim.words, claim.paper, "", "not run yet", ""
    for comparison, results, path in triples:
        dataset = (results.get("runs") or results["models"])[0]["data"]["name"]
        sides = "; ".join(_side(comparison, side, results) for side in ("variant", "baseline"))
        number = f"n = {comparison['n']} {comparison.get('of', '')}".rstrip()
        words = f"{measured(comparison)} ({dataset}, {number}; {sides})"
        command = (
            f"python -m experiments.{claim.experiment}"
            if path == paths[0] and "runs" in results
            else results["command"]
        )
        yield claim.words, claim.paper, words, verdict(comparison, comparison["no_effect"]), f"`{command}`"


def _side(comparison, side, results):
    """A side of a comparison with its mean, where that is of the experiment's own metric."""
    name = comparison[side].removesuffix(",")
    main = results["settings"]["metric"]
    variant = results["variants"].get(name)
    if variant is None or comparison.get("metric", main) != main:
        return name
    mean, deviation = variant["mean"], variant["standard_deviation"]
    if mean is None:
        return f"{name}: not reached"
    count = len(variant.get("values", ()))
    not_all = f" in {variant['n']} of {count} runs" if 0 < variant.get("n", count) < count else ""
    return f"{name}: {mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}") + not_all


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m experiments.report", description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", default="results", help="folder of the experiments' results (default: results)")
    parser.add_argument("--output", default="REPRODUCTION.md", help="file to write (default: REPRODUCTION.md)")
    options = parser.parse_args(arguments)
    if not Path(options.workdir).is_dir():
        sys.exit(f"{parser.prog}: `--workdir` must be a folder with results. Received: {options.workdir!r}")
    try:
        _write(Path(options.workdir), Path(options.output))
    except (ValueError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _write(workdir, output):
    text = report(workdir)
    for path in sorted(workdir.rglob("results.json")):
        results = read_json(path)
        if "comparisons" in results:
            draw(results, path.parent)
            print(f"Pictures of {results['experiment']}: {path.parent}")
    write_text(output, text)
    print(f"Written: {output}")


if __name__ == "__main__":
    main()
