import pytest

from experiments.cifar_normalization import EXPERIMENT
from experiments.framework.cli import main
from experiments.framework.experiment import run_key
from experiments.framework.progress import Progress
from experiments.framework.tables import table


def differences(variant, baseline):
    """The fields of training and network in which two variants differ."""
    keys = [run_key(EXPERIMENT.config(name)) for name in (variant, baseline)]
    first, second = ({**key, **key["network"], "network": None} for key in keys)
    return {name for name in first if first[name] != second[name]}


def test_the_pairs_differ_as_the_published_files_do():
    changes = {"normalization", "filters", "layer_weight_decay"}
    assert differences("11% network", "13% network") == changes
    own_length = {"epochs", "lr_milestones"}
    assert differences("11% network, 520 epochs", "11% network") == own_length
    assert differences("18% network", "19% network") == {"normalization", "layer_weight_decay"}


def test_the_nine_and_ten_crops_are_measured():
    views = EXPERIMENT.config("13% network").test_views
    assert set(views) == {"center", "nine_crop", "ten_crop"}


def test_the_longest_run_is_run_once():
    progress = Progress(EXPERIMENT, tuple(EXPERIMENT.variants))
    assert progress.planned == 5 + 4 + 4
    asked = []
    while (request := progress.next()) is not None:
        asked.append((request.variant, request.seed))
        errors = {view: {"top1_error": 12.0} for view in ("nine_crop", "ten_crop")}
        progress.add(request, {"errors": errors, "config": {"learning_rate": 0.001}})
    assert len(asked) == 13
    assert [seed for variant, seed in asked if variant == "11% network, 520 epochs"] == [0]
    assert [seed for variant, seed in asked if variant == "11% network"] == [0, 1, 2]


def test_another_preset_is_refused():
    with pytest.raises(SystemExit, match="`preset` must be left out: .* Received: preset='cifar'"):
        main(EXPERIMENT, "", ["--preset", "cifar"])


def test_the_table_has_published_values_and_other_metrics():
    def variant(mean, interval, ten_crops):
        return {
            "learning_rate": 0.001,
            "mean": mean,
            "interval": interval,
            "standard_deviation": 0.4,
            "n": 2,
            "values": {"0": mean, "1": mean},
            "others": {"top-1 error on ten crops (%)": ten_crops},
        }

    results = {
        "settings": {"metric": "top-1 error on nine crops (%)"},
        "variants": {
            "13% network": variant(13.2, [12.6, 13.8], {"0": 13.0, "1": 13.2}),
            "11% network": variant(11.1, [10.9, 11.3], {"0": 11.0, "1": None}),
            "19% network": variant(19.1, [18.9, 19.3], {"0": None, "1": None}),
        },
        "published": {"13% network": 13.0, "11% network": 11.0, "18% network": 18.0},
        "comparisons": [],
    }
    lines = table(results).splitlines()
    assert "| 13% network | 13.20 [12.60, 13.80] | 13 |" in lines
    assert "| 11% network | 11.10 [10.90, 11.30] | 11 |" in lines
    assert not [line for line in lines if line.startswith("| 18% network")]
    assert "| variant | top-1 error on ten crops (%) |" in lines
    # The mean of 13.0 and 13.2, and their sample deviation 0.1 * sqrt(2).
    assert "| 13% network | 13.10 ± 0.14 |" in lines
    assert "| 19% network | no value |" in lines
    assert "| 11% network | 11.00 |" in lines
