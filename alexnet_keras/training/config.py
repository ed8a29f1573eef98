"""Training configuration and presets."""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from alexnet_keras.checks import (
    MEAN_SUBTRACTIONS,
    as_tuple,
    check_crop_size,
    check_whole_number,
    seed_number,
    storable,
    true_or_false,
)
from alexnet_keras.data.options import can_be_in_memory, check_scale_jitter
from alexnet_keras.data.pca_noise import PCA_NOISE
from alexnet_keras.evaluation.view_names import TEST_VIEWS
from alexnet_keras.training.fields import (
    Number,
    OneOf,
    Shares,
    Subset,
    name_or_path,
    numbers_by_layer,
    optional_path,
    optional_whole_number,
    share,
)
from alexnet_keras.training.presets import FINE_TUNING, PRETRAINED, TRAINING_PRESETS

if TYPE_CHECKING:
    from alexnet_keras.models import AlexNetConfig, VGGConfig

SCHEDULES = ("plateau", "step")
PRECISIONS = ("float32", "mixed_bfloat16")
GROUPS = ("data", "network", "training", "devices", "evaluation")  # of the options, in `--help`


def _option(group, default, help, check=None) -> Any:
    """Returns a field with its group and text in `--help`, and its check of `training.fields`."""
    metadata = {"group": group, "help": help, "check": check}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _parse_devices(devices):
    # Imported late, as are the networks below: options are parsed before Keras is imported.
    from alexnet_keras.distributed.devices import parse_devices

    return parse_devices(devices)


def _device_option(name, value):
    return _parse_devices(value).option


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Configuration of a training. The defaults are the paper's; `training_config` has presets.

    `alexnet train --help` prints the meaning and unit of every field.

    Raises:
        ValueError: for an invalid value; the message names the field.

    Reference: sections 2, 4 and 5 of Krizhevsky et al. (2012).
    """

    dataset: str = _option(
        "data",
        "imagenet2012",
        "TFDS name of the images, a folder with train/CLASS/ and val/CLASS/, or an .npz file",
        name_or_path,
    )
    preset: str = _option(
        "network",
        "paper",
        f"preset of the network and its training: {', '.join(TRAINING_PRESETS)}",
        OneOf((*TRAINING_PRESETS, PRETRAINED)),
    )
    overrides: dict = _option(
        "network", {}, "fields of AlexNetConfig or VGGConfig that replace the preset's"
    )
    pretrained: str | None = _option(
        "network",
        None,
        "start from a classifier, with a new output layer: a name of pre-trained weights, the path "
        "of a classifier.keras file or the folder of a training, or none",
        optional_path,
    )
    pretrained_sha256: str | None = _option(
        "network",
        None,
        "SHA-256 hash that the file of --pretrained must have, or none for any",
    )
    epochs: int = _option(
        "training", 90, "maximum number of passes over the training images", check_whole_number
    )
    batch_size: int = _option(
        "training",
        128,
        "number of images in a training step, over all devices together",
        check_whole_number,
    )
    learning_rate: float = _option("training", 0.01, "initial learning rate", Number())
    schedule: str = _option(
        "training",
        "plateau",
        "how the learning rate is divided by 10: plateau does so on each of the first three "
        "plateaus of the validation top-1 error and stops on the next, step does so at "
        "--lr-milestones",
        OneOf(SCHEDULES),
    )
    patience: int = _option(
        "training",
        5,
        "number of epochs without a lower validation top-1 error that make a plateau",
        check_whole_number,
    )
    lr_milestones: tuple = _option(
        "training",
        (23 / 93, 51 / 93, 78 / 93),
        "shares of the epochs, 0 to 1, at which schedule step divides the learning rate by 10",
        Shares(),
    )
    momentum: float = _option(
        "training", 0.9, "momentum of the updates, 0 to below 1", Number(below=1)
    )
    weight_decay: float = _option(
        "training", 0.0005, "weight decay, which goes through the momentum", Number()
    )
    decay_biases: bool = _option(
        "training", True, "apply the weight decay to biases too", true_or_false
    )
    layer_weight_decay: dict = _option(
        "training",
        {},
        "weight decay of single layers, which replaces weight_decay there",
        numbers_by_layer,
    )
    decoupled_weight_decay: float = _option(
        "training",
        0.0,
        "weight decay that bypasses the momentum, multiplied by the learning rate in each step",
        Number(),
    )
    bias_learning_rate: float | None = _option(
        "training",
        None,
        "learning rate of the biases, which stays when the rate of the weights drops, or none for "
        "the rate of the weights",
        Number(optional=True),
    )
    initial_weights: str | None = _option(
        "network",
        None,
        "file or name of the initial weights, or none for random weights",
        optional_path,
    )
    initial_layers: tuple = _option(
        "network",
        (),
        "layers that are taken from --initial-weights, or none for all convolutions that both have",
        as_tuple,
    )
    layer_learning_rates: dict = _option(
        "training",
        {},
        "factors for the learning rates of single layers, where 0 freezes a layer",
        numbers_by_layer,
    )
    random_crop: bool = _option(
        "data",
        True,
        "train on random crops and mirror images, and otherwise on center crops",
        true_or_false,
    )
    scale_jitter: tuple = _option(
        "data",
        (),
        "smallest and largest side of the training images, in pixels, drawn anew for each crop "
        "(VGG), or none for image_size",
        as_tuple,
    )
    pca_noise: str = _option(
        "data",
        "eigenvalue",
        "color noise of the training images: none, eigenvalue (the paper's formula) or "
        "standard_deviation (the 2012 source)",
        OneOf(PCA_NOISE),
    )
    mean_subtraction: str = _option(
        "data",
        "image",
        "subtract from each image the mean image of the training images, or their mean color "
        "(VGG): image or color",
        OneOf(MEAN_SUBTRACTIONS),
    )
    image_size: int = _option(
        "data", 256, "side of the prepared images, in pixels", check_whole_number
    )
    crop_size: int = _option(
        "data", 224, "side of the crops that the network sees, in pixels", check_whole_number
    )
    pca_noise_end: float | None = _option(
        "data",
        None,
        "share of the epochs, 0 to 1, after which color noise ends, or none for never",
        share,
    )
    conv1_milestones: tuple = _option(
        "training",
        (),
        "two shares of the epochs, 0 to 1, at which conv1's learning rate is divided by 10 and at "
        "which conv1 is frozen, or none for never",
        Shares(number=2),
    )
    precision: str = _option(
        "devices",
        "float32",
        f"arithmetic of the layers: {', '.join(PRECISIONS)}",
        OneOf(PRECISIONS),
    )
    devices: int | tuple = _option(
        "devices",
        1,
        "number or names (GPU:0 GPU:2) of the GPUs that share each batch, or without a GPU the "
        "number of logical CPU devices",
        _device_option,
    )
    seed: int = _option(
        "training",
        0,
        "seed of the initial weights, the order of images, crops, noise and dropout",
        seed_number,
    )
    skip_corrupt: bool = _option(
        "data",
        False,
        "leave out the corrupt images of a folder, and count them, instead of stopping",
        true_or_false,
    )
    hold_out_every: int = _option(
        "data",
        10,
        "without a validation split, hold out one training image in N for validation",
        functools.partial(check_whole_number, least=2),
    )
    class_subset: tuple = _option(
        "data",
        (),
        "numbers of the only classes to use, renumbered in this order, or none for all classes",
        as_tuple,
    )
    max_images_per_class: int | None = _option(
        "data",
        None,
        "use only N training images of each class, the same on every machine, or none for all "
        "images",
        optional_whole_number,
    )
    test_views: tuple = _option(
        "evaluation",
        ("center", "ten_crop"),
        "views of an image over which the final predictions are averaged: center, ten_crop, "
        "nine_crop (cuda-convnet), dense (all positions of the whole image and its mirror image, "
        "VGG), or several",
        Subset(tuple(TEST_VIEWS)),
    )
    validation_freq: int = _option(
        "evaluation",
        1,
        "number of epochs from one validation to the next, besides the one after the last epoch",
        check_whole_number,
    )
    checkpoint_minutes: float = _option(
        "training",
        5.0,
        "longest training time between two checkpoints, in minutes, or 0 for a checkpoint each "
        "step",
        Number(),
    )
    in_memory: bool = _option(
        "data",
        False,
        "keep all images in the memory of one GPU and crop them there (jax and torch backends, "
        ".npz files and shapes only)",
        true_or_false,
    )
    memory_gib: float = _option(
        "data",
        2.0,
        "keep decoded training images in memory if they fit into this size, in GiB",
        Number(),
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check = field.metadata["check"]
            if check is not None:
                object.__setattr__(self, field.name, check(field.name, getattr(self, field.name)))
        self._check_initial_weights()
        self._check_pretrained()
        self._check_images()
        self._check_schedule()
        if self.batch_size % _parse_devices(self.devices).count:
            raise ValueError(
                f"`devices` must divide `batch_size`. Received: devices={self.devices}, "
                f"batch_size={self.batch_size}"
            )
        if self.pretrained is None:
            _ = self.network  # raises for an invalid network

    def _check_initial_weights(self):
        if self.initial_layers and self.initial_weights is None:
            raise ValueError(
                "`initial_layers` needs `initial_weights`. Received: "
                f"initial_layers={self.initial_layers}"
            )

    def _check_pretrained(self):
        if (self.preset == PRETRAINED) != (self.pretrained is not None):
            raise ValueError(
                "`pretrained` must be given without a preset, to training_config. "
                f"Received: pretrained={self.pretrained!r}, preset={self.preset!r}"
            )
        if self.pretrained is None and self.pretrained_sha256 is not None:
            raise ValueError(
                "`pretrained_sha256` needs `pretrained`. Received: "
                f"pretrained_sha256={self.pretrained_sha256!r}"
            )
        for name in ("overrides", "initial_weights", "initial_layers"):
            if self.pretrained is not None and getattr(self, name):
                raise ValueError(
                    f"`{name}` must be left out with `pretrained`, whose classifier has the "
                    f"network. Received: {name}={getattr(self, name)!r}"
                )

    def _check_images(self):
        check_scale_jitter(self.scale_jitter, self.crop_size, self.mean_subtraction)
        if self.scale_jitter and not self.random_crop:
            raise ValueError(
                "`scale_jitter` needs `random_crop`. Received: "
                f"scale_jitter={self.scale_jitter}, random_crop={self.random_crop}"
            )
        check_crop_size(self.crop_size, self.image_size)
        if not isinstance(self.overrides, dict):
            raise ValueError(
                "`overrides` must be a dict of fields of the network. Received: "
                f"overrides={self.overrides!r}"
            )
        numbers = {name: storable(value) for name, value in self.overrides.items()}
        object.__setattr__(self, "overrides", numbers)
        crop = (self.crop_size, self.crop_size, 3)
        if self.overrides.get("input_shape", crop) not in (crop, list(crop)):
            raise ValueError(
                "`overrides` must leave out input_shape, or have the size of the crops. Received: "
                f"overrides={self.overrides}, crop_size={self.crop_size}"
            )
        parts = {
            "hold_out_every": 10,
            "class_subset": (),
            "max_images_per_class": None,
            "scale_jitter": (),
        }
        whole = all(getattr(self, name) == default for name, default in parts.items())
        is_possible = can_be_in_memory(self.dataset) and self.devices == 1 and whole
        if self.in_memory and not is_possible:
            raise ValueError(
                "`in_memory` needs a whole .npz file or shapes, one scale and `devices` of 1. "
                "CUDA_VISIBLE_DEVICES chooses the GPU. "
                f"Received: dataset={self.dataset!r}, devices={self.devices}, "
                + ", ".join(f"{name}={getattr(self, name)}" for name in parts)
            )

    def _check_schedule(self):
        if self.conv1_milestones and self.preset.startswith("vgg"):
            raise ValueError(
                "`conv1_milestones` needs a layer conv1, which VGG lacks. Received: "
                f"preset={self.preset!r}, conv1_milestones={self.conv1_milestones}"
            )
        if self.validation_freq > 1 and self.schedule == "plateau":
            raise ValueError(
                "`validation_freq` must be 1 with schedule='plateau', which needs the error of "
                f"each epoch. Received: validation_freq={self.validation_freq}"
            )

    @property
    def network(self) -> "AlexNetConfig | VGGConfig":
        """Configuration of the network, an `AlexNetConfig` or `VGGConfig`; not for `pretrained`."""
        from alexnet_keras.models import network_config

        overrides = {"input_shape": (self.crop_size, self.crop_size, 3), **self.overrides}
        return network_config(self.preset, **overrides)

    @property
    def validated(self) -> list[int]:
        """List of the epochs that end with a validation, counted from 1."""
        return sorted(
            {*range(self.validation_freq, self.epochs + 1, self.validation_freq), self.epochs}
        )

    def learning_rate_at(self, epoch: int) -> float:
        """Returns the learning rate of an epoch, counted from 0, for `schedule="step"`."""
        drops = self.changes(self.epochs)["lr_milestones"]
        return self.learning_rate * 0.1 ** sum(epoch >= drop for drop in drops)

    @property
    def shares_of_changes(self) -> dict[str, tuple]:
        """Shares of the epochs at which something changes, by field."""
        return {
            "lr_milestones": self.lr_milestones if self.schedule == "step" else (),
            "pca_noise_end": () if self.pca_noise_end is None else (self.pca_noise_end,),
            "conv1_milestones": self.conv1_milestones,
        }

    def changes(self, epochs: int) -> dict[str, list[int]]:
        """Returns the epochs, counted from 0, at which something changes among the first `epochs`.

        If this and all other fields of two trainings agree, their first `epochs` epochs are equal.

        Returns:
            Dict from the field, as in `shares_of_changes`, to a list of epochs.
        """
        changes = {}
        for name, shares in self.shares_of_changes.items():
            at = [self._epoch_at(share) for share in shares]
            changes[name] = [epoch for epoch in at if epoch < epochs]
        return changes

    @property
    def pca_noise_epochs(self) -> int | None:
        """Number of epochs with color noise; `None` for all epochs."""
        return None if self.pca_noise_end is None else self._epoch_at(self.pca_noise_end)

    @property
    def conv1_epochs(self) -> tuple[int, ...]:
        """Epochs, from 0, at which conv1's rate drops and conv1 freezes; empty for never."""
        return tuple(self._epoch_at(share) for share in self.conv1_milestones)

    def _epoch_at(self, share):
        """Returns the number of epochs that a share is; few epochs keep at least the first one."""
        return max(round(share * self.epochs), 1) if share else 0


def training_config(preset: str | None = None, **options: Any) -> TrainingConfig:
    """Returns the training configuration of a preset, or of a classifier to start from.

    Args:
        preset: a preset's name; `None` for `"paper"`. `"source"`, `"one_tower"` and `"conv6"` train
            as net 145 of the 2012 source. Biases have no decay and a rate of 0.02, and color noise
            follows the standard deviation. The rate drops after epochs 23, 51 and 78 of 93, as on
            ILSVRC-2010. After epoch 68 color noise ends and conv1's rate drops; after epoch 72
            conv1 is frozen.
        **options: fields of `TrainingConfig` that replace the preset's. With `pretrained`, the
            network, the image sizes and the mean are the classifier's. The other fields then suit
            a few dozen images, with the source's learning rates for fine-tuning.

    Raises:
        ValueError: for an unknown preset or field, or an invalid value; for a classifier that can't
            be read, or a preset or image size besides it.

    Example:

    >>> training_config(pretrained="runs/shapes", dataset="photos")  # doctest: +SKIP
    """
    fields = [field.name for field in dataclasses.fields(TrainingConfig)]
    unknown = [name for name in options if name not in fields]
    if unknown:
        raise ValueError(
            f"An option must be one of {', '.join(fields)}. Received: {', '.join(unknown)}"
        )
    if options.get("pretrained") is not None:
        return _fine_tuning_config(preset, options)
    preset = "paper" if preset is None else preset
    if preset not in TRAINING_PRESETS:
        raise ValueError(
            f"`preset` must be one of {', '.join(TRAINING_PRESETS)}. Received: preset={preset!r}"
        )
    config = TrainingConfig(**{"preset": preset, **TRAINING_PRESETS[preset], **options})
    _check_given_schedule(config, options)
    return config


def _check_given_schedule(config, options):
    """Raises a `ValueError` for an option that the schedule of the learning rate does not use."""
    for name, schedule in (("lr_milestones", "step"), ("patience", "plateau")):
        if options.get(name) and config.schedule != schedule:
            raise ValueError(
                f"`{name}` needs schedule={schedule!r}. Received: {name}={options[name]}, "
                f"schedule={config.schedule!r}"
            )


def _fine_tuning_config(preset, options):
    """Returns the `TrainingConfig` of a training that starts from a classifier."""
    if preset not in (None, PRETRAINED):
        raise ValueError(
            "`preset` must be left out with `pretrained`, whose classifier has the network. "
            f"Received: preset={preset!r}"
        )
    from alexnet_keras.training.fine_tuning import pretrained_fields

    found = pretrained_fields(optional_path("pretrained", options["pretrained"]) or "")
    found.check({name: value for name, value in options.items() if value is not None})
    fields = {**FINE_TUNING, **found.defaults, **options, **found.fixed}
    config = TrainingConfig(**{**fields, "preset": PRETRAINED})
    _check_given_schedule(config, options)
    return config
