"""Descriptions of experiments: variants, comparisons, and the identity of a run.

A command describes its experiment before it parses its command line. So this module imports Keras
only when it needs a configuration: `--help` and Ctrl-C need not wait for it.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.framework.metrics import Metric

if TYPE_CHECKING:
    from alexnet_keras.training.config import TrainingConfig

# As `initial_weights` of a variant: the weights of the experiment's pre-training.
PRETRAINED = "pre-trained"
_PRETRAINED_FOLDER = Path("runs/pretrained")
# Fields of a configuration that a run's key leaves out. The key has the network that preset and
# overrides make. The other fields do not change a run's result.
IRRELEVANT_FIELDS = (
    "preset",
    "overrides",
    "devices",
    "test_views",
    "checkpoint_minutes",
    "validation_freq",
)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Compares a variant with another one, seed by seed.

    Args:
        variant, baseline: names of variants.
        paper: figure of the paper, in the unit of the metric's comparison; `None` if it gives none.
        claim: claim of the paper, one line.
        metric: `Metric` to compare; `None` for the experiment's metric.
        baseline_metric: `Metric` of the baseline if it differs, such as other test views.
        side: 1 or -1 if the paper only says that the variant is higher or lower.
        margin: gain or loss that still counts as none if the claim rules it out, in the unit of the
            comparison. `side` is then the opposite direction.
    """

    variant: str
    baseline: str
    paper: float | None
    claim: str
    metric: Metric | None = None
    baseline_metric: Metric | None = None
    side: int = 0
    margin: float = 0.0


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Describes an experiment by the differences between its variants.

    Args:
        name: name of the module, and of the folder of results.
        section: section of the paper with the claim.
        base: options of `training_config` that all variants share.
        variants: dict from names to the options that differ from `base`. Their `overrides`
            add to the overrides of `base`. A comma in a name precedes the group for figures. An
            override may be a function of the base's `AlexNetConfig` or `VGGConfig`.
        comparisons: tuple of `Comparison`s.
        metric: `Metric` that chooses learning rates, and that comparisons use by default.
        seeds: seeds of the runs; the first one also searches for the learning rates.
        learning_rates: dict from a variant's name to a grid of rising learning rates. A variant
            without a grid takes the learning rate of its options.
        pretraining: options of the pre-training that differ from `base`; `None` without one.
        seed_counts: dict from a variant's name to its number of seeds, if it has fewer than
            `seeds`.
        published: dict from a variant's name to the published value of the metric.
        keeps_kernels: whether the kernels of conv1 stay beside the results, to draw pictures.
    """

    name: str
    section: str
    base: dict
    variants: dict
    comparisons: tuple
    metric: Metric
    seeds: tuple = (0, 1, 2)
    learning_rates: dict = dataclasses.field(default_factory=dict)
    pretraining: dict | None = None
    seed_counts: dict = dataclasses.field(default_factory=dict)
    published: dict = dataclasses.field(default_factory=dict)
    keeps_kernels: bool = False

    def config(self, variant: str, **options) -> "TrainingConfig":
        """Returns the `TrainingConfig` of a variant, with further options."""
        merged = self._merged(self.base, self.variants[variant], options)
        merged["test_views"] = tuple(
            sorted({"center", *(metric.test_views for metric in self.metrics)})
        )
        if merged.get("initial_weights") == PRETRAINED:
            merged["initial_weights"] = self._pretrained_path(merged.get("seed", 0))
        return _training_config(merged)

    def pretraining_config(self, seed: int) -> "TrainingConfig":
        """Returns the `TrainingConfig` of the pre-training with a seed."""
        return _training_config(
            self._merged(self.base, self.pretraining, {"seed": seed, "test_views": ("center",)})
        )

    def pretraining_of(self, config: "TrainingConfig") -> "TrainingConfig | None":
        """Returns the `TrainingConfig` of the pre-training that a run starts from, or `None`."""
        if self.pretraining is None or config.initial_weights is None:
            return None
        return self.pretraining_config(config.seed)

    def run_key(self, config: "TrainingConfig") -> dict:
        """Returns the `run_key` of a run of this experiment."""
        pretraining = self.pretraining_of(config)
        return run_key(config, pretraining=pretraining and run_key(pretraining))

    @property
    def metrics(self) -> tuple:
        """All metrics, the experiment's own one first."""
        metrics = [self.metric]
        for comparison in self.comparisons:
            for metric in (comparison.metric, comparison.baseline_metric):
                if metric is not None and metric not in metrics:
                    metrics.append(metric)
        return tuple(metrics)

    @property
    def settings(self) -> dict:
        """The metric, and each variant's `run_key` without its seed, as in `results.json`."""
        settings = {"metric": self.metric.name, "variants": {}}
        for variant in self.variants:
            key = self.run_key(self.config(variant))
            del key["seed"]
            if variant in self.learning_rates:
                del key["learning_rate"]
            if isinstance(key["initial_weights"], dict):
                del key["initial_weights"]["seed"]
            settings["variants"][variant] = key
        return settings

    def _pretrained_path(self, seed):
        """Path of the pre-trained network; its folder is named after the pre-training."""
        folder = _PRETRAINED_FOLDER / short_hash(run_key(self.pretraining_config(seed)))
        return str(folder / "last.keras")

    def _merged(self, *parts):
        """Merges options, and their `overrides`; later values replace earlier ones."""
        network = _training_config(self.base).network
        merged = {}
        overrides = {}
        for part in parts:
            merged.update(part)
            overrides.update(part.get("overrides", {}))
        for name, value in overrides.items():
            if callable(value):
                overrides[name] = self._override(value, network)
        return {**merged, "overrides": overrides}

    def _override(self, function, network):
        """The value of an override that is a function of the base's network."""
        try:
            return function(network)
        except AttributeError as error:
            kind = "VGG" if type(network).__name__ == "AlexNetConfig" else "AlexNet"
            raise ValueError(
                f"`preset` must be one of {kind}'s presets for experiment {self.name!r}. Received: "
                f"preset={self.base['preset']!r}"
            ) from error


def _training_config(options):
    from alexnet_keras.training.config import training_config

    return training_config(**options)


def run_key(
    config: "TrainingConfig | dict",
    network: dict | None = None,
    pretraining: dict | None = None,
) -> dict:
    """Returns the identity of a run, a dict of JSON values; equal keys mean the same run.

    Args:
        config: `TrainingConfig`, or the dict of a stored one.
        network: dict of the stored `AlexNetConfig` or `VGGConfig`, as presets may have changed
            since; `None` for the network of `config`.
        pretraining: `run_key` of the training that the initial weights come from. It replaces the
            path in `initial_weights`.
    """
    from alexnet_keras.record import as_stored
    from alexnet_keras.training.config import TrainingConfig

    if isinstance(config, dict):
        config = TrainingConfig(**config)
    fields = dataclasses.asdict(config)
    key = {name: value for name, value in fields.items() if name not in IRRELEVANT_FIELDS}
    if pretraining is not None:
        key["initial_weights"] = pretraining
    network = config.network if network is None else type(config.network)(**network)
    return as_stored({**key, "network": dataclasses.asdict(network)})


def stored_run_key(run: dict) -> dict:
    """Returns the `run_key` of a stored run."""
    pretraining = run.get("pretraining")
    return run_key(run["config"], run["network"], pretraining and stored_run_key(pretraining))


def short_hash(key: dict) -> str:
    """Returns twelve hexadecimal digits that stand for a dict of JSON values."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
