from experiments.tower_colors import EXPERIMENT, towers_table


def stored(variant, seed, towers, chance, p, ended="all epochs"):
    config = EXPERIMENT.config(variant, seed=seed)
    return {
        "config": vars(config),
        "network": vars(config.network),
        "ended": ended,
        "measures": {EXPERIMENT.metric.name: {"towers": towers, "chance": chance, "p": p}},
    }


def test_the_table_counts_the_runs_whose_towers_part():
    one = "halves of one tower"
    runs = [
        stored("two towers", 0, [[60, 60], [30, 50], [10, 50]], [1, 5, 8], [0.5, 0.04, 0.01]),
        stored("two towers", 1, [[60, 60], [50, 30], [60, 20]], [1, 5, 8], [0.04, 0.5, 0.01]),
        stored("two towers", 2, [[60, 60], [50, 30], [30, 20]], [1, 5, 11], [0.04, 0.01, 0.06]),
        stored("two towers", 3, [[60, 60]], [1], [0.01], "NaN loss"),
        stored(one, 0, [[60, 60], [50, 30], [30, 31]], [1, 5, 4], [0.04, 0.01, 0.9]),
    ]
    variant = {"learning_rate": EXPERIMENT.config(one).learning_rate}
    results = {
        "settings": EXPERIMENT.settings,
        "variants": {"two towers": variant, one: variant},
        "runs": runs,
    }
    lines = towers_table(results).splitlines()
    # Gaps of 40, 40 and 10. The towers of seed 0 differ after epoch 1, of seed 1 after epoch 2; in
    # seed 1 tower 1 is the colorful one.
    assert lines[2:] == [
        "| two towers | 2 of 3 | 30.0 | 9.0 | 1.5 (1 to 2) | 1 of 2 |",
        "| halves of one tower | 0 of 1 | 1.0 | 4.0 |  |  |",
    ]
