import numpy as np
from PIL import Image

from experiments.conv1_initialization import EXPERIMENT as STARTS
from experiments.framework.figures import draw, figures
from experiments.framework.kept_kernels import kept_path
from experiments.framework.metrics import ALL_EPOCHS, DIVERGED, HighFrequencyShare
from experiments.tower_colors import EXPERIMENT


def stored(variant, seed, gaps, ended=ALL_EPOCHS):
    """A run whose towers are these points apart after each epoch."""
    config = EXPERIMENT.config(variant, seed=seed)
    measured = {
        "towers": [[50 + gap, 50] for gap in gaps],
        "chance": [4.0] * len(gaps),
        "p": [0.01] * len(gaps),
    }
    return {
        "config": vars(config),
        "network": vars(config.network),
        "ended": ended,
        "measures": {EXPERIMENT.metric.name: measured},
    }


def results_with_diverged_runs():
    names = ("two towers", "halves of one tower")
    comparison = {
        "variant": names[0],
        "baseline": names[1],
        "estimate": 20.0,
        "interval": None,
        "paper": None,
        "n": 1,
        "unit": EXPERIMENT.metric.unit,
        "no_effect": 0.0,
    }
    variant = {"learning_rate": EXPERIMENT.config(names[0]).learning_rate, "learning_rates": []}
    return {
        "experiment": "tower_colors",
        "section": EXPERIMENT.section,
        "target": None,
        "settings": EXPERIMENT.settings,
        "variants": dict.fromkeys(names, variant),
        "comparisons": [comparison],
        "runs": [
            stored(names[0], 0, [0, 10, 30]),
            stored(names[0], 1, [0], DIVERGED),
            stored(names[1], 0, [0], DIVERGED),
        ],
    }


def test_a_diverged_run_has_no_gap_in_the_figure():
    drawn = figures(results_with_diverged_runs())["towers"]
    shown = [axis for axis in drawn.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == ["two towers:\n1 of 1 differ"]
    assert shown[0].lines[0].get_ydata().tolist() == [0, 10, 30]


def test_runs_without_a_value_are_called_by_their_ends():
    results = results_with_diverged_runs()
    rates = [
        {"learning_rate": 0.01, "value": 3.0, "ended": "target reached", "curve": [50]},
        {"learning_rate": 0.02, "value": None, "ended": "early stopped", "curve": [50]},
        {"learning_rate": 0.04, "value": None, "ended": ALL_EPOCHS, "curve": [50]},
        {"learning_rate": 0.08, "value": None, "ended": "at chance", "curve": [50]},
        {"learning_rate": 0.16, "value": None, "ended": DIVERGED, "curve": []},
    ]
    results["variants"]["two towers"] = {"learning_rate": 0.01, "learning_rates": rates}
    results["runs"] = []
    axis, _ = figures(results)["learning_rates"].axes
    drawn = {line.get_label(): list(line.get_xdata()) for line in axis.lines}
    assert drawn["two towers: stopped early"] == [0.02]
    assert drawn["two towers: not reached"] == [0.04, 0.08]
    assert drawn["two towers: diverged"] == [0.16]


def test_the_film_is_of_the_runs_that_did_not_diverge(tmp_path):
    (tmp_path / "kernels").mkdir()
    results = results_with_diverged_runs()
    rate = results["variants"]["two towers"]["learning_rate"]
    for seed, epochs in ((0, [0, 1, 2]), (1, [0])):  # seed 1 diverged in its first epoch
        kernels = np.full((len(epochs), 2, 4, 3, 3, 3), seed, "float16")
        kernels[:, :, :, 0] = np.reshape(epochs, (-1, 1, 1, 1, 1))
        np.savez(kept_path(tmp_path, "two towers", rate, seed), epochs=epochs, kernels=kernels)
    draw(results, tmp_path)
    with Image.open(tmp_path / "kernels_two_towers.gif") as gif:
        assert gif.n_frames == 3
    assert not (tmp_path / "kernels_halves_of_one_tower.png").exists()


def test_kernels_of_some_runs_do_not_replace_the_figure_of_all(tmp_path, capsys):
    (tmp_path / "kernels").mkdir()  # with runs of another variant
    (tmp_path / "kernels_two_towers.png").write_bytes(b"of all runs")
    draw(results_with_diverged_runs(), tmp_path)
    assert (tmp_path / "kernels_two_towers.png").read_bytes() == b"of all runs"
    message = "Kernels of two towers are not drawn, without files of seed 0\n"
    assert message in capsys.readouterr().out


def test_noise_and_error_are_drawn_by_the_start_of_conv1():
    def run(variant, seed, share, error):
        config = STARTS.config(variant, seed=seed)
        return {
            "config": vars(config),
            "network": vars(config.network),
            "ended": ALL_EPOCHS,
            "errors": {"ten_crop": {"top1_error": error}},
            "measures": {HighFrequencyShare.name: share},
        }

    names = ("0.05 of He's, 4 epochs", "1 of He's, 4 epochs")
    variant = {"learning_rate": STARTS.config(names[0]).learning_rate, "learning_rates": []}
    results = {
        "experiment": "conv1_initialization",
        "section": STARTS.section,
        "target": None,
        "settings": STARTS.settings,
        "variants": dict.fromkeys(names, variant),
        "comparisons": [
            {
                "variant": names[0],
                "baseline": names[1],
                "metric": HighFrequencyShare.name,
                "estimate": -50.0,
                "interval": None,
                "paper": None,
                "n": 1,
                "unit": HighFrequencyShare.unit,
                "no_effect": 0.0,
            }
        ],
        "runs": [
            run(names[0], 0, 20.0, 4.0),
            run(names[0], 1, 22.0, 6.0),
            run(names[1], 0, 70.0, 5.0),
        ],
    }
    noise, error = figures(results)["conv1_starts"].axes
    he = (2 / (7 * 7 * 3)) ** 0.5  # of kernels of 7x7 pixels and 3 colors
    np.testing.assert_allclose(noise.lines[0].get_xdata(), [0.05 * he, he])
    assert noise.lines[0].get_ydata().tolist() == [21.0, 70.0]
    assert error.lines[0].get_ydata().tolist() == [5.0, 5.0]
    assert [text.get_text() for text in noise.get_legend().get_texts()] == ["4 epochs"]
    assert [text.get_text() for text in noise.texts] == ["white noise"]
