"""Training configuration and presets."""

import dataclasses

from alexnet_keras.data.info import check_scale_jitter
from alexnet_keras.data.pca_noise import PCA_NOISE
from alexnet_keras.distributed.devices import parse_devices
from alexnet_keras.evaluation.views import TEST_VIEWS
from alexnet_keras.models import NETWORKS, VGG_PRESETS, network_config
from alexnet_keras.training.fields import (
    Number,
    OneOf,
    Shares,
    Subset,
    as_tuple,
    factors_by_layer,
    positive_integer,
    seed_number,
    share,
)

SCHEDULES = ("plateau", "step")
PRECISIONS = ("float32", "mixed_bfloat16")


def _option(default, help, check=None):
    """A field, its line in `--help`, and its check; see `alexnet_keras.training.fields`."""
    metadata = {"help": help, "check": check}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _device_option(name, value):
    return parse_devices(value).option


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained. The defaults are the paper's; `training_config` gives those of a preset.

    Every field's meaning and unit is in its `help`, which `python -m experiments.train --help` prints.

    Raises:
        ValueError: for a value that no training can have; the message names the field.

    Reference: sections 2, 4 and 5 of Krizhevsky et al. (2012).
    """

    dataset: str = _option(
        "imagenet2012", "TFDS name, folder with train/CLASS/ and val/CLASS/, or .npz file"
    )
    preset: str = _option(
        "paper", f"preset of network and training: {', '.join(NETWORKS)}", OneOf(NETWORKS)
    )
    overrides: dict = _option(
        {}, "fields of AlexNetConfig (VGGConfig) that replace the preset's, as NAME=VALUE"
    )
    epochs: int = _option(90, "passes over the training images, at most", positive_integer)
    batch_size: int = _option(128, "images in a step, over all devices together", positive_integer)
    learning_rate: float = _option(0.01, "initial learning rate", Number())
    schedule: str = _option(
        "plateau",
        "plateau: a tenth of the rate when the validation top-1 error stops improving, three times, then stop; "
        "step: a tenth at fixed shares of the epochs",
        OneOf(SCHEDULES),
    )
    patience: int = _option(
        5, "epochs without a better validation top-1 error that make a plateau", positive_integer
    )
    lr_milestones: tuple = _option(
        (23 / 93, 51 / 93, 78 / 93), "shares of the epochs, 0-1, at which the rate drops", Shares()
    )
    momentum: float = _option(0.9, "momentum, 0-1", Number(below=1))
    weight_decay: float = _option(0.0005, "weight decay through the momentum", Number())
    decay_biases: bool = _option(True, "whether biases decay too")
    decoupled_weight_decay: float = _option(
        0.0, "weight decay past the momentum: a weight loses this times the rate", Number()
    )
    bias_learning_rate: float | None = _option(
        None, "learning rate of the biases; none: that of the weights", Number(optional=True)
    )
    initial_weights: str | None = _option(
        None, "a .keras file whose layers the network starts from; none: new ones"
    )
    initial_layers: tuple = _option(
        (), "layers that are taken from it; none: all convolutions that both have", as_tuple
    )
    layer_learning_rates: dict = _option(
        {}, "factors of the learning rate, as LAYER=FACTOR; 0 freezes a layer", factors_by_layer
    )
    random_crop: bool = _option(True, "random crops and mirror images; otherwise center crops")
    scale_jitter: tuple = _option(
        (),
        "smallest and largest side of the training images, pixels, drawn for each crop (VGG's scale jittering); "
        "validation images have image_size; none: image_size for all",
        as_tuple,
    )
    pca_noise: str = _option(
        "eigenvalue",
        "none, eigenvalue (paper's formula) or standard_deviation (2012 source)",
        OneOf(PCA_NOISE),
    )
    mean_subtraction: str = _option(
        "image",
        "what is subtracted of the images: the mean image of the training images, or their mean color (VGG)",
        OneOf(("image", "color")),
    )
    image_size: int = _option(256, "side of the prepared images, pixels", positive_integer)
    crop_size: int = _option(
        224, "side of the crops that the network sees, pixels", positive_integer
    )
    pca_noise_end: float | None = _option(
        None, "share of the epochs, 0-1, after which images get no color noise; none: never", share
    )
    conv1_milestones: tuple = _option(
        (),
        "two shares of the epochs, 0-1, at which conv1's learning rate falls to a tenth and conv1 is frozen; none: never",
        Shares(number=2),
    )
    precision: str = _option("float32", f"arithmetic: {', '.join(PRECISIONS)}", OneOf(PRECISIONS))
    devices: int | tuple = _option(
        1,
        "number of GPUs (on a machine without one, of logical CPU devices) that share each batch, or their names, "
        "as GPU:0 GPU:2",
        _device_option,
    )
    seed: int = _option(
        0, "fixes initial weights, order of images, crops, noise and dropout", seed_number
    )
    skip_corrupt: bool = _option(
        False, "leave out corrupt images of a folder instead of stopping; they are counted"
    )
    hold_out_every: int = _option(
        10, "of data without validation images one in so many is held out; 2 for half"
    )
    class_subset: tuple = _option(
        (), "numbers of the classes that count, numbered anew in this order; none for all", as_tuple
    )
    max_images_per_class: int | None = _option(
        None, "the first so many training images of each class alone; none: all"
    )
    test_views: tuple = _option(
        ("center", "ten_crop"),
        "views of an image that predictions are averaged over at the end: center, ten_crop, "
        "dense (all positions of the whole image and its mirror image, as VGG), or several of these",
        Subset(tuple(TEST_VIEWS)),
    )
    validation_freq: int = _option(
        1, "epochs from one validation to the next; the last epoch always has one", positive_integer
    )
    checkpoint_minutes: float = _option(
        5.0, "minutes of training that a stopped one loses at most; 0: a single step", Number()
    )
    in_memory: bool = _option(
        False,
        "the images lie in the GPU's memory, and the compiled step cuts its crops (jax backend, an .npz, one GPU)",
    )
    memory_gib: float = _option(
        2.0, "decoded training images stay in memory if they take no more, GiB"
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check = field.metadata["check"]
            if check is not None:
                object.__setattr__(self, field.name, check(field.name, getattr(self, field.name)))
        self._check_initial_weights()
        self._check_images()
        self._check_schedule()
        if self.batch_size % parse_devices(self.devices).count:
            raise ValueError(
                f"`devices` must divide `batch_size`. Received: devices={self.devices}, batch_size={self.batch_size}"
            )
        _ = self.network  # an impossible network is an error here already

    def _check_initial_weights(self):
        if self.initial_layers and self.initial_weights is None:
            raise ValueError(
                f"`initial_layers` goes with `initial_weights`. Received: initial_layers={self.initial_layers}"
            )

    def _check_images(self):
        check_scale_jitter(self.scale_jitter, self.crop_size, self.mean_subtraction)
        if self.scale_jitter and not self.random_crop:
            raise ValueError(
                f"`scale_jitter` goes with random crops. Received: scale_jitter={self.scale_jitter}, random_crop={self.random_crop}"
            )
        if self.crop_size > self.image_size:
            raise ValueError(
                f"`crop_size` must be at most image_size. Received: crop_size={self.crop_size}, "
                f"image_size={self.image_size}"
            )
        parts = {
            "hold_out_every": 10,
            "class_subset": (),
            "max_images_per_class": None,
            "scale_jitter": (),
        }
        whole = all(getattr(self, name) == default for name, default in parts.items())
        if self.in_memory and (self.devices != 1 or not self.dataset.endswith(".npz") or not whole):
            raise ValueError(
                "`in_memory` needs an .npz file, all of it, at one scale, and one device. Received: "
                f"dataset={self.dataset!r}, devices={self.devices}, "
                + ", ".join(f"{name}={getattr(self, name)}" for name in parts)
            )

    def _check_schedule(self):
        if self.conv1_milestones and self.preset.startswith("vgg"):
            raise ValueError(
                f"`conv1_milestones` needs a layer conv1, which VGG lacks. Received: preset={self.preset!r}, "
                f"conv1_milestones={self.conv1_milestones}"
            )
        if self.validation_freq > 1 and self.schedule == "plateau":
            raise ValueError(
                "`validation_freq` must be 1 with schedule='plateau', which needs the error of each epoch. Received: "
                f"validation_freq={self.validation_freq}"
            )

    @property
    def network(self):
        """The `AlexNetConfig` or `VGGConfig` of what this trains: the preset's for crops of `crop_size` pixels."""
        overrides = {"input_shape": (self.crop_size, self.crop_size, 3), **self.overrides}
        return network_config(self.preset, **overrides)

    @property
    def validated(self):
        """The epochs that end with a validation, counted from 1, a list."""
        return sorted(
            {*range(self.validation_freq, self.epochs + 1, self.validation_freq), self.epochs}
        )

    def learning_rate_at(self, epoch):
        """Returns the learning rate of an epoch, counted from 0, of a schedule with drops at fixed epochs."""
        drops = self.changes(self.epochs)["lr_milestones"]
        return self.learning_rate * 0.1 ** sum(epoch >= drop for drop in drops)

    @property
    def shares_of_changes(self):
        """The shares of the epochs at which something changes: a dict from the field to a tuple."""
        return {
            "lr_milestones": self.lr_milestones if self.schedule == "step" else (),
            "pca_noise_end": () if self.pca_noise_end is None else (self.pca_noise_end,),
            "conv1_milestones": self.conv1_milestones,
        }

    def changes(self, epochs):
        """Returns the epochs, counted from 0, at which something changes among the first `epochs`.

        Two trainings that agree in this and in all other fields have the same first `epochs` epochs.

        Returns:
            Dict from the field, as in `shares_of_changes`, to a list of epochs.
        """
        changes = {}
        for name, shares in self.shares_of_changes.items():
            at = [round(share * self.epochs) for share in shares]
            changes[name] = [epoch for epoch in at if epoch < epochs]
        return changes

    @property
    def pca_noise_epochs(self):
        """Number of epochs with color noise; `None` for all."""
        return None if self.pca_noise_end is None else round(self.pca_noise_end * self.epochs)

    @property
    def conv1_epochs(self):
        """The epochs, counted from 0, at which conv1 slows down and is frozen; empty for never."""
        return tuple(round(share * self.epochs) for share in self.conv1_milestones)


_SOURCE = dict(
    schedule="step",
    decay_biases=False,
    bias_learning_rate=0.02,
    pca_noise="standard_deviation",
    pca_noise_end=68 / 93,
    conv1_milestones=(68 / 93, 72 / 93),
)
_SMALL = dict(
    dataset="shapes",
    epochs=4,
    batch_size=64,
    schedule="step",
    lr_milestones=(0.75,),
    pca_noise="standard_deviation",
    image_size=64,
    crop_size=56,
)
_CAFFE = dict(
    batch_size=256,
    schedule="step",
    lr_milestones=(2 / 9, 4 / 9, 6 / 9, 8 / 9),
    decay_biases=False,
    pca_noise="none",
    crop_size=227,
)
TRAINING_PRESETS = {
    "paper": {},
    "source": _SOURCE,
    "one_tower": _SOURCE,
    "conv6": _SOURCE,
    # As far as their authors' training is of the kinds that there are here.
    "torchvision": dict(
        batch_size=256,
        schedule="step",
        lr_milestones=(1 / 3, 2 / 3),
        weight_decay=0.0001,
        pca_noise="none",
    ),
    "bvlc_alexnet": _CAFFE,
    "caffenet": _CAFFE,
    "small": _SMALL,
    "cifar": {
        **_SMALL,
        "dataset": "cifar10",
        "epochs": 30,
        "batch_size": 128,
        "lr_milestones": (0.6, 0.85),
        "image_size": 32,
        "crop_size": 28,
    },
    # Section 3.1 of Simonyan and Zisserman (2014).
    **{
        f"vgg_{letter}": dict(
            epochs=74, batch_size=256, mean_subtraction="color", pca_noise="standard_deviation"
        )
        for letter in VGG_PRESETS
    },
    # As for figure 1: no regularization of any kind, one rate throughout.
    "four_layer": dict(
        dataset="cifar10",
        epochs=60,
        learning_rate=0.02,
        schedule="step",
        lr_milestones=(),
        weight_decay=0.0,
        random_crop=False,
        pca_noise="none",
        image_size=32,
        crop_size=32,
        test_views=("center",),
    ),
}


def training_config(preset="paper", **options):
    """The training of a preset.

    Args:
        preset: a preset's name. `"source"` and its relatives train as net 145 did: no decay and a rate of 0.02 for
            biases, color noise by the standard deviation, the rate lowered at fixed epochs (23, 51 and 78 of 93),
            color noise off and conv1 slowed late (68), then frozen (72).
        **options: fields of `TrainingConfig` that replace the preset's.

    Raises:
        ValueError: for an unknown preset or field, or a value that no training can have.
    """
    if preset not in TRAINING_PRESETS:
        raise ValueError(
            f"`preset` must be one of {', '.join(NETWORKS)}. Received: preset={preset!r}"
        )
    fields = [field.name for field in dataclasses.fields(TrainingConfig)]
    unknown = [name for name in options if name not in fields]
    if unknown:
        raise ValueError(
            f"An option must be one of {', '.join(fields)}. Received: {', '.join(unknown)}"
        )
    return TrainingConfig(**{"preset": preset, **TRAINING_PRESETS[preset], **options})
