from experiments.framework.figures import figures
from experiments.framework.metrics import ALL_EPOCHS, DIVERGED
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


def test_a_diverged_run_has_no_gap_in_the_figure():
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
    results = {
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
    drawn = figures(results)["towers"]
    shown = [axis for axis in drawn.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == ["two towers:\n1 of 1 part"]
    assert shown[0].lines[0].get_ydata().tolist() == [0, 10, 30]
