"""The runs that a folder of results holds."""

import dataclasses
import json
from pathlib import Path

from alexnet_keras.environment import machine
from alexnet_keras.files import read_json
from alexnet_keras.record import as_stored, differences, settings_error
from alexnet_keras.training.config import TrainingConfig
from experiments.framework.experiment import Comparison, stored_run_key
from experiments.framework.metrics import ALL_EPOCHS, DIVERGED, EARLY_STOPPED, Metric

_PRETRAINING = "pre-training's "  # before the settings of a pre-training
# Options that choose the images of a data set.
_IMAGE_OPTIONS = (
    "dataset",
    "class_subset",
    "max_images_per_class",
    "hold_out_every",
    "skip_corrupt",
)


@dataclasses.dataclass(frozen=True)
class StoredRun:
    """A run, its `run_key`, and the path of the file that holds it."""

    key: dict
    run: dict
    path: Path


class StoredRuns:
    """The runs of all experiments in a folder of results.

    Args:
        workdir: folder of the results.
        experiment: `Experiment` whose `results.json` may get further runs.

    Attributes:
        path: path of the experiment's `results.json`.
        content: content of this file; an empty dict for a new one.

    Raises:
        ValueError: for a damaged `results.json`.
    """

    def __init__(self, workdir, experiment):
        self.experiment = experiment
        self.path = Path(workdir) / experiment.name / "results.json"
        self.content = {}
        self._runs = []
        # The experiment's own file comes first, as it may share runs with others.
        paths = sorted(
            Path(workdir).glob("*/results.json"), key=lambda path: (path != self.path, path)
        )
        for path in paths:
            is_own = path == self.path
            keys = ("settings", "runs") if is_own else ()
            content = read_json(path, *keys)
            self._runs += [StoredRun(_key(run, path), run, path) for run in content.get("runs", ())]
            if is_own:
                self.content = content

    def add(self, key: dict, run: dict) -> None:
        """Adds a new run of the experiment."""
        self._runs.append(StoredRun(key, run, self.path))

    def find(self, config: TrainingConfig, incumbent: dict | None = None) -> StoredRun | None:
        """Returns the `StoredRun` that answers a request, or `None`.

        Args:
            config: `TrainingConfig` of the request.
            incumbent: as in `RunRequest`.
        """
        key = self.experiment.run_key(config)
        for stored in self._runs:
            if stored.key != key or not self._answers(stored.run, config, incumbent):
                continue
            if stored.path == self.path or self._has_machine(stored.run, config):
                return stored
        return None

    def _has_machine(self, run, config):
        """Whether a run of another experiment is from this machine, if a metric depends on it."""
        if not any(metric.depends_on_machine for metric in self.experiment.metrics):
            return True
        import keras  # late, as commands show their help without it

        return (
            machine().items() <= run["machine"].items()
            and run["config"].get("devices", 1) == as_stored({"devices": config.devices})["devices"]
            and run.get("backend", "tensorflow") == keras.backend.backend()
        )

    def check_origin(self, config: TrainingConfig, data: dict, used: list[dict]) -> None:
        """Checks that a new run has the images and the backend of the runs beside it.

        Args:
            config: `TrainingConfig` of the new run.
            data: description of its data set.
            used: runs so far that this call needs.

        Raises:
            ValueError: if runs of the experiment's file, or needed ones, have other images under
                the same options, or another backend.
        """
        import keras  # late, as commands show their help without it

        key = self.experiment.run_key(config)
        requested = {"backend": keras.backend.backend(), **as_stored(data)}
        used_ids = {id(run) for run in used}
        for each in self._runs:
            if each.path != self.path and id(each.run) not in used_ids:
                continue
            stored = {"backend": each.run.get("backend", "tensorflow"), **each.run["data"]}
            names = ["backend"]
            if all(each.key[name] == key[name] for name in _IMAGE_OPTIONS):
                names = [name for name in requested if name in stored]
            found = differences(requested, stored, names)
            if found:
                expected = "a folder with runs on the same images and backend"
                raise settings_error(self.path.parent.parent, found, expected=expected)

    def runs_at(self, variant: str, learning_rate: float) -> dict[int, dict]:
        """Returns the runs of a variant in the experiment's file that measure it, by their seeds.

        Args:
            variant: name of the variant.
            learning_rate: its learning rate.
        """
        runs = {}
        for seed in sorted({each.key["seed"] for each in self._runs if each.path == self.path}):
            config = self.experiment.config(variant, seed=seed, learning_rate=learning_rate)
            stored = self.find(config)
            if stored is not None and stored.path == self.path:
                runs[seed] = stored.run
        return runs

    def runs_to_store(self, used: list[dict]) -> list[dict]:
        """Returns the runs for the experiment's file: the used ones, then its other ones."""
        used_ids = {id(run) for run in used}
        to_store = [each for each in self._runs if id(each.run) in used_ids]
        keys = [each.key for each in to_store]
        to_store += [each for each in self._runs if each.path == self.path and each.key not in keys]
        return [each.run for each in to_store]

    def holds(self, results: dict) -> bool:
        """Whether the experiment's file holds these results already.

        The order of the runs does not matter. Nor do fields that are newer than the file and have
        their defaults.

        Args:
            results: content for the file, whose settings `check_settings` has passed.
        """
        if not self.content:
            return False
        settings = results["settings"]
        stored_settings = self.content["settings"]
        if settings["metric"] != stored_settings["metric"]:
            return False
        if settings["variants"].keys() != stored_settings["variants"].keys():
            return False
        return _comparable(results) == _comparable(self.content)

    def check_settings(self, settings: dict) -> None:
        """Raises a `ValueError` if the experiment's file holds results with other settings.

        Args:
            settings: settings of the experiment.
        """
        if not self.content:
            return
        stored = self.content["settings"]
        found = differences(settings, stored, ["metric"])
        for variant, key in settings["variants"].items():
            # A variant without results may be new, or change.
            if variant in stored["variants"] and variant in self.content.get("variants", ()):
                requested_values = _flat(key)
                stored_values = _flat(stored["variants"][variant])
                # A field that the stored settings lack is newer; they have its default.
                stored_values = {**self._defaults(variant, requested_values), **stored_values}
                common = sorted(requested_values.keys() & stored_values.keys())
                found += differences(requested_values, stored_values, common, owner=variant)
        if found:
            expected = "a folder without this experiment, or with the same settings"
            raise settings_error(self.path.parent.parent, found, expected=expected)

    def _defaults(self, variant, names):
        """The defaults of these settings of a variant, but for a learning rate of a search."""
        network = self.experiment.config(variant).network
        fields = {**dataclasses.asdict(TrainingConfig()), **dataclasses.asdict(type(network)())}
        del fields["learning_rate"]
        defaults = {}
        for name in names:
            field = name.removeprefix(_PRETRAINING)
            if field in fields:
                defaults[name] = fields[field]
        return as_stored(defaults)

    def _answers(self, run, config, incumbent):
        """Whether a run with the key of a request measures all that is requested."""
        if run["ended"] == EARLY_STOPPED:
            # It measures nothing. It only shows that the rate which stopped it is better.
            errors = [row["top1_error"] for row in run["history"]]
            if incumbent is None or not self.experiment.metric.is_beaten(errors, incumbent):
                return False
        if run["ended"] not in (ALL_EPOCHS, DIVERGED) and not self.experiment.metric.ends_early:
            return False
        if not all(metric.is_measured(run) for metric in self.experiment.metrics):
            return False
        if run["config"].get("validation_freq", 1) > config.validation_freq:
            return False
        return run["ended"] == DIVERGED or all(
            views in run["errors"] for views in config.test_views
        )


def runs_of(results: dict, variant: str) -> dict[int, dict]:
    """Returns the runs of a variant at its learning rate, a dict from seeds to runs.

    Args:
        results: content of `results.json`.
        variant: name of a variant with results.
    """
    rate = results["variants"][variant]["learning_rate"]
    wanted = {**_flat(results["settings"]["variants"][variant]), "learning_rate": rate}
    runs = {}
    for run in results["runs"]:
        key = _flat(stored_run_key(run))
        # A field that the settings lack is newer than they are.
        if all(key[name] == value for name, value in wanted.items()):
            runs[run["config"]["seed"]] = run
    return dict(sorted(runs.items()))


def measures_of(results: dict, metric: Metric) -> dict[str, list]:
    """Returns what a metric has measured, a dict from variants to lists with an entry for a run.

    Runs without a value, such as diverged ones, are left out, as are variants without other runs.

    Args:
        results: content of `results.json`.
        metric: a `Metric` that measures.
    """
    found = {}
    for variant in results["variants"]:
        runs = [run for run in runs_of(results, variant).values() if metric.value(run) is not None]
        if runs:
            found[variant] = [run["measures"][metric.name] for run in runs]
    return found


def _key(run, path):
    """The `run_key` of a run of a file."""
    try:
        return stored_run_key(run)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} must have runs of this version. Received: a run that can't be read: {error}. "
            "Move the folder away, or give another --workdir"
        ) from error


def _comparable(results):
    """The results as texts, as NaN differs from NaN; without values that follow from others."""
    names = [name for name in results if name not in ("seconds", "settings", "runs", "comparisons")]
    texts = {name: json.dumps(results[name], sort_keys=True) for name in names}
    comparisons = [{**_COMPARISON_DEFAULTS, **comparison} for comparison in results["comparisons"]]
    texts["comparisons"] = json.dumps(comparisons, sort_keys=True)
    texts["runs"] = sorted(json.dumps(run, sort_keys=True) for run in results["runs"])
    return texts


# Defaults of the fields that older files lack.
_COMPARISON_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(Comparison)
    if field.name in ("side", "margin")
}


def _flat(key):
    """Returns the values of a `run_key`, its network and its pre-training in one dict."""
    flat = {
        name: value for name, value in key.items() if name not in ("network", "initial_weights")
    }
    flat.update(key["network"])
    initial_weights = key.get("initial_weights")
    if isinstance(initial_weights, dict):
        flat.update(
            {f"{_PRETRAINING}{name}": value for name, value in _flat(initial_weights).items()}
        )
    else:
        flat["initial_weights"] = initial_weights
    return flat
