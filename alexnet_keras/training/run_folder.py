"""The folder of one training: its lock, settings, history, checkpoint and results."""

import contextlib
import csv
import dataclasses
import json
import os
import statistics
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet_keras.classifier import FILE_NAME, Classifier
from alexnet_keras.data.imagenet_names import imagenet_names
from alexnet_keras.distributed.hosts import (
    barrier,
    is_same_on_all_hosts,
    no_distribution,
    process_index,
)
from alexnet_keras.files import (
    check_writable,
    expand_home,
    holding,
    read_json,
    read_npz,
    remove_partial_files,
    replacing,
    write_text,
)
from alexnet_keras.models import load_model
from alexnet_keras.record import as_stored, differences, settings_error
from alexnet_keras.training.callbacks import NOT_MEASURED
from alexnet_keras.training.config import TrainingConfig
from alexnet_keras.training.presets import FINE_TUNING, PRETRAINED

if TYPE_CHECKING:
    from alexnet_keras.data.info import DatasetInfo

_SAME_CONFIGURATION = "a new folder, or one of the same configuration"
_PREPARATION = "preparation.npz"  # of a training that starts from a classifier
# Files and folders of a training besides its checkpoints and `config.json`.
_WRITTEN = (
    _PREPARATION,
    "history.csv",
    "errors.json",
    "results.json",
    FILE_NAME,
    "curves.png",
    "kernels.png",
    "snapshots",
    "tensorboard",
)
# Fields that may differ between the calls of one training.
_FREE_FIELDS = ("devices", "test_views", "checkpoint_minutes")
# Fields that a training from a classifier takes from it.
_FIELDS_OF_CLASSIFIER = (
    *("pretrained_sha256", "image_size", "crop_size", "mean_subtraction"),
    *("layer_learning_rates", "conv1_milestones"),
)
# Fields that may differ for epochs that are still to come.
_CHANGES = {
    "lr_milestones": "drops of the learning rate",
    "pca_noise_end": "end of the color noise",
    "conv1_milestones": "changes of conv1's learning rate",
}
_FIELDS_OF_CHANGES = {"epochs", *_CHANGES}
# Fields of earlier versions that now have other names.
_RENAMED_FIELDS = (
    "config",
    "drops",
    "crops",
    "scales",
    "mean",
    "views",
    "late_changes",
    "held_out",
)


class RunFolder:
    """The folder of one training. Of several hosts, which share it, only the first writes to it.

    Args:
        path: path of the folder; `locked` makes it if it does not exist.
        config: `TrainingConfig` of this call.

    Attributes:
        path: `pathlib.Path`.
        is_main: whether this host writes.
    """

    def __init__(self, path: str | os.PathLike, config: TrainingConfig):
        if not os.fspath(path):  # such as a variable of the shell that is not set
            raise ValueError(
                "`workdir` must be the path of a folder, such as . for the current one. "
                "Received: workdir=''"
            )
        self.path = expand_home(path)
        self.config = config
        self.is_main = process_index() == 0

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Context in which no other process trains in the folder.

        Raises:
            ValueError: if the folder can't be written, or another process trains in it.
        """
        check_writable(self.path)
        with contextlib.ExitStack() as stack:
            if self.is_main:
                stack.enter_context(holding(self.path))
                remove_partial_files(self.path / "snapshots")
            yield

    @property
    def is_started(self) -> bool:
        """Whether there is a checkpoint."""
        return any((self.path / name).exists() for name in ("last.keras", "best.keras"))

    @property
    def _errors_path(self):
        return self.path / "errors.json"

    @property
    def results_path(self) -> Path:
        """Path of the results."""
        return self.path / "results.json"

    def stored_errors(self) -> dict:
        """Returns the errors that an earlier call has measured after the same number of epochs."""
        errors = {}
        if self._errors_path.exists():  # of a call that was stopped between two views
            kept = read_json(self._errors_path, "epochs", "errors")
            errors = kept["errors"] if kept["epochs"] == self.config.epochs else {}
        return errors | self._errors_of_results()

    def _errors_of_results(self):
        if not self.results_path.exists():
            return {}
        results = read_json(self.results_path, "config", "errors")
        return results["errors"] if results["config"]["epochs"] == self.config.epochs else {}

    def keep_errors(self, errors: dict) -> None:
        """Keeps errors until `finish`, so that a stopped call need not measure them again.

        Args:
            errors: dict from the name of test views to errors.
        """
        if self.is_main:
            kept = {"epochs": self.config.epochs, "errors": errors}
            write_text(self._errors_path, json.dumps(as_stored(kept)) + "\n")

    def finished_results(self) -> dict | None:
        """Returns the results of a training that has ended and been evaluated; else `None`.

        Raises:
            ValueError: if the results or the history are damaged.
        """
        errors = self._errors_of_results()
        if not all(views in errors for views in self.config.test_views):
            return None
        results = read_json(self.results_path, "history")
        rows = len(self.history())
        if rows != len(results["history"]):
            raise ValueError(
                f"{self.path / 'history.csv'} must have a row for each of the "
                f"{len(results['history'])} epochs in results.json. It is damaged: it has {rows}"
            )
        return results

    def history(self) -> list[dict]:
        """Returns the epochs; see `read_history`."""
        return read_history(self.path)

    def check_settings(self, data: dict | None = None) -> None:
        """Checks that the stored training is the start of the requested one.

        Args:
            data: description of the data set; `None` while it is not known yet.

        Raises:
            ValueError: if it is not; the message lists the differences.
        """
        path = self.path / "config.json"
        if not path.exists():
            self._check_is_new()
            return
        # A field that was added later had its default.
        stored = read_json(path)
        if any(name in stored for name in _RENAMED_FIELDS):
            raise ValueError(
                "`workdir` must be new, or of a training by this version. Received: "
                f"{str(self.path)!r}, which an earlier version wrote, whose options had other "
                "names. Its .keras files still load: start a new training from one by "
                "`initial_weights` (--initial-weights)"
            )
        stored = as_stored(dataclasses.asdict(TrainingConfig())) | stored
        requested = as_stored(dataclasses.asdict(self.config) | ({"data": data} if data else {}))
        old_names = _take(stored, "class_names")
        new_names = _take(requested, "class_names")
        old_content = _take(stored, "content")
        new_content = _take(requested, "content")
        names = [name for name in requested if name not in _FREE_FIELDS]
        found = differences(requested, stored, names)
        # Folders of earlier versions have neither class names nor content.
        if None not in (old_names, new_names) and old_names != new_names:
            found += _renamed_classes(new_names, old_names)
        elif None not in (old_content, new_content) and old_content != new_content:
            found.append(
                "data: the class folders have other files than at the start of the training"
            )
        elif {name for name in names if requested[name] != stored.get(name)} <= _FIELDS_OF_CHANGES:
            passed = self._describe_passed(stored, len(self.history()))
            found = [*found, passed] if passed else []
            # The optimizer of the checkpoint has no learning rate for conv1 then.
            if requested["conv1_milestones"] and not stored["conv1_milestones"]:
                has_rate = "conv1" in stored["layer_learning_rates"]
                found += [] if has_rate else ["conv1_milestones: in a new training only"]
        if found:
            raise settings_error(self.path, found, expected=_SAME_CONFIGURATION)

    def _check_is_new(self):
        """Raises a `ValueError` if a new training would replace files of something else."""
        found = [str(self.path / name) for name in _WRITTEN if (self.path / name).exists()]
        if found and not self.is_started:
            raise ValueError(
                "`workdir` must be a new folder, or one of the same training. Received: "
                f"{str(self.path)!r}, without config.json, but with files that a training would "
                f"replace: {', '.join(found)}"
            )

    def _describe_passed(self, stored, begun):
        """Describes how the schedules differ in the epochs that have begun, or returns `None`.

        Args:
            stored: content of `config.json`.
            begun: number of epochs that have begun.
        """
        fields = [field.name for field in dataclasses.fields(TrainingConfig)]
        before = TrainingConfig(**{name: stored[name] for name in fields if name in stored})
        if begun <= self.config.epochs and before.changes(begun) == self.config.changes(begun):
            return None
        return _passed_changes(before, self.config, begun)

    def check_history(self, state: dict) -> None:
        """Raises a `ValueError` if the history lacks epochs of the checkpoint.

        Args:
            state: state of the checkpoint, of `find_checkpoint`.
        """
        rows = len(self.history())
        if rows < state["epoch"]:
            raise ValueError(
                f"{self.path / 'history.csv'} must have a row for each of the {state['epoch']} "
                f"epochs of the checkpoint. It is damaged or missing: it has {rows}. Restore it, "
                "or start a new training from the checkpoint (`initial_weights`, --initial-weights)"
            )

    def check_position(self, state: dict, data: dict) -> None:
        """Checks that all hosts resume the same training, within the requested epochs.

        An epoch that has begun must keep its schedule.

        Args:
            state: state of the checkpoint, of `find_checkpoint`.
            data: description of the data set.

        Raises:
            ValueError: if not.
        """
        fields = {
            name: value
            for name, value in dataclasses.asdict(self.config).items()
            if name not in _FREE_FIELDS
        }
        if not is_same_on_all_hosts(zlib.crc32(json.dumps([fields, data]).encode()) >> 1):
            raise ValueError(
                "The arguments and the data must be the same on all hosts; they are not"
            )
        if not is_same_on_all_hosts((state["epoch"], state["step"])):
            raise ValueError(
                "`workdir` must be one folder that all hosts share. Received: "
                f"workdir={str(self.path)!r}, where not all of them see the same training"
            )
        begun = state["epoch"] + (state["step"] > 0)
        if begun > self.config.epochs:
            raise ValueError(
                f"`epochs` must be at least {begun}, the current epoch of this training. "
                f"Received: epochs={self.config.epochs}"
            )
        path = self.path / "config.json"
        passed = self._describe_passed(read_json(path), begun) if path.exists() else None
        if passed:
            raise settings_error(self.path, [passed], expected=_SAME_CONFIGURATION)

    def begin(self, state: dict, data: dict, preparation: dict | None = None) -> None:
        """Stores the settings, and removes history that is newer than the checkpoint.

        Args:
            state: state of the checkpoint, of `find_checkpoint`.
            data: description of the data set.
            preparation: `mean` and `color_order` of the classifier that the training starts from.
        """
        if self.is_main:
            self._cut_history(state["epoch"])
            if state["epoch"] < self.config.epochs and not state["stopped"]:
                self._errors_path.unlink(missing_ok=True)  # of other weights
            settings = dataclasses.asdict(self.config)
            settings |= {"data": data, "dataset_path": absolute_path(self.config.dataset)}
            text = json.dumps(settings, indent=1)
            write_text(self.path / "config.json", text + "\n")
            # After config.json, without which the folder counts as another one.
            if preparation is not None:
                with replacing(self.path / _PREPARATION) as partial:
                    np.savez(partial, **preparation)
        barrier()

    def write_classifier(self, info: "DatasetInfo", has_mean_color: bool) -> None:
        """Writes the best network with its preparation and class names.

        Names replace the WordNet numbers of ImageNet's classes.

        Args:
            info: `DatasetInfo` of the training.
            has_mean_color: whether the mean is one color.
        """
        if not self.is_main:
            return
        best = self.path / "best.keras"  # missing without validation
        mean = info.mean_image[0, 0] if has_mean_color else info.mean_image
        mean = mean[..., ::-1] if info.color_order == "BGR" else mean  # in the order RGB
        names = imagenet_names()
        class_names = [names.get(name, name) for name in info.class_names]
        with no_distribution():  # the other hosts make no variables
            network = load_model(best if best.exists() else self.path / "last.keras", "workdir")
            classifier = Classifier.from_network(
                network,
                mean,
                class_names,
                image_size=info.image_size,
                color_order=info.color_order,
            )
            classifier.save(self.path / FILE_NAME)

    def finish(self, record: dict, errors: dict) -> dict:
        """Stores and prints the results.

        Args:
            record: entries without measurements, such as configuration, data and machine.
            errors: dict from the name of test views to errors.

        Returns:
            Content of `results.json`.
        """
        results = self.measured(record, errors)
        speeds = [row["images_per_second"] for row in results["history"]]
        results["images_per_second"] = {"training": statistics.median(speeds)}
        if self.is_main:
            write_text(self.results_path, json.dumps(results, indent=1) + "\n")
            self._errors_path.unlink(missing_ok=True)
            for name, error in errors.items():
                label = name.replace("_", " ")
                print(
                    f"Top-1 error {error['top1_error']:.2f}%, top-5 error "
                    f"{error['top5_error']:.2f}% ({label})"
                )
            print(f"Everything is in {self.path}", flush=True)
        return as_stored(results)

    def measured(self, record: dict, errors: dict) -> dict:
        """Returns results as far as they go: the record, with errors, history and seconds."""
        history = self.history()
        return record | {
            "seconds": sum(row["seconds"] for row in history),
            "errors": errors,
            "history": history,
        }

    def _cut_history(self, epochs):
        path = self.path / "history.csv"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        if lines and not epochs:
            path.unlink()
        elif len(lines) > epochs + 1:  # the first line has the names of the columns
            write_text(path, "".join(lines[: epochs + 1]))


def absolute_path(dataset: str) -> str | None:
    """Returns the absolute path of a folder or file; `None` for a data set without one."""
    path = expand_home(dataset)
    return str(path.resolve()) if path.exists() else None


def read_history(workdir: str | os.PathLike) -> list[dict]:
    """Reads the epochs of the training in a folder.

    Returns:
        List of dicts of numbers, one for each epoch. An epoch without validation has no `val_`
        numbers.

    Raises:
        ValueError: if the file is damaged.
    """
    path = Path(workdir) / "history.csv"
    if not path.exists():
        return []
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        if rows and not all(rows[-1].values()):  # half a row of a killed process
            rows.pop()
        return [
            {name: float(value) for name, value in row.items() if value != NOT_MEASURED}
            for row in rows
        ]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(
            f"{path} must have a row of numbers for each epoch. It is damaged: {error}"
        ) from error


def started_fine_tuning(
    workdir: str | os.PathLike, options: Mapping[str, Any]
) -> TrainingConfig | None:
    """Returns the configuration of a training from a classifier that has begun in a folder.

    After the first checkpoint it needs no file of the classifier: all that the training took from
    it is stored.

    Args:
        workdir: path of the folder.
        options: fields of the requested `TrainingConfig`.

    Returns:
        A `TrainingConfig`; `None` if no training from this classifier has begun there.
    """
    path = expand_home(workdir) / "config.json"
    pretrained = options.get("pretrained")
    if pretrained is None or "preset" in options or not path.exists():
        return None
    stored = read_json(path)
    if stored.get("pretrained") != os.fspath(pretrained):
        return None
    taken = {name: stored[name] for name in _FIELDS_OF_CLASSIFIER}
    return TrainingConfig(**{**FINE_TUNING, **taken, **options, "preset": PRETRAINED})


def read_preparation(workdir: str | os.PathLike) -> dict:
    """Reads the mean and the color order of the classifier that a training has started from.

    Returns:
        dict of `mean` and `color_order`, options of a data set.

    Raises:
        ValueError: if the file is missing or damaged.
    """
    mean, color_order = read_npz(Path(workdir) / _PREPARATION, "mean", "color_order")
    return {"mean": mean, "color_order": str(color_order)}


def _take(settings, name):
    """Removes a description of the data from settings and returns it; `None` if there is none."""
    return settings["data"].pop(name, None) if settings.get("data") else None


def _renamed_classes(requested, stored):
    """Describes the labels whose class names differ, the first three of them by name."""
    found = differences(_by_label(requested), _by_label(stored))
    return found[:3] + [f"{len(found) - 3} more class names"] * (len(found) > 3)


def _by_label(class_names):
    return {f"class name of label {label}": name for label, name in enumerate(class_names)}


def _passed_changes(before, config, done):
    """Describes the schedule's difference from a training of `done` epochs, and the fix."""
    if done > config.epochs:
        return f"{done} epochs are stored, give `epochs` (--epochs) of {done} or more"
    reasons = []
    options = []
    for field, label in _CHANGES.items():
        stored = before.changes(done)[field]
        requested = config.changes(done)[field]
        if stored == requested:
            continue
        passed = [epoch for epoch in stored if epoch < done]
        wanted = config.changes(config.epochs)[field]
        reasons.append(f"{label}: stored {_at_epochs(passed)}, requested {_at_epochs(wanted)}")
        shares = [epoch / config.epochs for epoch in passed]
        shares += [
            max(share, done / config.epochs)
            for share in config.shares_of_changes[field][len(passed) :]
        ]
        options.append(
            f"`{field}` (--{field.replace('_', '-')}) "
            f"{' '.join(f'{share:.6g}' for share in shares)}"
        )
    return f"{' and '.join(reasons)}; to resume, give {' and '.join(options)}"


def _at_epochs(epochs):
    """Describes epochs that count from 0 by numbers that count from 1."""
    return f"before epoch {', '.join(str(epoch + 1) for epoch in epochs)}" if epochs else "never"
