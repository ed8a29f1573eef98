import dataclasses
import functools
import importlib
import itertools
import json

import keras
import numpy as np
import pytest

from alexnet_keras.analysis import KernelSnapshots
from alexnet_keras.analysis.kernels import first_convolution
from alexnet_keras.data import Dataset
from alexnet_keras.data.tiny_imagenet_classes import CLASS_NAMES
from alexnet_keras.models import alexnet_config, build_network
from alexnet_keras.training.train import compile_for_training
from experiments import depth, overlapping_pooling
from experiments.ablations import main as run_all
from experiments.framework import ablations
from experiments.framework.cli import main
from experiments.framework.experiment import run_key
from experiments.framework.metrics import FinalError
from experiments.framework.runner import ExperimentRunner
from tests.experiments.conftest import narrow

CONSTANT_RATE = {"epochs", "lr_milestones"}
# What each variant changes of its experiment's base, and nothing else.
CHANGES = {
    "overlapping_pooling": {"overlapping": set(), "not overlapping": {"pool_size", "paddings"}},
    "depth": {
        "all layers": set(),
        "without conv2": {"conv_layers"},
        "without conv3": {"conv_layers", "exchange"},
        "without conv4": {"conv_layers"},
        "without conv5": {"conv_layers"},
    },
    "response_normalization": {
        "with normalization": set(),
        "without normalization": {"normalization"},
        "other convention of alpha": {"normalization_divide_alpha"},
        "across towers": {"normalization_in_towers"},
        "before the ReLU": {"stages"},
    },
    "towers": {
        "two towers": set(),
        "one tower of half the kernels": {"towers", "filters"},
        "one wide tower": {"towers"},
        "two towers without exchange": {"exchange"},
    },
    "augmentation": {
        "both": set(),
        "crops and mirror images": {"pca_noise"},
        "color noise": {"random_crop"},
    },
    "dropout": {
        "with dropout": set(),
        "without dropout": {"dropout"},
        "with dropout, constant rate": CONSTANT_RATE,
        "without dropout, constant rate": CONSTANT_RATE | {"dropout"},
        "with dropout, wide hidden layers": {"units"},
        "without dropout, wide hidden layers": {"units", "dropout"},
    },
    "weight_decay": {"decay 0.0005": set(), "no decay": {"weight_decay"}},
    "ten_crops": {"network": set()},
    "fine_tune": {
        f"{how}, {amount}": start | images
        for amount, images in (
            ("50 images a class", set()),
            ("200 images a class", {"max_images_per_class", "epochs"}),
            ("all images", {"max_images_per_class", "epochs"}),
        )
        for how, start in (
            ("fine-tuned", set()),
            (
                "from scratch",
                {"initial_weights", "layer_learning_rates", "conv1_milestones"},
            ),
        )
    },
}
CHANGES["vgg_depth"] = {"A": set(), **{letter: {"kernel_sizes"} for letter in "BCDE"}}
CHANGES["vgg_normalization"] = {"A": set(), "A-LRN": {"normalization"}}
CHANGES["conv1_initialization"] = {
    f"{factor} of He's, {epochs} epochs": (set() if factor == "0.02" else {"conv1_kernel_stddev"})
    | (set() if epochs == 2 else {"epochs"})
    for epochs in (2, 4, 8)
    for factor in ("0.02", "0.05", "0.1", "0.2", "1")
}
CHANGES["initialization"] = {
    f"{stddev} and bias {bias}, {setting}": (set() if stddev == 0.03 else {"middle_kernel_stddev"})
    | (set() if bias else {"bias"})
    | fields
    for (setting, fields), stddev, bias in itertools.product(
        (
            ("rate 0.001", set()),
            ("rate 0.003", {"learning_rate"}),
            ("rate 0.01", {"learning_rate"}),
            ("rate 0.01, batch of 128", {"learning_rate", "batch_size"}),
        ),
        (0.03, 0.01),
        (1, 0),
    )
}
CHANGES["tower_colors"] = {
    "two towers": set(),
    "halves of one tower": {"towers"},
    "exchange from conv2 on": {"exchange"},
    "normalization across the towers": {"normalization_in_towers"},
    "10 classes": {"class_subset", "epochs"},
    "conv1 from He's start": {"conv1_kernel_stddev"},
}
# What is the same in all variants at the scale of the paper, by the preset `source`.
SAME_AT_SCALE = {"batch_size", "units"}
OWN_BASELINE = (
    "tower_colors",
    "initialization",
    "conv1_initialization",
    "fine_tune",
    "vgg_depth",
    "vgg_normalization",
)


def experiment(name):
    return importlib.import_module(f"experiments.{name}").EXPERIMENT


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("scale", ["cifar", "source"])
def test_a_variant_differs_in_the_named_fields_alone(name, scale):
    its = experiment(name)
    if scale == "source":  # as --preset source does
        preset = "vgg_A" if name.startswith("vgg") else "source"
        its = dataclasses.replace(its, base={"preset": preset, "dataset": "imagenet2012"})
    assert list(its.variants) == list(CHANGES[name])
    first, *_ = configs = [run_key(its.config(variant)) for variant in its.variants]
    for (variant, fields), config in zip(CHANGES[name].items(), configs, strict=True):
        flat, base = ({**each, **each["network"], "network": None} for each in (config, first))
        if scale == "source":
            fields = fields - SAME_AT_SCALE
        assert {field for field in flat if flat[field] != base[field]} == fields, variant


def test_baselines_with_the_same_base_are_one_and_the_same_run():
    baselines = {
        json.dumps(run_key(experiment(name).config(next(iter(CHANGES[name])))))
        for name in ablations.ABLATIONS
    }
    assert len(baselines) == 1


def test_all_ablations_run_with_the_same_options(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(
        "experiments.ablations.run",
        lambda its, description, arguments: ran.append((its.name, arguments)) or its.name,
    )
    options = ["--seeds", "0", "1", "--workdir", "out"]
    assert run_all(options) == {name: name for name in ablations.ABLATIONS}
    assert ran == [(name, options) for name in ablations.ABLATIONS]
    assert set(ablations.ABLATIONS) == set(CHANGES) - set(OWN_BASELINE)
    run_all(["--experiments", "depth", "towers", *options])
    assert ran[-2:] == [("depth", options), ("towers", options)]
    with pytest.raises(SystemExit):
        run_all(["--experiments", "kernels"])
    assert "invalid choice: 'kernels'" in capsys.readouterr().err
    before = len(ran)
    with pytest.raises(SystemExit):
        run_all(["--seed", "0"])  # not an abbreviation of --seeds
    assert "unrecognized arguments: --seed 0" in capsys.readouterr().err
    # An option that the last ablation can't use is an error before the first one.
    with pytest.raises(SystemExit, match="ablations: `weight_decay` of variant 'decay 0.0005'"):
        run_all(["--experiments", "depth", "weight_decay", "--preset", "torchvision"])
    assert len(ran) == before
    # The documented commands at other scales.
    run_all(["--preset", "source", "--dataset", "imagenet2012", "--devices", "2"])
    assert len(ran) == before + len(ablations.ABLATIONS)
    run_all(["--preset", "source", "--dataset", "x.npz", "--in-memory", "--learning-rates", "0.01"])
    assert len(ran) == before + 2 * len(ablations.ABLATIONS)


def test_maps_keep_their_sizes_without_overlap():
    # 2012 source, net 147: conv2 has padding 1 and conv5 padding 0; conv3 and fc6 see what they see
    # in net 145.
    source = alexnet_config("source")
    assert overlapping_pooling.paddings(source)[:5] == (0, 1, 1, 1, 0)
    sizes = alexnet_config(
        "source", pool_size=2, paddings=overlapping_pooling.paddings(source)
    ).map_sizes()
    assert (sizes["conv3"], sizes["pool5"]) == ((13, 13), (6, 6))
    networks = [
        experiment("overlapping_pooling").config(v).network
        for v in ("overlapping", "not overlapping")
    ]
    maps = [network.map_sizes() for network in networks]
    assert {name: maps[0][name] for name in ("conv3", "pool5")} == {
        name: maps[1][name] for name in ("conv3", "pool5")
    }
    assert networks[1].pool_size == 2


def test_one_tower_has_half_the_kernels_but_the_width_of_two_above():
    its = dataclasses.replace(experiment("towers"), base={"preset": "source"})
    assert its.config("one tower of half the kernels").network == alexnet_config("one_tower")


@pytest.mark.parametrize("name", CHANGES)
def test_pairs_start_from_the_same_weights(name):
    its = narrow(experiment(name))
    overrides = {**its.base["overrides"], "initializer": "he_normal"}
    its = dataclasses.replace(its, base={**its.base, "overrides": overrides})
    starts = {}
    for variant in its.variants:
        config = its.config(variant, seed=3)
        keras.utils.set_random_seed(config.seed)
        for layer in build_network(config.network, classes=10).layers:
            for i, values in enumerate(layer.get_weights()):
                if i == 0:  # the kernel; biases are constant
                    values = values / values.std()  # which may be what differs
                    before = starts.setdefault((layer.name, values.shape), values)
                    np.testing.assert_allclose(
                        values, before, 1e-4, 1e-4, err_msg=f"{variant}, {layer.name}"
                    )
    keras.utils.set_random_seed(4)
    first = next(
        layer
        for layer in build_network(its.config(variant).network, classes=10).layers
        if layer.weights
    )
    kernel = first.get_weights()[0]
    assert not np.allclose(kernel / kernel.std(), starts[first.name, kernel.shape], 1e-4, 1e-4)


@pytest.mark.parametrize("name", ["augmentation", "weight_decay"])
def test_pairs_see_the_same_images_in_the_same_order(name, tiny_npz):
    its = experiment(name)
    orders = []
    dataset = Dataset(tiny_npz, 32, 28)
    for variant in its.variants:
        config = its.config(variant, seed=3, dataset=tiny_npz)
        batches = dataset.train(
            16, random_crop=config.random_crop, pca_noise=config.pca_noise, seed=config.seed
        )
        orders.append([labels.numpy().tolist() for _, labels in batches.take(10)])
    assert all(order == orders[0] for order in orders)
    assert orders[0][:5] != orders[0][5:]


def results_of(config, history, errors):
    """What a training returns, without what no experiment compares."""
    return {
        "config": json.loads(json.dumps(vars(config))),
        "data": {"classes": 10, "name": config.dataset},
        "machine": {"devices": "CPU: one"},
        **dict.fromkeys(("parameters", "versions")),
        "seconds": 1.0,
        "errors": errors,
        "history": history,
    }


@functools.cache
def network_of(config):
    """A network of ten classes. Variants that differ in their training alone share it."""
    return build_network(config, classes=10)


@pytest.mark.parametrize("name", [*CHANGES, "cifar_normalization"])
def test_every_experiment_runs(name, tmp_path, monkeypatch, random, few_shapes):
    # A step of each variant's network by its own update rule, in place of its epochs.
    def train(config, workdir, callbacks=(), verbose=1):
        workdir.mkdir(parents=True, exist_ok=True)
        model = network_of(config.network)
        compile_for_training(model, config)
        model.run_eagerly = True  # a single step is not worth a graph
        size = config.crop_size
        logs = model.train_on_batch(
            random.normal(0, 60, (4, size, size, 3)), np.arange(4), return_dict=True
        )
        assert np.isfinite(logs["loss"])
        snapshots = KernelSnapshots(workdir / "snapshots", first_convolution(model))
        snapshots.set_model(model)
        snapshots.on_epoch_end(0)
        row = {**logs, "left_chance_at_step": 1, "val_top1_error": 90.0, "seconds": 1.0}
        errors = {"top1_error": 90.0 + config.seed, "top5_error": 50.0}
        views = dict.fromkeys(("center", "ten_crop", "nine_crop"), errors)
        return results_of(config, [row, row], views)

    monkeypatch.setattr("alexnet_keras.training.train.train_and_evaluate", train)
    monkeypatch.chdir(tmp_path)
    results = main(narrow(experiment(name)), "", ["--smoke", "--seeds", "0"])
    assert list(results["variants"]) == list(experiment(name).variants)
    # Variants that differ in their epochs share the runs of a trial.
    distinct = {"conv1_initialization": 5}.get(name, len(experiment(name).variants))
    assert len(results["runs"]) == distinct
    assert len(results["comparisons"]) == len(experiment(name).comparisons)
    assert list((tmp_path / "runs" / "smoke" / name).glob("comparisons*.png"))


def test_comparisons_use_their_metrics(tmp_path, monkeypatch, random):
    trained = []

    def train(config, workdir, callbacks=(), verbose=1):
        trained.append(config)
        workdir.mkdir(parents=True)
        kinds = ("top1_error", "top5_error")
        views = ("center", "ten_crop", "nine_crop")
        errors = {view: dict(zip(kinds, random.uniform(0, 100, 2), strict=True)) for view in views}
        history = [
            {"top1_error": error, "val_top1_error": 90.0} for error in random.uniform(0, 9, 2)
        ]
        return results_of(config, history, errors)

    monkeypatch.setattr("alexnet_keras.training.train.train_and_evaluate", train)
    monkeypatch.chdir(tmp_path)
    # With the same preset, both have the same base.
    arguments = ["--smoke", "--workdir", "out", "--learning-rates", "0.01", "--preset", "cifar"]
    views = main(experiment("ten_crops"), "", arguments)
    runs = views["runs"]
    assert len(runs) == 2
    for comparison, top in zip(views["comparisons"], ("top1_error", "top5_error"), strict=True):
        ten, one = ([run["errors"][kind][top] for run in runs] for kind in ("ten_crop", "center"))
        assert comparison["estimate"] == pytest.approx(np.mean(np.subtract(ten, one)))
    decay = main(experiment("weight_decay"), "", arguments)
    assert len(decay["runs"]) == 4
    assert len(trained) == 4
    assert [run for run in decay["runs"] if run in runs] == runs  # shared
    errors = {
        (run["config"]["weight_decay"], run["config"]["seed"]): run["history"][-1]["top1_error"]
        for run in decay["runs"]
    }
    last = [[errors[decay, seed] for seed in (0, 1)] for decay in (0.0005, 0.0)]
    assert decay["comparisons"][0]["metric"] == "training top-1 error (%)"
    assert decay["comparisons"][0]["estimate"] == pytest.approx(np.mean(np.subtract(*last)))
    assert isinstance(ablations.TOP1, FinalError)


@pytest.mark.parametrize("preset", ["source", "paper"])
def test_fine_tuning_keeps_its_layers_and_its_pretraining(preset, monkeypatch):
    found = []
    monkeypatch.setattr(ExperimentRunner, "run", lambda self: found.append(self.experiment) or {})
    monkeypatch.setattr("experiments.framework.figures.draw", lambda *arguments: None)
    monkeypatch.setattr("experiments.framework.tables.table", lambda results: "")
    main(experiment("fine_tune"), "", ["--preset", preset, "--workdir", "out"])
    for variant in found[0].variants:
        config = found[0].config(variant)
        assert (config.preset, config.bias_learning_rate) == (preset, None)
        assert config.dataset == "imagenette/320px-v2"
        assert "conv6" in config.network.conv_layers
    pretraining = found[0].pretraining_config(0)
    assert (pretraining.preset, pretraining.dataset) == (preset, "tiny_imagenet")
    assert "conv6" in pretraining.network.conv_layers


def test_no_class_of_the_pretraining_is_one_of_imagenette():
    imagenette = (
        "n01440764 n02102040 n02979186 n03000684 n03028079 n03394916 n03417042 n03425413 n03445777 "
        "n03888257"
    )
    numbers = set(CLASS_NAMES)
    assert len(numbers) == 200
    assert numbers.isdisjoint(imagenette.split())


def stored_with_preset(module, preset, variant, **run):
    """Results of an ablation with --preset: a run of one variant, with these fields."""
    base = {"preset": preset, "dataset": "cifar10"}
    changed = dataclasses.replace(module.EXPERIMENT, base=base)
    config = changed.config(variant, seed=0)
    network = dataclasses.asdict(config.network)
    results = {
        "settings": changed.settings,
        "variants": {variant: {"learning_rate": config.learning_rate}},
        "runs": [{"config": vars(config), "network": network, **run}],
    }
    return json.loads(json.dumps(results))


def test_the_table_of_layers_is_of_the_stored_network():
    history = [{"top1_error": 20.0}]
    results = stored_with_preset(depth, "conv6", "without conv2", history=history, parameters=5)
    row = "| without conv2 | conv1, conv3, conv4, conv5, conv6, fc6, fc7, fc8 | 5 | 20.0 |"
    assert depth.layers_table(results).splitlines()[2:] == [row]


def test_the_table_of_map_sizes_is_of_the_stored_network():
    results = stored_with_preset(overlapping_pooling, "paper", "overlapping")
    header, _, row = overlapping_pooling.map_sizes_table(results).splitlines()
    assert header == "| | conv1 | pool1 | conv2 | pool2 | conv3 | conv4 | conv5 | pool5 |"
    # Of 224 pixels: (224 - 11) / 4 + 1, rounded up, and pools of 3 with stride 2.
    assert row == "| overlapping | 55x55 | 27x27 | 27x27 | 13x13 | 13x13 | 13x13 | 13x13 | 6x6 |"
    assert overlapping_pooling.map_sizes_table({**results, "variants": {}}) == ""


def test_the_table_of_overfitting_leaves_out_diverged_runs():
    row = {"top1_error": 20.0, "val_top1_error": 25.5}
    for run in ({"ended": "NaN loss", "history": []}, {"ended": "all epochs", "history": [row]}):
        results = stored_with_preset(overlapping_pooling, "small", "overlapping", **run)
        _, _, *rows = overlapping_pooling.overfitting_table(results).splitlines()
        expected = ["| overlapping | 0 | 20.00 | 25.50 | 5.50 |"]
        assert rows == (expected if run["history"] else [])
