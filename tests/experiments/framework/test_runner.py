import dataclasses
import json
import types

import pytest

from alexnet_keras.files import holding
from alexnet_keras.record import as_stored
from experiments import cifar_normalization
from experiments.framework.cli import main
from experiments.framework.experiment import (
    PRETRAINED,
    Comparison,
    Experiment,
    run_key,
    stored_run_key,
)
from experiments.framework.metrics import EpochsToError, FinalError
from experiments.framework.runner import ExperimentRunner
from experiments.framework.tables import table

UNUSED = ("parameters", "machine", "versions")


@pytest.fixture
def trained(monkeypatch):
    """Puts a trainer in place of the real one whose error falls in a straight line; the list of what it trained."""
    trained = []

    def train(config, workdir, callbacks, verbose):
        activation = config.network.activation
        # At its best rate an activation needs `best` epochs from 90% to 25%, and one more for each halving away.
        best, rate = {"relu": (3.5, 0.04), "tanh": (7.25, 0.01), "sigmoid": (None, 0.1)}[activation]
        trained.append((activation, config.learning_rate, config.seed))
        if config.learning_rate > 1:
            error = FloatingPointError("The loss is nan")
            error.results = {"data": {"classes": 10}, "errors": {}, "history": [], "seconds": 1.0}
            error.results |= {
                "config": json.loads(json.dumps(vars(config))),
                **dict.fromkeys(UNUSED),
            }
            workdir.mkdir(parents=True)
            raise error
        workdir.mkdir(parents=True)
        model = types.SimpleNamespace(output_shape=(None, 10), stop_training=False)
        callbacks[0].set_model(model)
        history = []
        for epoch in range(config.epochs):
            away = max(config.learning_rate / rate, rate / config.learning_rate)
            needed = None if best is None else best + away - 1 + 0.125 * config.seed
            error = 89.0 if needed is None else 90 - 65 * (epoch + 1) / needed
            history.append({"top1_error": max(error, 1.0)})
            (workdir / "history.csv").write_text(
                "\n".join(["top1_error", *(str(row["top1_error"]) for row in history)])
            )
            callbacks[0].on_epoch_end(epoch, history[-1])
            if model.stop_training:
                break
        return {
            "config": json.loads(json.dumps(vars(config))),
            "data": {"classes": 10},
            "parameters": 1,
            "machine": {},
            "versions": {},
            "seconds": 1.0,
            "errors": {"center": {"top1_error": 50.0}},
            "history": history,
        }

    monkeypatch.setattr("alexnet_keras.training.train.train_and_evaluate", train)
    monkeypatch.setattr("keras.utils.clear_session", lambda: None)
    return trained


def experiment(name="speed", seeds=(0, 1), **base):
    activations = ("relu", "tanh", "sigmoid")
    return Experiment(
        name=name,
        section="figure 1",
        base={"preset": "four_layer", "epochs": 20, **base},
        variants={
            activation: {"overrides": {"activation": activation}} for activation in activations
        },
        comparisons=(
            Comparison("tanh", "relu", 6.0, "six times"),
            Comparison("sigmoid", "relu", None, "slower"),
        ),
        metric=EpochsToError(25.0),
        seeds=seeds,
        learning_rates={"relu": (0.01, 0.02), "tanh": (0.005, 0.01, 0.02), "sigmoid": (0.1,)},
    )


def runner(tmp_path, **options):
    return ExperimentRunner(experiment(**options), tmp_path / "results", tmp_path / "scratch")


def test_searches_compares_and_stores(trained, tmp_path, capsys):
    results = runner(tmp_path).run()
    first, *others = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("Run ")
    ]
    assert (
        first == "Run 1 of 9: relu, learning rate 0.01, seed 0"
    )  # 2 + 3 + 1 rates, and another seed of each variant
    assert len(others) == 9 and all(
        "min left: " in line for line in others
    )  # relu's grid went on by two
    variants = results["variants"]
    # The grid of relu goes on beyond its end until the neighbors of the best are worse.
    assert [rate["learning_rate"] for rate in variants["relu"]["learning_rates"]] == [
        0.01,
        0.02,
        0.04,
        0.08,
    ]
    assert [len(rate["curve"]) for rate in variants["relu"]["learning_rates"]][
        2
    ] == 4  # three and a half epochs
    assert variants["relu"]["learning_rate"] == 0.04
    assert variants["tanh"]["learning_rate"] == 0.01
    assert variants["relu"]["values"] == {"0": pytest.approx(3.5), "1": pytest.approx(3.625)}
    assert variants["tanh"]["mean"] == pytest.approx(7.3125)
    comparison = results["comparisons"][0]
    assert comparison["estimate"] == pytest.approx((7.25 / 3.5 * 7.375 / 3.625) ** 0.5)
    assert comparison["n"] == 2
    # What never gets there gets no second seed, and no figure.
    assert variants["sigmoid"]["values"] == {"0": None}
    assert results["comparisons"][1]["estimate"] is None
    ended = {run["ended"] for run in results["runs"]}
    assert ended == {"target reached", "slower than another learning rate", "no better than chance"}
    assert results == json.loads((tmp_path / "results" / "speed" / "results.json").read_text())
    assert "| relu | 0.04 | 3.56 ± 0.09 | 2 |" in table(results)
    variants["relu"] |= {"n": 1, "values": {"0": 3.5, "1": None}}
    assert "| relu | 0.04 | 3.56 ± 0.09 | 1 of 2, the others not reached |" in table(results)
    assert len(trained) == len(set(trained)) == 4 + 3 + 1 + 2


def test_a_second_call_repeats_nothing(trained, tmp_path):
    first = runner(tmp_path).run()
    before = list(trained)
    assert runner(tmp_path).run() == first
    assert trained == before


def test_goes_on_where_it_was_stopped(trained, tmp_path, monkeypatch):
    whole = ExperimentRunner(experiment(), tmp_path / "whole", tmp_path / "scratch").run()
    count = len(trained)
    original = ExperimentRunner._train

    def dies(self, request, config):
        if len(trained) == count + 5:
            raise KeyboardInterrupt
        return original(self, request, config)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ExperimentRunner, "_train", dies)
        runner(tmp_path).run()
    assert (
        len(json.loads((tmp_path / "results" / "speed" / "results.json").read_text())["runs"]) == 5
    )
    parts = runner(tmp_path).run()
    assert len(trained) == 2 * count
    assert parts["variants"] == whole["variants"]


def test_says_first_what_is_stored_and_what_trains_it_again(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def lines(name, *arguments):
        main(experiment(name, dataset="cifar10"), "", [*arguments, "--workdir", "out"])
        return capsys.readouterr().out.splitlines()

    assert lines("speed", "--variants", "tanh")[0] == "No run is stored in out. Training 4 runs"
    stored, source, again, *training = lines("speed")
    assert stored == "4 of 9 runs are stored and not trained again. Training the other 5"
    assert source == "  4 from out/speed/results.json"
    assert again == "To train all runs again: python -m experiments.speed --workdir runs/again"
    assert next(line for line in training if line.startswith("Run ")).startswith("Run 1 of 5: relu")
    count = len(trained)
    (tmp_path / "runs" / "again").mkdir(parents=True)
    stored, source, again, *others = lines("other", "--seeds", "0", "1")
    assert stored == "10 of 10 runs are stored and not trained again. Nothing is trained"
    assert source == "  10 from out/speed/results.json"
    assert (
        again
        == "To train all runs again: python -m experiments.other --seeds 0 1 --workdir runs/again_2"
    )
    assert not any(line.startswith("Run ") for line in others)
    assert len(trained) == count


def test_two_processes_do_not_run_one_experiment(trained, tmp_path):
    with (
        holding(tmp_path / "results" / "speed"),
        pytest.raises(ValueError, match="no other process uses"),
    ):
        runner(tmp_path).run()
    assert trained == []


def test_more_seeds_keep_the_runs(trained, tmp_path):
    runner(tmp_path).run()
    before = len(trained)
    results = runner(tmp_path, seeds=(0, 1, 2)).run()
    assert len(trained) == before + 2
    assert results["variants"]["relu"]["n"] == 3


def test_some_variants_first(trained, tmp_path):
    part = ExperimentRunner(
        experiment(), tmp_path / "results", tmp_path / "scratch", variants=["tanh"]
    ).run()
    assert list(part["variants"]) == ["tanh"]
    assert part["comparisons"] == []
    ExperimentRunner(
        experiment(), tmp_path / "results", tmp_path / "scratch", variants=["relu"]
    ).run()
    before = len(trained)
    whole = runner(tmp_path).run()
    assert len(trained) == before + 1  # sigmoid
    assert whole["variants"]["tanh"] == part["variants"]["tanh"]
    assert whole["comparisons"][0]["n"] == 2


def test_experiments_share_runs(trained, tmp_path):
    runner(tmp_path).run()
    before = list(trained)
    results = runner(tmp_path, name="other").run()
    assert trained == before
    assert (tmp_path / "results" / "other" / "results.json").exists()
    assert len(results["runs"]) == len(before)


def test_other_settings_leave_the_results_alone(trained, tmp_path):
    runner(tmp_path).run()
    path = tmp_path / "results" / "speed" / "results.json"
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"batch_size of relu: stored 128, requested 32"):
        runner(tmp_path, batch_size=32)
    assert path.read_bytes() == before


def test_a_variant_without_results_may_change(trained, tmp_path):
    ExperimentRunner(
        experiment(), tmp_path / "results", tmp_path / "scratch", variants=["relu", "tanh"]
    ).run()
    longer = experiment()
    longer.variants["sigmoid"]["epochs"] = 30
    assert (
        "sigmoid"
        in ExperimentRunner(longer, tmp_path / "results", tmp_path / "scratch").run()["variants"]
    )
    longer.variants["tanh"]["epochs"] = 30
    with pytest.raises(ValueError, match=r"epochs of tanh: stored 20, requested 30"):
        ExperimentRunner(longer, tmp_path / "results", tmp_path / "scratch")


def test_the_command_line_counts_for_all_variants(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = experiment(dataset="cifar10")
    own.variants["tanh"]["epochs"] = 12
    assert [own.config(variant).epochs for variant in ("relu", "tanh")] == [20, 12]
    results = main(own, "", ["--epochs", "4", "--workdir", "out"])
    assert {run["config"]["epochs"] for run in results["runs"]} == {4}
    assert {run["network"]["activation"] for run in results["runs"]} == {"relu", "tanh", "sigmoid"}


def test_another_preset_takes_the_place_of_the_base(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = experiment(dataset="cifar10", overrides={"filters": (8,) * 6})
    rates = ["--learning-rates", "0.01", "--bias-learning-rate", "0.02"]
    results = main(own, "", ["--preset", "small", "--epochs", "4", *rates, "--workdir", "out"])
    for run in results["runs"]:
        assert (run["config"]["learning_rate"], run["config"]["bias_learning_rate"]) == (0.01, 0.02)
        assert run["network"]["filters"] == [32, 64, 96, 96, 64, 64]
        assert (run["config"]["crop_size"], run["config"]["dataset"]) == (56, "cifar10")


def test_a_run_that_ended_early_is_no_measurement_of_the_final_error(trained, tmp_path):
    runner(tmp_path).run()
    before = len(trained)
    final = dataclasses.replace(
        experiment("final"), metric=FinalError(test_views="center"), learning_rates={}
    )
    results = ExperimentRunner(
        final, tmp_path / "results", tmp_path / "scratch", variants=["relu"]
    ).run()
    assert len(trained) == before + 2
    assert {run["ended"] for run in results["runs"]} == {"all epochs"}


def test_runs_are_shared_where_they_were_validated_often_enough(trained, tmp_path):
    count = len(runner(tmp_path, name="every").run()["runs"])
    runner(tmp_path, name="at_the_end", validation_freq=20).run()
    assert len(trained) == count
    results = tmp_path / "other", tmp_path / "scratch"
    ExperimentRunner(experiment("at_the_end", validation_freq=20), *results).run()
    assert len(trained) == 2 * count
    ExperimentRunner(experiment("every"), *results).run()
    assert len(trained) == 3 * count


def test_a_rate_that_diverges_is_not_repeated(trained, tmp_path):
    def run():
        rates = {"relu": (0.02, 0.04, 2.0), "tanh": (2.0,)}
        return ExperimentRunner(
            dataclasses.replace(experiment(), learning_rates=rates),
            tmp_path / "results",
            tmp_path / "scratch",
        ).run()

    results = run()
    assert [rate["ended"] for rate in results["variants"]["relu"]["learning_rates"]][
        -1
    ] == "loss is no number"
    assert results["variants"]["relu"]["learning_rate"] == 0.04
    assert results["variants"]["tanh"]["values"] == {"0": None}
    before = len(trained)
    assert run() == results
    assert len(trained) == before


def test_a_run_is_its_configuration_and_seed():
    config = experiment().config
    relu = config("relu", seed=0)
    assert run_key(relu) == run_key(config("relu", seed=0, devices=2))
    for other in (
        config("relu", seed=1),
        config("tanh", seed=0),
        config("relu", seed=0, learning_rate=0.5),
    ):
        assert run_key(other) != run_key(relu)
    # A run that was stored with another network under the same preset's name is another run.
    network = {**run_key(relu)["network"], "filters": [8] * 6}
    assert run_key(relu, network) != run_key(relu)


def test_a_run_from_a_pretrained_network_is_its_pretraining():
    options = {"preset": "cifar", "dataset": "cifar10"}
    its = Experiment(
        name="tuning",
        section="section 6",
        base=options,
        variants={"tuned": {"initial_weights": PRETRAINED}, "anew": {}},
        comparisons=(),
        metric=FinalError(),
        pretraining={"epochs": 2},
    )
    config = its.config("tuned", seed=1)
    stored = {
        "config": {
            **as_stored(dataclasses.asdict(config)),
            "initial_weights": "another/path.keras",
        },
        "network": as_stored(dataclasses.asdict(config.network)),
    }
    pretraining = its.pretraining_config(1)
    stored["pretraining"] = {
        "config": vars(pretraining),
        "network": dataclasses.asdict(pretraining.network),
    }
    assert stored_run_key(stored) == its.run_key(config)
    for change in ({"epochs": 3}, {"overrides": {"bias": 0.5}}):
        other = dataclasses.replace(its, pretraining={"epochs": 2, **change})
        assert other.run_key(other.config("tuned", seed=1)) != its.run_key(config)
    assert its.run_key(its.config("anew", seed=1)) == run_key(its.config("anew", seed=1))
    # Its settings have no seed.
    assert "seed" not in its.settings["variants"]["tuned"]["initial_weights"]


def test_bad_arguments(capsys):
    for arguments, message in (
        (["--seeds", "1", "1"], "`seeds` must differ"),
        (["--learning-rates", "0"], "`learning_rates` must be positive"),
        (["--bias-learning-rate", "-1"], "`bias_learning_rate` must be a number from 0"),
        (["--variants", "relu", "elu"], "`variants` must be out of .* Received: variants=.*elu"),
        (["--epochs", "0"], "`epochs` must be a positive whole number"),
        (["--precision", "float8"], "`precision` must be one of"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(experiment(dataset="cifar10"), "", arguments)


@pytest.mark.slow
def test_smoke_on_real_training(tiny_npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--smoke", "--dataset", tiny_npz, "--batch-size", "16", "--workdir", "out"]
    arguments += ["--variants", "13% network", "11% network"]
    results = main(cifar_normalization.EXPERIMENT, "", arguments)
    assert {path.name for path in (tmp_path / "out" / "cifar_normalization").iterdir()} == {
        "results.json",
        "comparisons.png",
    }
    without, with_ = (results["variants"][name]["values"] for name in results["variants"])
    difference = sum(with_[seed] - without[seed] for seed in "01") / 2
    assert results["comparisons"][0]["estimate"] == pytest.approx(difference)
    assert {run["network"]["normalization"] for run in results["runs"]} == {False, True}
    assert not list((tmp_path / "runs" / "experiments").iterdir())
    assert isinstance(cifar_normalization.EXPERIMENT.metric, FinalError)


@pytest.mark.slow
def test_pretraining_comes_once_and_with_the_seed_of_the_run(tiny_npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = {"filters": (8,) * 6, "units": (16, 16)}
    base = {
        "preset": "cifar",
        "dataset": tiny_npz,
        "epochs": 1,
        "batch_size": 16,
        "overrides": overrides,
    }
    its = Experiment(
        name="tuning",
        section="section 6",
        base={**base, "class_subset": (2, 3)},
        variants={"tuned": {"initial_weights": PRETRAINED}, "anew": {}},
        comparisons=(Comparison("tuned", "anew", None, "better", side=-1),),
        metric=FinalError(test_views="center"),
        seeds=(0, 1),
        pretraining={"class_subset": (0, 1), "epochs": 2},
    )
    results = ExperimentRunner(its, "out", verbose=0).run()
    folders = sorted((tmp_path / "runs" / "pretrained").iterdir())
    before = [json.loads((folder / "results.json").read_text())["config"] for folder in folders]
    assert sorted(config["seed"] for config in before) == [0, 1]
    assert {(tuple(config["class_subset"]), config["epochs"]) for config in before} == {((0, 1), 2)}
    tuned = [run["config"] for run in results["runs"] if run["config"]["initial_weights"]]
    files = {config["seed"]: config["initial_weights"] for config in tuned}
    expected = {
        config["seed"]: f"runs/pretrained/{folder.name}/last.keras"
        for config, folder in zip(before, folders, strict=True)
    }
    assert files == expected
    assert len(results["runs"]) == 4
    monkeypatch.setattr(
        "alexnet_keras.training.train.train_and_evaluate", None
    )  # nothing is trained again
    assert ExperimentRunner(its, "out", verbose=0).run()["comparisons"] == results["comparisons"]
