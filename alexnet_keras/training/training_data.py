"""The data set of a training."""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

from alexnet_keras.data.options import BatchOptions, can_be_in_memory
from alexnet_keras.distributed.devices import needs_full_batches
from alexnet_keras.distributed.hosts import (
    main_process_first,
    process_count,
    process_index,
    raise_on_host_failure,
)
from alexnet_keras.extras import MissingExtraError
from alexnet_keras.files import expand_home

if TYPE_CHECKING:
    from alexnet_keras.data.info import DatasetInfo
    from alexnet_keras.training.config import TrainingConfig


@dataclasses.dataclass(frozen=True)
class DataRequest:
    """Request for the data set of a training. Equal requests give the same data set.

    Args:
        config_fields: pairs of a name and a value, the fields of the `TrainingConfig` that concern
            the stored and prepared images.
        host, hosts: index of this host, and number of hosts.
        preparation: mean and color order of the classifier whose hash is among the fields; empty
            for a training from scratch.
        check_classes: as for `Dataset`, which calls it before it prepares the images. Images in the
            device's memory need no such check, as they are few.
    """

    config_fields: tuple
    host: int
    hosts: int
    preparation: dict = dataclasses.field(default_factory=dict, compare=False)
    check_classes: Callable[[tuple], None] | None = dataclasses.field(default=None, compare=False)

    def open(self) -> Any:
        """Opens and prepares the data set."""
        options = dict(self.config_fields)
        name = options.pop("dataset")
        del options["pretrained_sha256"]
        if options.pop("in_memory"):
            from alexnet_keras.data import InMemoryDataset

            return InMemoryDataset(
                name,
                options["image_size"],
                options["crop_size"],
                mean_subtraction=options["mean_subtraction"],
                **self.preparation,
            )
        try:
            from alexnet_keras.data import Dataset
        except MissingExtraError as error:
            if not can_be_in_memory(name):
                raise
            fix = "or give `in_memory` (--in-memory), which reads this data set without it"
            raise MissingExtraError(f"{error}, {fix}", name=error.name) from error

        return Dataset(
            name,
            **options,
            **self.preparation,
            host=self.host,
            hosts=self.hosts,
            check_classes=self.check_classes,
        )


class _NewestDataset:
    """Keeps the newest data set open, as an experiment trains many times on the same images."""

    def __init__(self):
        self._forget()

    def _forget(self):
        self.request = None
        self.modified = None
        self.dataset: Any = None

    def open(self, request):
        """Opens a data set, or returns the newest one for an equal request and unchanged file."""
        path = expand_home(dict(request.config_fields)["dataset"])
        if path.is_dir():  # its files may change while the folder stays the same
            return request.open()
        modified = path.stat().st_mtime_ns if path.exists() else None
        if (request, modified) != (self.request, self.modified):
            self._forget()  # so that only one of them is in memory
            self.dataset = request.open()
            self.request = request
            self.modified = modified
        return self.dataset


_NEWEST = _NewestDataset()


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The batches and the description of the data set of a training.

    Args:
        dataset: a `Dataset` or an `InMemoryDataset`.
        config: `TrainingConfig`.
    """

    dataset: Any
    config: "TrainingConfig"

    @property
    def info(self) -> "DatasetInfo":
        """The `DatasetInfo`."""
        return self.dataset.info

    @property
    def steps(self) -> int:
        """Number of steps in an epoch."""
        return self.info.train_count // self.config.batch_size

    @property
    def is_augmented_on_device(self) -> bool:
        """Whether the training steps augment the images of `batches`."""
        return keras.backend.backend() == "jax" or self.config.in_memory

    @property
    def identity(self) -> dict:
        """Properties of the data set that must stay the same when a training is resumed."""
        info = self.info
        identity = {
            "classes": info.classes,
            "train_count": info.train_count,
            "class_names": list(info.class_names),
        }
        return identity | ({"content": info.content} if info.content else {})

    @property
    def description(self) -> dict:
        """Description of the data set in the results."""
        names = ("name", "classes", "train_count", "validation_count", "splits")
        description = {name: getattr(self.info, name) for name in names}
        content = {"content": self.info.content} if self.info.content else {}
        return {**description, "skipped": len(self.info.skipped), **content}

    def batches(self, epoch: int, step: int) -> Any:
        """Returns endless training batches, from a step of an epoch on."""
        config = self.config
        options = {}
        if self.is_augmented_on_device and not config.in_memory:  # an `InMemoryDataset` always does
            options["device_augmentation"] = True
        return self.dataset.train(
            config.batch_size,
            random_crop=config.random_crop,
            pca_noise=config.pca_noise,
            pca_noise_epochs=config.pca_noise_epochs,
            seed=config.seed,
            first_epoch=epoch,
            first_step=step,
            **options,
        )

    def validation_batches(self) -> Any:
        """Returns one pass over the validation images."""
        return self.dataset.validation(self.config.batch_size, padded=needs_full_batches())


_DATA_FIELDS = (
    "dataset",
    "in_memory",
    "image_size",
    "crop_size",
    "scale_jitter",
    "mean_subtraction",
    "skip_corrupt",
    "hold_out_every",
    "class_subset",
    "max_images_per_class",
    "memory_gib",
    "pretrained_sha256",
)


def open_training_data(
    config: "TrainingConfig", classes: int | None = None, preparation: dict | None = None
) -> TrainingData:
    """Opens the data set of a training. The first of several hosts prepares it for all.

    Args:
        config: `TrainingConfig`.
        classes: number of classes that the data set must have; `None` for any.
        preparation: `mean` and `color_order` of a classifier; `None` for the data set's own mean.

    Raises:
        ValueError: for a data set that does not fit the configuration, or has other classes, or
            fewer images than a batch.
        FileNotFoundError: for a data set that must be downloaded by hand.
    """
    host = process_index()
    hosts = process_count()
    if config.in_memory and hosts > 1:
        raise ValueError(f"`in_memory` needs one host. Received: {hosts} hosts")
    fields = tuple((name, getattr(config, name)) for name in _DATA_FIELDS)
    check_classes = functools.partial(_check_classes, config.dataset, classes)
    with raise_on_host_failure(), main_process_first():
        request = DataRequest(fields, host, hosts, preparation or {}, check_classes)
        dataset = _NEWEST.open(request)
    info = dataset.info
    check_classes(info.class_names)  # of a data set that was open already
    BatchOptions(config.batch_size).check_fits(info.name, info.train_count)
    return TrainingData(dataset, config)


def _check_classes(name, count, class_names):
    """Raises a `ValueError` for another number of classes than `count`, unless it is `None`."""
    if count not in (None, len(class_names)):
        raise ValueError(
            f"`classes` must be the number of classes of the data, {len(class_names)} in "
            f"{name!r}. Received: classes={count}"
        )
