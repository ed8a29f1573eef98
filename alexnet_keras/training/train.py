"""The training loop, on the TensorFlow and JAX backends."""

import contextlib
import csv
import dataclasses
import functools
import itertools
import json
import statistics
import time
import zlib
from pathlib import Path

import keras
from tqdm import tqdm

from alexnet_keras.analysis import KernelSnapshots
from alexnet_keras.analysis.kernels import first_convolution
from alexnet_keras.data.in_step import augment_in_step
from alexnet_keras.distributed.devices import has_accelerator, needs_full_batches, parse_devices, scope_for
from alexnet_keras.distributed.hosts import (
    barrier,
    is_same_on_all_hosts,
    main_process_first,
    no_distribution,
    process_count,
    process_index,
    raise_on_host_failure,
)
from alexnet_keras.environment import has_bfloat16_arithmetic
from alexnet_keras.evaluation.evaluate import compile_classifier, evaluate
from alexnet_keras.files import check_writable, holding, read_json, write_text
from alexnet_keras.models import build_network
from alexnet_keras.plots import plot_curves, plot_kernels, save_figure
from alexnet_keras.record import as_stored, differences, provenance, settings_error
from alexnet_keras.training.callbacks import (
    NOT_MEASURED,
    ChanceLevel,
    DeterministicDropout,
    DropOnPlateau,
    EpochLog,
    FreezeConv1,
    RaiseOnNaN,
    Throughput,
)
from alexnet_keras.training.checkpoints import Checkpoints, find_checkpoint
from alexnet_keras.training.config import TrainingConfig
from alexnet_keras.training.initial_weights import read_initial_weights, set_initial_weights
from alexnet_keras.training.optimizer import AlexNetSGD

# What may differ between the calls that one training is made of.
_FREE_FIELDS = ("devices", "views", "checkpoint_minutes")
# What may differ as far as it concerns epochs that are still to come.
_FIELDS_OF_CHANGES = {"epochs", "drops", "late_changes"}
_VIEWS = {1: "centre_crop", 10: "ten_crops", "dense": "dense"}


def train_and_evaluate(config, workdir, *, classes=None, command=None, callbacks=(), report=True, verbose=1):
    """Trains the network of `config` and measures its errors on the centre crop and on ten crops.

    The folder `workdir` gets `config.json`, `history.csv` (a row an epoch), `tensorboard/`, `snapshots/` (the conv1
    kernels after each epoch), `best.keras` (lowest validation top-1 error), `last.keras` (the newest state, with all
    that going on needs), `results.json`, `curves.png` and `kernels.png`. A training that was stopped, however it was,
    goes on from `last.keras` when it is called again with the same configuration; on a CPU to the very weights that it
    would have had. One that has ended returns its results. A call with more epochs, or rate drops that are still to
    come, goes on too.

    Several hosts (`alexnet_keras.distributed.join_hosts`), each of which calls this with the same arguments, divide
    each batch; `workdir` is a folder that they share, in which the first of them alone writes.

    Args:
        config: a `TrainingConfig`.
        workdir: folder, made if it does not exist.
        classes: number of classes that the data must have; `None` to accept what it has.
        command: the command line that was called, for the record.
        callbacks: Keras callbacks besides those of the training itself; one may end it early.
        report: whether to draw `curves.png` and `kernels.png`, and to measure the speed of the training steps without
            the data pipeline, which takes a few seconds; a bench of many short trainings does without.
        verbose: 1 for progress bars, 2 for a line an epoch, 0 for neither.

    Returns:
        What is in `results.json`: a dict of configuration, data, machine, library versions, history, speed and errors
        of the last epoch's model, in percent.

    Raises:
        ValueError: for a data set, device or batch that does not fit, classes that are not the data's, or a workdir of
            another configuration, with damaged files, or in which another process trains.
        FileNotFoundError: for data that must be downloaded by hand.
        FloatingPointError: when the loss is no number any more; its `results` are as far as they go.
        OSError: when the workdir cannot be written.
        ConnectionError: when another host of the training is lost.
        SystemExit: 143 after SIGTERM, 130 after Ctrl-C, with everything saved.
        KeyboardInterrupt: after a second Ctrl-C, or one outside the epochs.

    Reference: section 5 of Krizhevsky et al. (2012).
    """
    workdir = Path(workdir)
    check_writable(workdir)
    # Of several hosts, which share the folder, the first alone writes in it.
    with holding(workdir) if process_index() == 0 else contextlib.nullcontext():
        return _train_and_evaluate(config, workdir, classes, command, callbacks, report, verbose)


def _train_and_evaluate(config, workdir, classes, command, callbacks, report, verbose):
    _check_workdir(workdir, config)
    errors = {}
    if (workdir / "results.json").exists():
        results = read_json(workdir / "results.json", "config", "errors")
        errors = results["errors"] if results["config"]["epochs"] == config.epochs else {}
        if all(_VIEWS[views] in errors for views in config.views):
            print(f"This training has ended; its results are in {workdir / 'results.json'}")
            return results
    begun = any((workdir / name).exists() for name in ("last.keras", "best.keras"))
    initial = {} if begun else read_initial_weights(config)  # which may be gone
    scope, devices = scope_for(config.devices)
    host, host_count = process_index(), process_count()
    replicas = host_count * parse_devices(config.devices).count
    if config.batch_size % replicas:
        raise ValueError(
            f"`batch_size` must be a multiple of the {replicas} devices of all hosts together. Received: "
            f"batch_size={config.batch_size}"
        )
    verbose = verbose if host == 0 else 0
    with raise_on_host_failure(), main_process_first():  # it downloads and prepares what they share
        dataset = _open(config, host, host_count)
    info = dataset.info
    if classes not in (None, info.classes):
        raise ValueError(
            f"`classes` must be the number of classes of the data, {info.classes} in {info.name!r}. "
            f"Received: classes={classes}"
        )
    data = {"classes": info.classes, "train_count": info.train_count, "class_names": list(info.class_names)}
    _check_workdir(workdir, config, data)
    steps = info.train_count // config.batch_size
    on_jax = keras.backend.backend() == "jax"
    in_step = {"in_step": True} if on_jax and not config.in_memory else {}  # in memory it knows no other way
    augmentation = dict(
        crops=config.crops,
        colour_noise=config.colour_noise,
        colour_noise_epochs=config.changes(config.epochs)[1][0] if config.late_changes else None,
        seed=config.seed,
        **in_step,
    )
    pipeline_speed = _pipeline_speed(
        dataset, config.batch_size, crops=config.crops, colour_noise=config.colour_noise, **in_step
    )

    keras.utils.set_random_seed(config.seed)
    with _dtype_policy(config.precision), scope, raise_on_host_failure():
        path, state = find_checkpoint(workdir)
        epoch, step = state["epoch"], state["step"]
        # Before anything is made of it: to make variables is a common act of all hosts.
        _check_hosts(workdir, (epoch, step), config, info)
        if path:
            model = keras.saving.load_model(path)
        else:
            model = build_network(config.network, classes=info.classes)
            set_initial_weights(model, initial)
            compile_for_training(model, config)
        if on_jax:
            augment_in_step(model, dataset)
        if epoch + (step > 0) > config.epochs:
            raise ValueError(
                f"`epochs` must be at least {epoch + (step > 0)}, the epoch that this training is in. "
                f"Received: epochs={config.epochs}"
            )
        if host == 0:
            _cut_history(workdir, epoch)
        barrier()
        history = read_history(workdir)
        skipped = f" ({len(info.skipped)} corrupt files skipped)" if info.skipped else ""
        left = f"epochs {epoch + 1} to {config.epochs}" if epoch < config.epochs else "none left of the epochs"
        left += f" (on from step {step})" if step else ""
        words = (
            f"Data: {info.name}, {info.train_count:,} training and {info.validation_count:,} validation images of "
            f"{info.classes} classes{skipped}\n"
            f"Network: {config.config}, {model.count_params():,} parameters, {_precision_label(config.precision)}\n"
            f"Device: {devices}\n"
            f"Training: {left}, each {steps} steps of {config.batch_size} images; the data pipeline "
            f"alone gives {pipeline_speed:,.0f} images/s\n"
            f"Results: {workdir}"
        )
        print(words if host == 0 else f"Host {host} of {host_count}: host 0 shows and writes what happens", flush=True)
        if host == 0:
            text = json.dumps(dataclasses.asdict(config) | {"data": data}, indent=1)
            write_text(workdir / "config.json", text + "\n")
        every, checkpoints = _callbacks(model, config, workdir, history, steps, state)
        callbacks = [*every, *callbacks, checkpoints]

        record = {
            **provenance(command, devices=devices, hosts=host_count),
            "config": dataclasses.asdict(config),
            "data": {
                key: getattr(info, key) for key in ("name", "classes", "train_count", "validation_count", "splits")
            }
            | {"skipped": len(info.skipped)},
            "parameters": model.count_params(),
        }
        try:
            with checkpoints.leaving_on_signals():
                _fit(model, config, dataset, augmentation, state, callbacks, verbose)
            barrier()  # the first has written the history
        except FloatingPointError as error:
            error.results = record | _measured(read_history(workdir), {})
            raise
        history = read_history(workdir)
        for views in config.views:
            if _VIEWS[views] not in errors:
                errors[_VIEWS[views]] = evaluate(model, dataset, views, config.batch_size, verbose=int(verbose == 1))
        if report and host == 0:
            network = ", ".join([config.config, *(f"{name}={value}" for name, value in config.overrides.items())])
            save_figure(plot_curves(history, title=f"{network} on {info.name}"), workdir / "curves.png")
            with no_distribution():
                save_figure(plot_kernels(model, layer=first_convolution(model)), workdir / "kernels.png")
        speed = {
            "training": statistics.median(row["images_per_second"] for row in history),
            "pipeline_alone": pipeline_speed,
        }
        if report:
            batch = next(_numpy_iterator(dataset.train(config.batch_size, **augmentation)))
            steps = 10 if host_count > 1 else None  # all hosts the same number
            # The last use of the model: it changes it.
            speed["training_alone"] = host_count * _training_speed(model, *batch, steps)
    results = record | _measured(history, errors) | {"images_per_second": speed}
    text = json.dumps(results, indent=1)
    if host == 0:
        write_text(workdir / "results.json", text + "\n")
    for name, error in errors.items():
        words = name.replace("_", " ")
        print(f"Top-1 error {error['top1_error']:.2f}%, top-5 error {error['top5_error']:.2f}% ({words})")
    print(f"Everything is in {workdir}", flush=True)
    return json.loads(text)


def _fit(model, config, dataset, augmentation, state, callbacks, verbose):
    """Trains for the epochs that are left, of which the first may have begun."""
    steps = dataset.info.train_count // config.batch_size
    validation = dataset.validation(config.batch_size, padded=needs_full_batches())

    def fit(epoch, end, step=0):
        model.fit(
            dataset.train(config.batch_size, first_epoch=epoch, first_step=step, **augmentation),
            validation_data=validation,
            epochs=end,
            validation_freq=config.validated,
            initial_epoch=epoch,
            steps_per_epoch=steps - step,
            shuffle=False,
            callbacks=callbacks,
            verbose=verbose,
        )

    epoch, step = state["epoch"], state["step"]
    if step == steps:  # what Keras does after the last step
        whole = keras.callbacks.CallbackList(callbacks, model=model)
        whole.on_train_begin()
        whole.on_epoch_begin(epoch)
        errors = {}
        if epoch + 1 in config.validated:
            errors = model.evaluate(validation, callbacks=whole, return_dict=True, verbose=0)
        whole.on_epoch_end(epoch, state["logs"] | {f"val_{name}": value for name, value in errors.items()})
        whole.on_train_end()
    elif step:
        fit(epoch, epoch + 1, step)
    epoch += step > 0
    if epoch < config.epochs and not model.stop_training and not state["stopped"]:
        fit(epoch, config.epochs)


def _open(config, host, hosts):
    if config.in_memory and hosts > 1:
        raise ValueError(f"`in_memory` needs one host. Received: {hosts} hosts")
    path = Path(config.dataset).expanduser()
    changed = path.stat().st_mtime_ns if path.exists() else None
    names = ("scales", "mean", "skip_corrupt", "held_out", "only_classes", "images_per_class", "memory_gib")
    options = tuple((name, getattr(config, name)) for name in names)
    # The files in a folder may change without a trace on the folder itself.
    open_it = _opened.__wrapped__ if path.is_dir() else _opened
    sizes = config.image_size, config.crop_size
    return open_it(config.dataset, changed, config.in_memory, *sizes, options, host, hosts)


@functools.lru_cache(maxsize=1)  # an experiment trains many times on the same
def _opened(name, changed, in_memory, image_size, crop_size, options, host, hosts):
    if in_memory:
        from alexnet_keras.data import InMemoryDataset

        return InMemoryDataset(name, image_size, crop_size, mean=dict(options)["mean"])
    from alexnet_keras.data import Dataset

    return Dataset(name, image_size, crop_size, **dict(options), host=host, hosts=hosts)


def _numpy_iterator(batches):
    return batches.as_numpy_iterator() if hasattr(batches, "as_numpy_iterator") else batches


def _measured(history, errors):
    return {
        "seconds": sum(row["seconds"] for row in history),
        "errors": errors,
        "history": history,
    }


def _check_workdir(workdir, config, data=None):
    path = workdir / "config.json"
    if not path.exists():
        return
    # A field that was added later had its default.
    stored = as_stored(dataclasses.asdict(TrainingConfig())) | read_json(path)
    requested = as_stored(dataclasses.asdict(config) | ({"data": data} if data else {}))
    old_names, new_names = (
        settings["data"].pop("class_names", None) if settings.get("data") else None for settings in (stored, requested)
    )
    found = differences(requested, stored, [name for name in requested if name not in _FREE_FIELDS])
    changed = {name for name in requested if name not in _FREE_FIELDS and requested[name] != stored.get(name)}
    if None not in (old_names, new_names) and old_names != new_names:  # old workdirs store no class names
        found += _renamed_classes(new_names, old_names)
    elif changed <= _FIELDS_OF_CHANGES:
        before = TrainingConfig(**{field.name: stored[field.name] for field in dataclasses.fields(TrainingConfig)})
        done = len(read_history(workdir))
        if done <= config.epochs and before.changes(done) == config.changes(done):
            return
        found.append(_passed_changes(before, config, done))
    if found:
        raise settings_error(workdir, found, expected="a new folder, or one of the same configuration")


def _renamed_classes(requested, stored):
    """Describes the labels whose class names differ, the first three of them by name."""
    names = (
        {f"class name of label {label}": name for label, name in enumerate(names)} for names in (requested, stored)
    )
    found = differences(*names)
    return found[:3] + [f"{len(found) - 3} more class names"] * (len(found) > 3)


def _passed_changes(before, config, done):
    """Why a training of `done` epochs is not the start of `config`, and the options with which it would be."""
    if done > config.epochs:
        return f"{done} epochs are stored, give `epochs` (--epochs) of {done} or more"
    reasons, options = [], []
    words = {"drops": "drops of the learning rate", "late_changes": "late changes"}
    for index, field in enumerate(words):
        stored, requested = before.changes(done)[index], config.changes(done)[index]
        if stored == requested:
            continue
        passed = [epoch for epoch in stored if epoch < done]
        wanted = [epoch for epoch in config.changes(config.epochs)[index] if epoch < config.epochs]
        reasons.append(f"{words[field]}: stored {_at_epochs(passed)}, requested {_at_epochs(wanted)}")
        shares = [epoch / config.epochs for epoch in passed]
        shares += [max(share, done / config.epochs) for share in getattr(config, field)[len(passed) :]]
        options.append(f"`{field}` (--{field.replace('_', '-')}) {' '.join(f'{share:.6g}' for share in shares)}")
    return f"{' and '.join(reasons)}; to resume, give {' and '.join(options)}"


def _at_epochs(epochs):
    """Epochs that count from 0, in words that count from 1."""
    return f"before epoch {', '.join(str(epoch + 1) for epoch in epochs)}" if epochs else "never"


@contextlib.contextmanager
def _dtype_policy(precision):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _precision_label(precision):
    if precision == "float32" or has_accelerator() or has_bfloat16_arithmetic():
        return precision
    return f"{precision} (this processor has no bfloat16 arithmetic: float32 is faster and more exact)"


def compile_for_training(model, config):
    """Compiles a model with the update rule of a `TrainingConfig`."""
    optimizer = AlexNetSGD(
        config.learning_rate,
        momentum=config.momentum,
        coupled_weight_decay=config.weight_decay,
        weight_decay=config.decoupled_weight_decay or None,
        decay_biases=config.decay_biases,
        bias_learning_rate=config.bias_learning_rate,
        layer_learning_rates={**({"conv1": 1.0} if config.late_changes else {}), **config.layer_learning_rates},
    )
    compile_classifier(model, optimizer)


def _callbacks(model, config, workdir, history, steps, state):
    """The callbacks of every training, and the one that saves, which comes after all others."""
    first = process_index() == 0
    speed = Throughput(config.batch_size, config.epochs, state["step"], state["seconds"], verbose=first)
    chance = ChanceLevel(model.output_shape[-1], state["step"], state["chance"], verbose=first)
    callbacks = [RaiseOnNaN(steps), DeterministicDropout(config.seed), speed, chance]
    if config.schedule == "plateau":
        plateau = DropOnPlateau(patience=config.patience)
        plateau.set_model(model)
        plateau.replay(history)
        callbacks.append(plateau)
    else:
        drops, _ = config.changes(config.epochs)
        callbacks.append(
            keras.callbacks.LearningRateScheduler(
                lambda epoch: config.learning_rate * 0.1 ** sum(epoch >= drop for drop in drops)
            )
        )
    if config.late_changes:
        factor = config.layer_learning_rates.get("conv1", 1.0)
        callbacks.append(FreezeConv1(*config.changes(config.epochs)[1], factor))
    if first:
        callbacks.append(EpochLog(workdir / "history.csv"))
        callbacks.append(KernelSnapshots(workdir / "snapshots", first_convolution(model)))
    if first and not config.in_memory:  # it is TensorFlow that writes these
        callbacks.append(keras.callbacks.TensorBoard(str(workdir / "tensorboard"), write_graph=False))
    best = min((row["val_top1_error"] for row in history if "val_top1_error" in row), default=float("inf"))
    return callbacks, Checkpoints(workdir, steps, config.checkpoint_minutes, speed, chance, state, best)


def _check_hosts(workdir, position, config, info):
    fields = {name: value for name, value in dataclasses.asdict(config).items() if name not in _FREE_FIELDS}
    text = json.dumps([fields, info.train_count, info.validation_count, info.class_names])
    for value, what in (
        (zlib.crc32(text.encode()) >> 1, "The arguments and the data must be the same on all hosts; they are not"),
        (
            position,
            f"`workdir` must be one folder that all hosts share. Received: workdir={str(workdir)!r}, where not "
            "all of them see the same training",
        ),
    ):
        if not is_same_on_all_hosts(value):
            raise ValueError(what)


def _cut_history(workdir, epochs):
    """Takes what follows the rows of so many epochs out of history.csv."""
    path = workdir / "history.csv"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    if lines and not epochs:
        path.unlink()
    elif len(lines) > epochs + 1:  # the first is that of the names
        write_text(path, "".join(lines[: epochs + 1]))


def read_history(workdir):
    """The epochs of the training in a folder, each as a dict of numbers; one without validation has none of its."""
    path = Path(workdir) / "history.csv"
    if not path.exists():
        return []
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        if rows and not all(rows[-1].values()):  # half a row, of a process that was killed
            rows.pop()
        return [{name: float(value) for name, value in row.items() if value != NOT_MEASURED} for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(f"{path} must have a row of numbers for each epoch. It is damaged: {error}") from error


@functools.lru_cache(maxsize=1)  # an experiment trains many times on the same
def _pipeline_speed(dataset, batch_size, seconds=2.0, most=50, **options):
    """Images per second of this host's data pipeline with nothing else running, less what the step does (JAX)."""
    batches = iter(dataset.train(batch_size, **options))
    batch_size = len(next(batches)[1])
    start, count = time.perf_counter(), 0
    for _ in tqdm(itertools.takewhile(lambda i: time.perf_counter() - start < seconds, range(most)), desc="Pipeline"):
        next(batches)
        count += 1
    return count * batch_size / (time.perf_counter() - start)


def _training_speed(model, images, labels, steps=None, seconds=1.0):
    """Images per second of training steps on one and the same batch, as many as `steps` or `seconds` say."""
    model.train_on_batch(images, labels)
    start, count = time.perf_counter(), 0
    while count < (steps or 2) or (steps is None and time.perf_counter() - start < seconds):
        model.train_on_batch(images, labels)
        count += 1
    return count * len(labels) / (time.perf_counter() - start)
