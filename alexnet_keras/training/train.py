"""Training and evaluation of a network on the TensorFlow, JAX and PyTorch backends."""

import dataclasses
import os
from collections.abc import Iterable

import keras

from alexnet_keras.data.options import check_path
from alexnet_keras.distributed.hosts import (
    main_process_first,
    print_once,
    process_count,
    process_index,
    raise_on_host_failure,
)
from alexnet_keras.evaluation.evaluate import compile_classifier, evaluate
from alexnet_keras.evaluation.views import dense_model
from alexnet_keras.extras import extra
from alexnet_keras.files import expand_home
from alexnet_keras.record import provenance
from alexnet_keras.training.checkpoints import find_checkpoint
from alexnet_keras.training.config import TrainingConfig
from alexnet_keras.training.fine_tuning import PretrainedClassifier
from alexnet_keras.training.initial_weights import (
    new_network,
    open_pretrained,
    read_initial_weights,
    set_initial_weights,
)
from alexnet_keras.training.optimizer import AlexNetSGD
from alexnet_keras.training.run_folder import RunFolder, read_preparation
from alexnet_keras.training.scope import TrainingScope
from alexnet_keras.training.trainer import Trainer
from alexnet_keras.training.training_data import open_training_data


def train_and_evaluate(
    config: TrainingConfig,
    workdir: str | os.PathLike,
    *,
    classes: int | None = None,
    command: str | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    verbose: int = 1,
) -> dict:
    """Trains the network of `config` and measures its errors on the test views that `config` names.

    The folder `workdir` gets these files:

    - `config.json`: the settings.
    - `history.csv`: a row for each epoch; `tensorboard/`: the same for TensorBoard.
    - `snapshots/`: the conv1 kernels after each epoch.
    - `best.keras`: the network with the lowest validation top-1 error.
    - `last.keras`: the newest checkpoint, from which a training resumes.
    - `results.json`: the returned results.
    - `classifier.keras`: `best.keras` with its preparation and class names, for
      `alexnet_keras.Classifier`.
    - `preparation.npz`: mean and color order of the classifier that `config.pretrained` names.

    Repeat the same call to resume a stopped training from `last.keras`. On a CPU its weights are
    then bit-identical. A finished training returns its results. A call with more epochs, or with
    other rate drops that are still to come, resumes it, if the past drops stay at their epochs.

    Several hosts (`alexnet_keras.distributed.join_hosts`) divide each batch. Each host calls this
    with the same arguments. They share the folder `workdir`; only the first host writes to it.

    Args:
        config: a `TrainingConfig`.
        workdir: path of the folder, made if it does not exist.
        classes: number of classes that the data must have; `None` for any number.
        command: command line, for the record.
        callbacks: additional Keras callbacks, which may end the training early.
        verbose: 1 for Keras' progress bars, 2 for its line for each epoch, 0 for neither. The
            package's own line for each epoch is always printed.

    Returns:
        Content of `results.json`, a dict. It has configuration, data, machine, library versions,
        history, images per second, and errors of the last epoch's model in percent.

    Raises:
        ValueError: for a data set, device, batch or test view that does not fit; for a workdir of
            another configuration, among the images, with damaged or other files, in use by another
            process, or that cannot be written.
        FileNotFoundError: for data that must be downloaded by hand.
        FloatingPointError: if the loss or a weight is NaN or infinite; its `results` end before
            that epoch.
        OSError: if a file cannot be read or written.
        RuntimeError: for more CPU devices than the backend has started with.
        ConnectionError: if another host of the training is lost.
        SystemExit: 143 after SIGTERM, 130 after Ctrl-C, with everything saved.
        KeyboardInterrupt: after a second Ctrl-C, or one outside the epochs.

    Reference: section 5 of Krizhevsky et al. (2012).
    """
    folder = RunFolder(workdir, config)
    _check_workdir(folder)
    with folder.locked():
        folder.check_settings()
        results = folder.finished_results()
        if results is not None:
            print_once(f"This training has ended; its results are in {folder.results_path}")
            return results
        scope = TrainingScope(config)
        with raise_on_host_failure(), main_process_first():
            check_path(config.dataset)  # before a classifier is downloaded
            path, state = find_checkpoint(folder.path)
            folder.check_history(state)
        start = _read_start(config, folder)
        data = open_training_data(config, classes, start.preparation)
        folder.check_settings(data.identity)
        with scope.entered():
            # Check first: creating variables is a collective operation of all hosts.
            folder.check_position(state, data.identity | data.description)
            network = keras.saving.load_model(path) if path else _build_network(start, data)
            _check_views(network, data)
            folder.begin(state, data.identity, start.preparation)
            _print_summary(network, data, folder, scope, state)
            record = _record(network, data, scope, command)
            verbose = verbose if folder.is_main else 0
            try:
                Trainer(network, data, folder, state).run(callbacks, verbose)
            except FloatingPointError as error:
                error.results = folder.measured(record, {})  # pyright: ignore
                raise
            errors = _evaluate_views(network, data, folder, verbose)
        folder.write_classifier(data.info, has_mean_color=config.mean_subtraction == "color")
        return folder.finish(record, errors)


def compile_for_training(model: keras.Model, config: TrainingConfig) -> None:
    """Compiles a model with the update rule of a `TrainingConfig`.

    Raises:
        ValueError: for a layer of the config that the model does not have.
    """
    rates = dict(config.layer_learning_rates)
    if config.conv1_milestones:
        rates.setdefault("conv1", 1.0)  # `FreezeConv1` changes the rates of layers that have one
    optimizer = AlexNetSGD(
        config.learning_rate,
        momentum=config.momentum,
        coupled_weight_decay=config.weight_decay,
        weight_decay=config.decoupled_weight_decay or None,
        decay_biases=config.decay_biases,
        layer_weight_decay=config.layer_weight_decay,
        bias_learning_rate=config.bias_learning_rate,
        layer_learning_rates=rates,
    )
    compile_classifier(model, optimizer)
    # TensorFlow traces a step twice if it makes the optimizer's variables.
    model.optimizer.build(model.trainable_variables)


@dataclasses.dataclass(frozen=True)
class _Start:
    """Start of a training: classifier, initial weights and preparation.

    Args:
        pretrained: the classifier of `config.pretrained`; `None` without one.
        weights: dict from a layer's name to its initial weights; random in other layers.
        preparation: mean and color order of the classifier; `None` without one.
    """

    pretrained: PretrainedClassifier | None
    weights: dict
    preparation: dict | None


def _read_start(config, folder):
    if folder.is_started:  # a training that has begun no longer needs the file of its start
        return _Start(None, {}, read_preparation(folder.path) if config.pretrained else None)
    pretrained = open_pretrained(config)
    weights = read_initial_weights(config, pretrained)
    return _Start(pretrained, weights, pretrained and pretrained.preparation)


def _build_network(start, data):
    network = new_network(data.config, data.info.classes, start.pretrained)
    set_initial_weights(network, start.weights)
    compile_for_training(network, data.config)
    return network


def _record(network, data, scope, command):
    """Returns what `results.json` says of a training besides its measurements."""
    return {
        **provenance(command, devices=scope.devices, hosts=process_count()),
        "config": dataclasses.asdict(data.config),
        "data": data.description,
        "parameters": network.count_params(),
    }


def _print_summary(network, data, folder, scope, state):
    """Prints data, network, device and epochs of a training that begins or resumes."""
    if not folder.is_main:
        index = process_index()
        count = process_count()
        print(f"Host {index} of {count}: host 0 prints and writes the results", flush=True)
        return
    config = data.config
    info = data.info
    epoch = state["epoch"]
    step = state["step"]
    skipped = f" ({len(info.skipped)} corrupt files skipped)" if info.skipped else ""
    remaining = f"epochs {epoch + 1} to {config.epochs}"
    if state["stopped"]:
        remaining = f"ended after epoch {epoch} by early stopping"
    elif epoch >= config.epochs:
        remaining = "no epochs left"
    elif step:
        remaining += f" (resumed after step {step})"
    print(
        f"Data: {info.name}, {info.classes} classes, {info.train_count:,} training images "
        f"({info.splits[0]}) and {info.validation_count:,} validation images "
        f"({info.splits[1]}){skipped}\n"
        f"Network: {config.pretrained or config.preset}, {network.count_params():,} parameters, "
        f"{scope.precision}\n"
        f"Device: {scope.devices}\n"
        f"Training: {remaining}, each {data.steps} steps of {config.batch_size} images\n"
        f"Results: {folder.path}",
        flush=True,
    )


def _check_workdir(folder):
    """Raises a `ValueError` for a workdir among the images of its data set."""
    config = folder.config
    if config.in_memory or not expand_home(config.dataset).is_dir():
        return
    with extra("reading image folders"):
        from alexnet_keras.data.folders import check_outside
    check_outside(config.dataset, folder.path)


def _check_views(network, data):
    """Raises a `ValueError` if dense views are requested of a network that can't see them."""
    if "dense" not in data.config.test_views:
        return
    try:
        dense_model(network, data.info.image_size, data.info.mean_image)
    except ValueError as error:
        raise ValueError(
            "`test_views` must be views of crops for this network: dense views need a chain of "
            "layers with one Flatten, and no quantization. "
            f"Received: test_views={data.config.test_views}"
        ) from error


def _evaluate_views(network, data, folder, verbose):
    """Returns the errors of all test views of a training."""
    errors = folder.stored_errors()
    for views in data.config.test_views:
        if views in errors:
            continue
        measured = _last_validation(folder) if views == "center" else None
        if measured is None:
            measured = evaluate(
                network, data.dataset, views, data.config.batch_size, verbose=int(verbose == 1)
            )
            folder.keep_errors(errors | {views: measured})
        errors[views] = measured
    return errors


def _last_validation(folder):
    """Returns the errors that the last epoch's validation has measured; `None` without one."""
    history = folder.history()
    if not history or "val_loss" not in history[-1]:
        return None
    return {name: history[-1][f"val_{name}"] for name in ("top1_error", "top5_error", "loss")}
