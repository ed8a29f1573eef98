import dataclasses
import importlib
import json
import re
import types
from pathlib import Path

import pytest

from alexnet_keras.environment import machine
from alexnet_keras.files import holding
from alexnet_keras.record import as_stored
from alexnet_keras.training import train
from experiments import (
    cifar_normalization,
    conv1_initialization,
    depth,
    dropout,
    initialization,
    relu_vs_tanh_inputs,
    relu_vs_tanh_settings,
    response_normalization,
    vgg_depth,
    weight_decay,
)
from experiments.framework.cli import check_names, main, with_options, without_repetitions
from experiments.framework.experiment import (
    PRETRAINED,
    Comparison,
    Experiment,
    run_key,
    stored_run_key,
)
from experiments.framework.kept_kernels import kept_path
from experiments.framework.metrics import EpochSeconds, EpochsToError, FinalError
from experiments.framework.runner import EarlyEnd, ExperimentRunner
from experiments.framework.stored_runs import StoredRuns
from experiments.framework.tables import table
from tests.conftest import TINY
from tests.experiments.conftest import narrow

UNUSED = ("parameters", "versions")
MODULES = sorted(
    path.stem
    for path in Path(depth.__file__).parent.glob("*.py")
    if re.search(r"^EXPERIMENT = ", path.read_text(), re.MULTILINE)
)
IMAGES = {"name": "cifar10", "classes": 10, "train_count": 50_000}


# Epochs from 90% to 25% error at the best learning rate, and this rate. A rate of twice or half the
# best one needs one epoch more, a rate of four times or a quarter three more.
BEST = {"relu": (3.5, 0.04), "tanh": (7.25, 0.01), "sigmoid": (None, 0.1)}


class FakeTraining:
    """Stands for `train_and_evaluate`, with a training error that falls in a straight line.

    Attributes:
        runs: activation, learning rate and seed of each call.
    """

    def __init__(self):
        self.runs = []

    def __call__(self, config, workdir, callbacks, verbose):
        workdir.mkdir(parents=True)
        self.runs.append((config.network.activation, config.learning_rate, config.seed))
        results = {
            "config": json.loads(json.dumps(vars(config))),
            "data": IMAGES,
            "machine": {"devices": "CPU: one"},
            "errors": {},
            "history": [],
            "seconds": 1.0,
            **dict.fromkeys(UNUSED),
        }
        if config.learning_rate > 1:
            error = FloatingPointError("The loss is nan")
            error.results = results
            raise error
        history = self._history(config, workdir, callbacks[0])
        return {**results, "errors": {"center": {"top1_error": 50.0}}, "history": history}

    def _history(self, config, workdir, callback):
        model = types.SimpleNamespace(output_shape=(None, 10), stop_training=False)
        callback.set_model(model)
        history = []
        lines = ["top1_error"]
        for epoch in range(config.epochs):
            row = {"top1_error": self._error(config, epoch + 1), "seconds": 2.0}
            history.append(row)
            lines.append(str(row["top1_error"]))
            (workdir / "history.csv").write_text("\n".join(lines))
            callback.on_epoch_end(epoch, row)
            if model.stop_training:
                break
        return history

    def _error(self, config, epochs):
        best_epochs, best_rate = BEST[config.network.activation]
        if best_epochs is None:
            return 89.0
        factor = max(config.learning_rate / best_rate, best_rate / config.learning_rate)
        needed = best_epochs + factor - 1 + 0.125 * config.seed
        return max(90 - 65 * epochs / needed, 1.0)


@pytest.fixture
def trained(monkeypatch):
    """The list of runs that `FakeTraining` has trained."""
    training = FakeTraining()
    monkeypatch.setattr("alexnet_keras.training.train.train_and_evaluate", training)
    monkeypatch.setattr("keras.utils.clear_session", lambda: None)
    data = types.SimpleNamespace(description=IMAGES)
    monkeypatch.setattr("experiments.framework.runner.open_training_data", lambda config: data)
    return training.runs


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
    # 2 + 3 + 1 rates, and another seed of each variant.
    assert first == "Run 1 of 9: relu, learning rate 0.01, seed 0"
    assert len(others) == 9  # relu's grid grew by two rates
    assert all("min left: " in line for line in others)
    variants = results["variants"]
    # The grid of relu grows at its end until the neighbors of the best rate are worse.
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
    # A variant that never reaches the target gets no second seed, and no figure.
    assert variants["sigmoid"]["values"] == {"0": None}
    assert results["comparisons"][1]["estimate"] is None
    ended = {run["ended"] for run in results["runs"]}
    assert ended == {"target reached", "early stopped", "at chance"}
    assert results == json.loads((tmp_path / "results" / "speed" / "results.json").read_text())
    assert "| relu | 0.04 | 3.56 ± 0.09 | 2 |" in table(results)
    variants["relu"] |= {"n": 1, "values": {"0": 3.5, "1": None}}
    assert "| relu | 0.04 | 3.56 ± 0.09 | 1 of 2, the others without a value |" in table(results)
    assert "| sigmoid | 0.1 | no value | 1 |" in table(results)
    assert "| sigmoid against relu | no seed with both values | 0 | not given |" in table(results)
    results["published"] = {"sigmoid": 9.0}
    assert "| sigmoid | no value | 9 |" in table(results)
    assert len(trained) == len(set(trained)) == 4 + 3 + 1 + 2


def test_a_second_call_repeats_nothing(trained, tmp_path):
    first = runner(tmp_path).run()
    before = list(trained)
    assert runner(tmp_path).run() == first
    assert trained == before


def test_resumes(trained, tmp_path, monkeypatch):
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


def test_prints_the_stored_runs_and_the_command_that_trains_them_again(
    trained, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)

    def lines(name, *arguments):
        main(experiment(name, dataset="cifar10"), "", [*arguments, "--workdir", "out"])
        return capsys.readouterr().out.splitlines()

    assert lines("speed", "--variants", "tanh")[0] == "No run is stored in out. Runs to train: 4"
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


def test_runs_that_another_process_has_just_stored_are_kept(trained, tmp_path):
    relu, tanh = (
        ExperimentRunner(
            experiment(), tmp_path / "results", tmp_path / "scratch", variants=[variant]
        )
        for variant in ("relu", "tanh")
    )
    again = runner(tmp_path)
    relu.run()
    results = tanh.run()
    assert list(results["variants"]) == ["relu", "tanh"]
    assert len(results["runs"]) == len(trained)
    count = len(trained)
    again.run()
    assert len(trained) == count + 1  # sigmoid


def test_answers_from_stored_runs_leave_the_file_alone(trained, tmp_path, monkeypatch):
    runner(tmp_path).run()
    path = tmp_path / "results" / "speed" / "results.json"
    results = json.loads(path.read_text())
    # As if written before these fields existed, and with the runs in another order.
    for key in results["settings"]["variants"].values():
        del key["skip_corrupt"]
    for comparison in results["comparisons"]:
        del comparison["margin"]
    results["runs"].reverse()
    text = json.dumps(results)
    path.write_text(text)
    for variants in (None, ["tanh"]):
        answered = ExperimentRunner(
            experiment(), tmp_path / "results", tmp_path / "scratch", variants
        ).run()
        assert answered == results
        assert path.read_text() == text
    # What is said about the same runs may change.
    comparison = dataclasses.replace(experiment().comparisons[0], margin=0.5)
    other = dataclasses.replace(experiment(), comparisons=(comparison,))
    changed = ExperimentRunner(other, tmp_path / "results", tmp_path / "scratch").run()
    assert [comparison["margin"] for comparison in changed["comparisons"]] == [0.5]
    assert json.loads(path.read_text()) == changed


def test_a_search_ends_with_rates_that_hardly_differ(trained, tmp_path):
    close = dataclasses.replace(
        experiment(seeds=(0,)), learning_rates={"relu": (0.01, 0.01001)}, comparisons=()
    )
    folders = (tmp_path / "results", tmp_path / "scratch")
    results = ExperimentRunner(close, *folders, variants=["relu"]).run()
    # 0.01001 squared, by 0.01, is 0.0100 in three digits.
    assert [rate for _, rate, _ in trained] == [0.01, 0.01001]
    assert results["variants"]["relu"]["learning_rate"] == 0.01001


def test_more_seeds_keep_the_runs(trained, tmp_path):
    runner(tmp_path).run()
    before = len(trained)
    results = runner(tmp_path, seeds=(0, 1, 2)).run()
    assert len(trained) == before + 2
    assert results["variants"]["relu"]["n"] == 3


def test_fewer_seeds_keep_the_results(trained, tmp_path):
    stored = runner(tmp_path, seeds=(0, 1, 2)).run()
    path = tmp_path / "results" / "speed" / "results.json"
    text = path.read_text()
    assert runner(tmp_path, seeds=(0, 1)).run() == stored
    assert path.read_text() == text
    # A new seed adds to the stored ones.
    tanh = ExperimentRunner(
        experiment(seeds=(0, 3)), tmp_path / "results", tmp_path / "scratch", variants=["tanh"]
    )
    values = tanh.run()["variants"]["tanh"]["values"]
    assert values == {str(seed): pytest.approx(7.25 + 0.125 * seed) for seed in range(4)}


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


def test_a_comparison_with_a_new_metric(trained, tmp_path):
    runner(tmp_path).run()
    final = FinalError(test_views="center")
    comparison = dataclasses.replace(experiment().comparisons[0], metric=final)
    changed = dataclasses.replace(experiment(), comparisons=(*experiment().comparisons, comparison))
    folders = (tmp_path / "results", tmp_path / "scratch")
    results = ExperimentRunner(changed, *folders, variants=["tanh"]).run()
    # The stored values of relu are from before.
    assert [row["metric"] for row in results["comparisons"]] == [changed.metric.name] * 2
    assert f"| variant | {final.name} |\n|---|---|\n| relu | no value |" in table(results)
    assert "| tanh | 50.00 ± 0.00 |" in table(results)
    results = ExperimentRunner(changed, *folders).run()
    assert [row["metric"] for row in results["comparisons"]][-1] == final.name


def test_experiments_share_runs(trained, tmp_path):
    runner(tmp_path).run()
    before = list(trained)
    results = runner(tmp_path, name="other").run()
    assert trained == before
    assert (tmp_path / "results" / "other" / "results.json").exists()
    assert len(results["runs"]) == len(before)


def test_seconds_of_another_machine_are_not_reused(trained, tmp_path):
    final = dataclasses.replace(
        experiment("final", seeds=(0,)), metric=FinalError("center"), learning_rates={}
    )
    folders = (tmp_path / "results", tmp_path / "scratch")
    results = ExperimentRunner(final, *folders, variants=["relu"]).run()
    path = tmp_path / "results" / "final" / "results.json"
    timed = dataclasses.replace(final, name="timed", metric=EpochSeconds())
    (run,) = results["runs"]
    assert run["backend"] == "tensorflow"

    def is_reused(experiment, **changes):
        path.write_text(json.dumps({**results, "runs": [{**run, **changes}]}))
        found = StoredRuns(tmp_path / "results", experiment).find(experiment.config("relu", seed=0))
        return found is not None

    this_machine = {**machine(), "hosts": 1}
    assert is_reused(timed, machine=this_machine)
    for changes in (
        {"machine": {**this_machine, "processor": "another"}},
        {"machine": {**this_machine, "cores": 1000}},
        {"machine": this_machine, "config": {**run["config"], "devices": 2}},
        {"machine": this_machine, "backend": "jax"},
    ):
        assert not is_reused(timed, **changes)
        assert is_reused(dataclasses.replace(final, name="other"), **changes)


def test_seconds_of_two_machines_are_not_compared(trained, tmp_path, monkeypatch):
    own = experiment(seeds=(0, 1, 2))
    timed = dataclasses.replace(own, metric=EpochSeconds(), learning_rates={}, seed_counts={})
    folders = (tmp_path / "results", tmp_path / "scratch")
    ExperimentRunner(timed, *folders, variants=["relu"]).run()
    path = tmp_path / "results" / "speed" / "results.json"
    results = json.loads(path.read_text())
    for run, device in zip(results["runs"], ("one", "one", "two"), strict=True):
        run["machine"]["devices"] = f"CPU: {device}"
    path.write_text(json.dumps(results))
    results = ExperimentRunner(timed, *folders).run()
    assert list(results["variants"]["relu"]["machines"].values()) == [
        f"CPU: {device}, tensorflow" for device in ("one", "one", "two")
    ]
    comparison = results["comparisons"][0]
    assert (comparison["variant"], comparison["n"]) == ("tanh", 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {**IMAGES, "train_count": 49_999}}, "train_count: stored 49999, requested 50000"),
        ({"backend": "jax"}, "backend: stored 'jax', requested 'tensorflow'"),
    ],
)
def test_runs_on_other_images_are_not_compared(change, message, trained, tmp_path):
    runner(tmp_path, seeds=(0,)).run()
    path = tmp_path / "results" / "speed" / "results.json"
    results = json.loads(path.read_text())
    for run in results["runs"]:
        run.update(change)
    path.write_text(json.dumps(results))
    runner(tmp_path, seeds=(0,)).run()  # trains nothing
    count = len(trained)
    for changed in ({"seeds": (0, 1)}, {"name": "other", "seeds": (0, 1)}):
        with pytest.raises(ValueError, match=f"runs on the same images and backend.*{message}"):
            runner(tmp_path, **changed).run()
    assert len(trained) == count
    # A part of the images has another count.
    part = experiment("part", max_images_per_class=100)
    if "data" in change:
        ExperimentRunner(part, tmp_path / "results", tmp_path / "scratch").run()


def test_runs_of_another_version_are_named(trained, tmp_path):
    runner(tmp_path).run()
    path = tmp_path / "results" / "speed" / "results.json"
    results = json.loads(path.read_text())
    results["runs"][0]["config"]["crops"] = True
    path.write_text(json.dumps(results))
    with pytest.raises(ValueError, match=r"speed.results.json must have runs of this version"):
        runner(tmp_path, name="other")


def test_a_part_of_the_runs_leaves_the_command(trained, tmp_path):
    folders = (tmp_path / "results", tmp_path / "scratch")

    def command(words, seeds):
        line = f"python -m experiments.speed{words}"
        results = ExperimentRunner(experiment(seeds=seeds), *folders, command=line).run()
        return results["command"].removeprefix("python -m experiments.speed")

    assert command(" --variants relu", (0,)) == " --variants relu"
    assert command("", (0, 1)) == ""
    assert command(" --seeds 0 1 2", (0, 1, 2)) == ""
    assert command(" --epochs 20", (0, 1, 2)) == ""  # trains nothing


def test_kept_kernels_are_of_the_best_rate(trained, tmp_path, monkeypatch):
    rates = {}
    monkeypatch.setattr(
        "experiments.framework.runner.keep_kernels",
        lambda snapshots, path: rates.setdefault(path, trained[-1][1]),
    )
    keeping = dataclasses.replace(experiment(seeds=(0,)), keeps_kernels=True)
    results = ExperimentRunner(keeping, tmp_path / "results", tmp_path / "scratch").run()
    assert len(rates) == len(trained)
    for variant, values in results["variants"].items():
        best = values["learning_rate"]
        path = kept_path(tmp_path / "results" / "speed", variant, best, 0)
        assert rates[path] == best


def test_other_settings_leave_the_results_alone(trained, tmp_path):
    runner(tmp_path).run()
    path = tmp_path / "results" / "speed" / "results.json"
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"batch_size of relu: stored 128, requested 32"):
        runner(tmp_path, batch_size=32)
    assert path.read_bytes() == before


def test_settings_of_older_results_have_the_defaults(trained, tmp_path):
    runner(tmp_path).run()
    path = tmp_path / "results" / "speed" / "results.json"
    results = json.loads(path.read_text())
    for key in results["settings"]["variants"].values():  # as if the fields were newer
        del key["skip_corrupt"]
        del key["network"]["middle_kernel_stddev"]
    path.write_text(json.dumps(results))
    runner(tmp_path, skip_corrupt=False)
    with pytest.raises(ValueError, match="skip_corrupt of relu: stored False, requested True"):
        runner(tmp_path, skip_corrupt=True)
    with pytest.raises(ValueError, match="middle_kernel_stddev of relu: stored 0.01, requested 1"):
        runner(tmp_path, overrides={"middle_kernel_stddev": 1.0})


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


def test_a_run_that_another_rate_stopped_answers_for_better_rates_only(trained, tmp_path):
    def search(*rates):
        only = {"relu": experiment().variants["relu"]}
        grids = {"relu": rates}
        part = dataclasses.replace(
            experiment(), variants=only, comparisons=(), learning_rates=grids, seeds=(0,)
        )
        return ExperimentRunner(part, tmp_path / "results", tmp_path / "scratch").run()

    # The best rate, 0.04, stops 0.32 early: it needs seven epochs more.
    ended = {run["config"]["learning_rate"]: run["ended"] for run in search(0.04, 0.32)["runs"]}
    assert (ended[0.04], ended[0.32]) == ("target reached", "early stopped")
    count = len(trained)
    search(0.04, 0.32)
    assert len(trained) == count
    # A rate that needs fifteen epochs more does not show that it is worse.
    search(0.0025, 0.32)
    assert [rate for _, rate, _ in trained[count:]].count(0.32) == 1


def test_a_run_that_an_earlier_call_stopped_is_trained_again(trained, tmp_path, monkeypatch):
    """The earlier call has ended between the end of the training and the storing of the run."""
    train_anew = train.train_and_evaluate
    again = runner(tmp_path)
    config = again.experiment.config("relu", seed=0, learning_rate=0.01)
    folder = again._folder(config)
    stopped = train_anew(config, folder, [EarlyEnd(folder, again.experiment.metric, None)], 0)
    stopped["history"] = stopped["history"][:3]

    def resume(config, workdir, **options):
        if workdir.exists():
            return stopped
        return train_anew(config, workdir, **options)

    monkeypatch.setattr(train, "train_and_evaluate", resume)
    run = again.run()["runs"][0]
    assert run["config"]["learning_rate"] == 0.01
    # From 90% to 25% in 6.5 epochs.
    assert (run["ended"], len(run["history"])) == ("target reached", 7)


def test_a_folder_that_another_process_uses_is_kept(trained, tmp_path):
    runner(tmp_path).run()
    again = runner(tmp_path)
    folder = again._folder(again.experiment.config("relu", seed=0, learning_rate=0.04))
    with holding(folder):
        (folder / "history.csv").write_text("top1_error\n50\n")
        again.run()
        assert (folder / "history.csv").exists()
    runner(tmp_path).run()  # an unused folder of a stored run is deleted
    assert not folder.exists()


def test_runs_are_shared_if_they_were_validated_often_enough(trained, tmp_path):
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
    ] == "NaN loss"
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
    tuning = Experiment(
        name="tuning",
        section="section 6",
        base=options,
        variants={"tuned": {"initial_weights": PRETRAINED}, "scratch": {}},
        comparisons=(),
        metric=FinalError(),
        pretraining={"epochs": 2},
    )
    config = tuning.config("tuned", seed=1)
    stored = {
        "config": {
            **as_stored(dataclasses.asdict(config)),
            "initial_weights": "another/path.keras",
        },
        "network": as_stored(dataclasses.asdict(config.network)),
    }
    pretraining = tuning.pretraining_config(1)
    stored["pretraining"] = {
        "config": vars(pretraining),
        "network": dataclasses.asdict(pretraining.network),
    }
    assert stored_run_key(stored) == tuning.run_key(config)
    for change in ({"epochs": 3}, {"overrides": {"bias": 0.5}}):
        other = dataclasses.replace(tuning, pretraining={"epochs": 2, **change})
        assert other.run_key(other.config("tuned", seed=1)) != tuning.run_key(config)
    assert tuning.run_key(tuning.config("scratch", seed=1)) == run_key(
        tuning.config("scratch", seed=1)
    )
    # The settings have no seed.
    assert "seed" not in tuning.settings["variants"]["tuned"]["initial_weights"]


def test_bad_arguments(capsys):
    for arguments, message in (
        (["--seeds", "1", "1"], "`seeds` must differ"),
        (["--seeds", "0", "-1"], "`seeds` must be a whole number from 0 .* Received: seeds=-1"),
        (["--learning-rates", "0"], "`learning_rates` must be positive"),
        (["--bias-learning-rate", "-1"], "`bias_learning_rate` must be a number from 0"),
        (["--variants", "relu", "elu"], "`variants` must be out of .* Received: variants=.*elu"),
        (["--epochs", "0"], "`epochs` must be a positive whole number"),
        (["--precision", "float8"], "`precision` must be one of"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(experiment(dataset="cifar10"), "", arguments)


@pytest.mark.parametrize(
    ("module", "option", "value", "variant"),
    [
        (conv1_initialization, "epochs", 20, "0.02 of He's, 2 epochs"),
        (relu_vs_tanh_inputs, "batch_size", 64, "ReLU, .*, batches of 32"),
        (cifar_normalization, "epochs", 20, "11% network, 520 epochs"),
        (initialization, "learning_rates", 0.005, "0.03 and bias 1, rate 0.001"),
        (relu_vs_tanh_settings, "bias_learning_rate", 0.01, "ReLU, all three settings"),
    ],
)
def test_names_of_variants_stay_true(module, option, value, variant):
    arguments = [f"--{option.replace('_', '-')}", str(value)]
    field = option.removesuffix("s") if option == "learning_rates" else option
    message = f"`{field}` of variant .{variant}.* must stay .* Received: {field}={value}"
    with pytest.raises(SystemExit, match=message):
        main(module.EXPERIMENT, "", arguments)


def test_names_of_variants_stay_true_with_another_preset():
    message = "`weight_decay` of variant 'decay 0.0005' must stay 0.0005.* weight_decay=0.0001"
    with pytest.raises(SystemExit, match=message):
        main(weight_decay.EXPERIMENT, "", ["--preset", "torchvision"])


def test_variants_that_a_preset_makes_equal_are_left_out():
    # The paper's network has hidden layers of 4,096 neurons.
    wide = "wide hidden layers"
    changed = without_repetitions(with_options(dropout.EXPERIMENT, {"preset": "source"}))
    assert set(dropout.EXPERIMENT.variants) - set(changed.variants) == {
        f"with dropout, {wide}",
        f"without dropout, {wide}",
    }
    assert [f"{each.variant} against {each.baseline}" for each in changed.comparisons] == [
        "without dropout against with dropout",
        "with dropout, constant rate against without dropout, constant rate",
    ]
    left_out = ["--preset", "source", "--variants", f"with dropout, {wide}"]
    with pytest.raises(SystemExit, match="`variants` must be out of .*'with dropout', 'without"):
        main(dropout.EXPERIMENT, "", left_out)
    # torchvision's network has no response normalization.
    message = "'with normalization' and 'without normalization' must differ"
    with pytest.raises(SystemExit, match=message):
        main(response_normalization.EXPERIMENT, "", ["--preset", "torchvision"])


@pytest.mark.parametrize("name", MODULES)
def test_no_variant_repeats_another(name):
    experiment = importlib.import_module(f"experiments.{name}").EXPERIMENT
    assert without_repetitions(experiment) is experiment
    check_names(experiment, with_options(experiment, {}), experiment.variants)


def test_seeds_are_run_as_given():
    # A search begins with the first seed of the experiment, whichever seeds are asked for.
    searching = experiment(dataset="cifar10")
    assert with_options(searching, {"seeds": [3, 4]}).seeds == (0, 3, 4)
    assert with_options(searching, {"seeds": [3], "learning_rates": [0.1]}).seeds == (3,)
    # A variant with fewer seeds by default gets all that are given.
    assert depth.EXPERIMENT.seed_counts
    changed = with_options(depth.EXPERIMENT, {"seeds": [7, 8]})
    assert (changed.seeds, changed.seed_counts) == ((7, 8), {})
    assert with_options(depth.EXPERIMENT, {}).seed_counts == depth.EXPERIMENT.seed_counts


@pytest.mark.parametrize("name", ["depth", "overlapping_pooling", "response_normalization"])
def test_ablations_need_a_preset_of_alexnet(name):
    module = importlib.import_module(f"experiments.{name}")
    with pytest.raises(SystemExit, match="`preset` must be one of AlexNet.* Received: .*vgg_A"):
        main(module.EXPERIMENT, "", ["--preset", "vgg_A"])


def test_smoke_follows_the_preset():
    changed = with_options(vgg_depth.EXPERIMENT, {"preset": "vgg_A"}, smoke=True)
    assert changed.config("A").network.filters == (8,) * 5


@pytest.mark.slow
def test_smoke_on_real_training(tiny_npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--smoke", "--dataset", tiny_npz, "--batch-size", "16", "--workdir", "out"]
    arguments += ["--variants", "13% network", "11% network"]
    results = main(narrow(cifar_normalization.EXPERIMENT), "", arguments)
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


def test_a_pretraining_keeps_its_data_and_follows_a_look_at_the_runs(
    trained, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    pretrained = []
    monkeypatch.setattr(
        ExperimentRunner, "run", lambda self: pretrained.append(self.experiment) or {}
    )
    monkeypatch.setattr("experiments.framework.figures.draw", lambda *arguments: None)
    monkeypatch.setattr("experiments.framework.tables.table", lambda results: "")
    tuning = dataclasses.replace(
        experiment(dataset="cifar10"),
        variants={"tuned": {"initial_weights": PRETRAINED}},
        comparisons=(),
        metric=FinalError(test_views="center"),
        learning_rates={},
        pretraining={"dataset": "tiny_imagenet"},
    )
    main(tuning, "", ["--dataset", "none.npz", "--workdir", "out"])
    main(tuning, "", ["--smoke", "--workdir", "out"])
    given, smoke = (one.pretraining_config(0).dataset for one in pretrained)
    assert (given, smoke) == ("tiny_imagenet", "shapes")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    # A fault in the data of the run is found before the pre-training.
    with pytest.raises(SystemExit, match="none.npz"):
        main(tuning, "", ["--dataset", "none.npz", "--workdir", "out"])
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_pretraining_comes_once_and_with_the_seed_of_the_run(tiny_npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = {
        "preset": "cifar",
        "dataset": tiny_npz,
        "epochs": 1,
        "batch_size": 16,
        "overrides": TINY,
    }
    tuning = Experiment(
        name="tuning",
        section="section 6",
        base={**base, "class_subset": (2, 3)},
        variants={"tuned": {"initial_weights": PRETRAINED}, "scratch": {}},
        comparisons=(Comparison("tuned", "scratch", None, "better", side=-1),),
        metric=FinalError(test_views="center"),
        seeds=(0, 1),
        pretraining={"class_subset": (0, 1), "epochs": 2},
    )
    results = ExperimentRunner(tuning, "out", verbose=0).run()
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
    assert ExperimentRunner(tuning, "out", verbose=0).run()["comparisons"] == results["comparisons"]
