import importlib
import json
import re
from pathlib import Path

import pytest

from experiments.framework.tables import comparison_text
from experiments.report import main, pages
from experiments.reporting.blocks import _filled, fill_blocks
from experiments.reporting.claims import CLAIMS
from experiments.reporting.reproduction import reproduction
from experiments.reporting.rows import rows_of

ROOT = Path(__file__).parents[2]


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
    return next(line for line in text.splitlines() if line.startswith("| ") and words in line)


@pytest.fixture
def stored(tmp_path):
    """Stores results of an experiment below a folder."""

    def store(content, name="cifar_normalization"):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(content))
        return tmp_path / "results"

    return store


def test_report_says_what_the_results_say(tmp_path, stored, capsys):
    for interval, expected in (
        ([-2.5, -1.5], "| reproduced |"),
        ([-3.0, 0.5], "| not reproduced ("),
    ):
        folder = stored(results(interval))
        main(["--root", str(tmp_path)])
        text = (tmp_path / "REPRODUCTION.md").read_text()
        line = row(text, "with normalization against without normalization")
        assert expected in line
        assert f"| -2.00 pp [{interval[0]:.2f}, {interval[1]:.2f}] | 3 | -2 |" in line
        assert "\n| with normalization | 20.00 ± 0.50 |\n" in text
        assert "\n| without normalization | 22.00 ± 0.50 |\n" in text
        assert "\npython -m experiments.cifar_normalization\n" in text
    assert (folder / "cifar_normalization" / "comparisons.png").exists()
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"Stored results to read in {folder}: 1. Nothing is trained."


def test_an_error_stands_beside_the_training_error(stored):
    content = results([-2.5, -1.5])
    content["settings"]["metric"] = "top-1 error on ten crops (%)"
    # The mean of the last epochs, 10 and 15; a third run diverged in its first epoch.
    curves = {"0": [90.0, 10.0], "1": [80.0, 15.0], "2": []}
    content["variants"]["with normalization"]["curves"] = curves
    text = reproduction(stored(content))
    assert "\n| with normalization | 20.00 ± 0.50 | 12.5 |\n" in text
    assert "\n| without normalization | 22.00 ± 0.50 |  |\n" in text


def test_published_values_stand_beside_a_single_run_too(stored):
    content = results([-2.5, -1.5])
    content["comparisons"] = []
    content["published"] = {"with normalization": 21.0, "another network": 5.0}
    content["variants"]["with normalization"]["interval"] = None
    folder = stored(content)
    for text in (
        reproduction(folder),
        fill_blocks("<!-- begin results cifar_normalization -->\n<!-- end -->", folder),
    ):
        assert "`cifar_normalization` on cifar10, top-1 error, beside published values:" in text
        assert "| with normalization | 20.00 (one seed) | 21 |" in text
        assert "another network" not in text


def test_a_wheel_says_that_a_checkout_is_needed(tmp_path, stored, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no `benchmarks`
    with pytest.raises(SystemExit, match="`report` must run in the root of a checkout"):
        main(["--root", str(tmp_path)])
    assert not (tmp_path / "REPRODUCTION.md").exists()


def test_the_summary_counts_the_verdicts(stored):
    text = reproduction(stored(results([-2.5, -1.5])))
    not_testable = sum(bool(claim.reason) for claim in CLAIMS)
    ours = 2  # both of them about conv1's initial weights
    for verdict, count, of_ours in (
        ("reproduced", 1, 0),
        ("same direction", 0, 0),
        ("not testable", not_testable, 0),
        ("not run yet", len(CLAIMS) - ours - not_testable - 1, ours),
        ("comparisons", len(CLAIMS) - ours, ours),
    ):
        assert f"\n| {verdict} | {count} | {of_ours} |\n" in text


def test_rows_with_the_same_names_name_their_experiments(stored):
    for name, claim in (("neighbors", "are alike"), ("codes", "retrieve better")):
        content = results([-2.5, -1.5]) | {"experiment": name}
        content["comparisons"][0]["claim"] = claim
        folder = stored(content, name)
    text = reproduction(folder)
    assert "| with normalization against without normalization (`neighbors`) |" in text
    assert "| with normalization against without normalization (`codes`) |" in text
    alone = reproduction(stored(results([-2.5, -1.5])))
    assert "| with normalization against without normalization |" in alone


def test_what_is_not_of_seeds_says_what_of(stored):
    content = results([-0.5, 2.5]) | {
        "command": "python -m experiments.NAME --weights x.keras",
        "variants": {},
    }
    content["models"] = content.pop("runs")
    content["comparisons"][0] |= {
        "paper": None,
        "side": 1,
        "estimate": 1.0,
        "n": 2000,
        "of": "queries of one network",
    }
    text = reproduction(stored(content))
    assert "| 2,000 |" in row(text, "with normalization against")
    assert "n counts queries of one network." in text
    assert "\npython -m experiments.NAME --weights x.keras\n" in text


def test_what_is_said_of_the_data_stands_before_the_tables(stored):
    folder = stored(results([-2.5, -1.5]))
    assert "JPEG" not in reproduction(folder)
    (folder / "data.md").write_text("cifar10 is JPEGs here.\n")
    assert "\n\ncifar10 is JPEGs here.\n\n## " in reproduction(folder)


def test_every_claim_has_a_row_with_a_verdict(tmp_path):
    rows = rows_of(CLAIMS, tmp_path)
    assert [row.claim for row in rows] == list(CLAIMS)
    assert all(
        row.verdict == ("not testable" if row.claim.reason else "not run yet") for row in rows
    )
    text = " ".join(reproduction(tmp_path).split())
    for claim in CLAIMS:
        source = "Our claim" if claim.paper is None else f"The paper: {claim.paper}"
        assert f"- {claim.words}. {source}." in text
        assert claim.reason in text


def test_sides_with_metrics_of_their_own_name_them(stored):
    content = results([-2.5, -1.5])
    metrics = {
        "metric": "top-5 error on ten crops (%)",
        "baseline_metric": "top-5 error on the center crop (%)",
    }
    content["comparisons"][0] |= {"baseline": "with normalization", **metrics}
    text = reproduction(stored(content))
    assert "| with normalization, top-5 error: ten crops against center crop |" in text


def test_another_metric_is_named(stored):
    content = results([-2.5, -1.5])
    content["comparisons"][0] |= dict.fromkeys(
        ("metric", "baseline_metric"), "top-5 error on ten crops (%)"
    )
    assert "| with normalization against without normalization, top-5 |" in reproduction(
        stored(content)
    )


def test_what_is_committed_is_what_the_results_say():
    for path, text in pages(ROOT).items():
        assert path.read_text() == text, (
            f"{path.name} is not what `python -m experiments.report` writes"
        )


def test_no_row_is_wider_than_120_characters_and_all_pictures_exist():
    text = (ROOT / "REPRODUCTION.md").read_text()
    assert max(map(len, text.splitlines())) <= 120
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) >= 10
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_no_line_of_a_list_begins_with_a_number():
    for number in range(60, 100):  # one of these widths ends the line before the paper's figure
        text = _filled(f"- {'x' * number}; the paper: 2. **Not reproduced.**", "  ")
        assert not re.search(r"^ *\d+\. ", text, re.MULTILINE), text
        assert text.replace("\n  ", " ") == f"- {'x' * number}; the paper: 2. **Not reproduced.**"


def test_the_unit_of_every_metric_has_a_sign(stored):
    units = set()
    for name in {claim.experiment for claim in CLAIMS if claim.experiment}:
        module = importlib.import_module(f"experiments.{name}")
        if hasattr(module, "EXPERIMENT"):
            units |= {metric.unit for metric in module.EXPERIMENT.metrics}
    assert {"percentage points", "points of energy", "times the epochs"} <= units
    for unit in units:
        content = results([-2.5, -1.5])
        content["comparisons"][0]["unit"] = unit
        sign = "×" if unit.startswith("times") else " pp"
        line = row(reproduction(stored(content)), "with normalization against")
        assert f"| -2.00{sign} [-2.50, -1.50] |" in line


def test_a_block_is_written_anew_and_what_is_around_it_stays(stored):
    folder = stored(results([-2.5, -1.5]))
    page = "before\n<!-- begin results cifar_normalization -->\nold\n<!-- end -->\nafter\n"
    filled = fill_blocks(page, folder)
    assert filled.startswith("before\n") and filled.endswith("\nafter\n")
    assert "old" not in filled
    line = "- with normalization against without normalization: -2.00 pp [-2.50, -1.50], n = 3;"
    assert f"{line} the paper: -2. **Reproduced.**" in " ".join(filled.split())
    assert fill_blocks(filled, folder) == filled


def test_seeds_are_counted_for_differences_but_not_for_shares_of_runs(stored):
    content = results([-5.0, 1.0])
    (comparison,) = content["comparisons"]
    line = row(reproduction(stored(content)), "with normalization against")
    # The half width of 3 is 4.303 / sqrt(3) deviations of 1.21. The power of the t-test for -2 is
    # then 79% with five seeds and 90% with six.
    assert line.endswith("| not reproduced (6) |")
    assert comparison_text(comparison).endswith(", not significant (about 6 seeds needed)")
    comparison["metric"] = comparison["baseline_metric"] = "differing towers (%)"
    line = row(reproduction(stored(content)), "with normalization against")
    assert line.endswith("| not reproduced |")
    assert comparison_text(comparison).endswith(", not significant")


def test_headlines_name_the_comparison(stored):
    folder = stored(results([2.5, 3.5]), "relu_vs_tanh")
    filled = fill_blocks("<!-- begin headlines -->\n<!-- end -->\n", folder)
    names = results([2.5, 3.5])["comparisons"][0]
    line = row(filled, f"{names['variant']} against {names['baseline']}")
    assert line.startswith("| ReLU reaches 25% training error on CIFAR-10 faster than tanh")


def test_a_list_below_a_table_keeps_its_items(tmp_path):
    (tmp_path / "speed.md").write_text("command\n\n- one " + "word " * 30 + "\n- two\n")
    filled = fill_blocks("<!-- begin table speed.md -->\n<!-- end -->\n", tmp_path)
    first, *more, last = filled.splitlines()[2:-2]
    assert first.startswith("- one word") and len(first) <= 100
    assert all(line.startswith("  word") for line in more) and last == "- two"


def test_an_unknown_block_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="Received: 'resluts'"):
        fill_blocks("<!-- begin resluts towers -->\n<!-- end -->\n", tmp_path)


def test_the_experiment_of_a_block_must_exist(tmp_path):
    with pytest.raises(ValueError, match="Received: 'tower'"):
        fill_blocks("<!-- begin results tower -->\n<!-- end -->\n", tmp_path)
