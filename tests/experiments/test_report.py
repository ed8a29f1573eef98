import json
from pathlib import Path

from experiments.report import CLAIMS, main, report


def results(interval):
    variants = {
        name: {
            "mean": mean,
            "standard_deviation": 0.5,
            "learning_rate": 0.01,
            "learning_rates": [],
            "curves": {},
        }
        for name, mean in (("with normalization", 20.0), ("without normalization", 22.0))
    }
    comparison = {
        "variant": "with normalization",
        "baseline": "without normalization",
        "paper": -2.0,
        "claim": "11% with normalization",
        "estimate": -2.0,
        "interval": interval,
        "n": 3,
        "unit": "percentage points",
        "no_effect": 0.0,
    }
    return {
        "experiment": "cifar_normalization",
        "section": "section 3.3",
        "target": None,
        "settings": {"metric": "top-1 error"},
        "variants": variants,
        "comparisons": [comparison],
        "runs": [{"data": {"name": "cifar10"}}],
    }


def row(text, words):
    return next(line for line in text.splitlines() if words in line)


def test_report_says_what_the_results_say(tmp_path, capsys):
    folder = tmp_path / "results" / "cifar_normalization"
    folder.mkdir(parents=True)
    for interval, expected in (
        ([-2.5, -1.5], "| reproduced |"),
        ([-3.0, 0.5], "| not reproduced |"),
    ):
        (folder / "results.json").write_text(json.dumps(results(interval)))
        main(["--workdir", str(tmp_path / "results"), "--output", str(tmp_path / "R.md")])
        line = row((tmp_path / "R.md").read_text(), "four-layer network")
        assert expected in line
        assert f"-2.00 [{interval[0]:.2f}, {interval[1]:.2f}] percentage points" in line
        assert "(cifar10, n = 3;" in line
        assert ("seeds needed)" in line) == (interval[1] > 0)
        assert "with normalization: 20.00 ± 0.50" in line
        assert "`python -m experiments.cifar_normalization`" in line
    assert (folder / "comparisons.png").exists()
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(
        f"Reading 1 files of stored results in {tmp_path / 'results'}. Nothing is trained"
    )


def test_what_is_not_of_seeds_says_what_of(tmp_path):
    (tmp_path / "neighbors").mkdir()
    content = results([-0.5, 2.5]) | {
        "command": "python -m experiments.neighbors --weights x.keras",
        "variants": {},
    }
    content["models"] = content.pop("runs")
    content["comparisons"][0] |= {
        "paper": None,
        "side": 1,
        "estimate": 1.0,
        "n": 20,
        "of": "queries of one network",
    }
    (tmp_path / "neighbors" / "results.json").write_text(json.dumps(content))
    line = row(report(tmp_path), "Neighbors in")
    assert "(cifar10, n = 20 queries of one network;" in line
    assert "queries of one network needed)" in line
    assert "| `python -m experiments.neighbors --weights x.keras` |" in line


def test_what_is_said_of_the_data_stands_before_the_table(tmp_path):
    assert "JPEG" not in report(tmp_path)
    (tmp_path / "data.md").write_text("cifar10 is JPEGs here.\n")
    assert "\n\ncifar10 is JPEGs here.\n\n| claim |" in report(tmp_path)


def test_every_claim_has_a_row_with_a_verdict(tmp_path):
    text = report(tmp_path)
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(lines) == len(CLAIMS)
    for claim, line in zip(CLAIMS, lines, strict=True):
        assert (f"not testable here: {claim.reason}" if claim.reason else "not run yet") in line


def test_what_is_committed_is_what_the_results_say():
    root = Path(__file__).parents[2]
    assert report(root / "results") == (root / "REPRODUCTION.md").read_text()


def test_another_metric_has_no_mean_of_the_experiments_own(tmp_path):
    folder = tmp_path / "cifar_normalization"
    folder.mkdir()
    content = results([-2.5, -1.5])
    content["comparisons"][0] |= dict.fromkeys(("metric", "baseline_metric"), "top-5 error")
    (folder / "results.json").write_text(json.dumps(content))
    line = row(report(tmp_path), "four-layer network")
    assert "with normalization, top-5 error; without normalization)" in line
    assert "22.00" not in line
