"""The bench that all experiments stand on: an experiment is described by its differences; here it is run and stored.

    python -m experiments.NAME            # runs what is not stored yet, then draws
    python -m experiments.NAME --help     # the options, the same for all experiments

A run is known by its configuration and seed. It is stored in `WORKDIR/NAME/results.json` when it ends; a run that any
experiment of the same workdir has stored is not repeated, and one that was stopped half-way goes on where it was.
`results` is committed; with another `--workdir` everything is trained anew.
"""

import dataclasses
import hashlib
import json
import shutil
import statistics
import time
from pathlib import Path

from alexnet_keras.files import check_writable, holding, read_json, write_text
from alexnet_keras.training.config import TrainingConfig, training_config
from experiments.framework.metrics import DIVERGED
from experiments.framework.statistics import summary

# In a variant's options, as `initial_weights`: those of the experiment's pre-training.
PRETRAINED = "pre-trained"
_PRETRAINED_FOLDER = Path("runs/pretrained")
# What changes how a run is made, but not what it is. The network stands for the preset and its overrides.
_NOT_IDENTITY = ("config", "overrides", "devices", "views", "checkpoint_minutes", "validation_freq")
_RACE_LOST = "slower than another learning rate"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How a variant compares with another one, seed by seed.

    Args:
        variant, baseline: names of variants.
        paper: the paper's figure, in the unit of the metric's comparison; `None` where it gives none.
        claim: the claim of the paper, one line.
        metric: what is compared; `None` for the experiment's metric.
        baseline_metric: what is taken of the baseline where it is something else, such as another number of views.
        side: 1 or -1 where the paper gives no figure but says that the variant's is higher or lower.
        margin: where the paper says that the variant is no better: how much better still counts as none, in the unit of
            the comparison. The paper's side is then that of the worse.
    """

    variant: str
    baseline: str
    paper: float | None
    claim: str
    metric: object = None
    baseline_metric: object = None
    side: int = 0
    margin: float = 0.0


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment as its differences.

    Args:
        name: name of its module and of its folder in the workdir.
        section: where the paper says what is claimed.
        base: options of `training_config` that all variants share.
        variants: dict from a variant's name to the options in which it differs; their `overrides` join those of the
            base. What follows a comma in the name is the group that it is drawn in. An override may be a function of
            the `AlexNetConfig` (`VGGConfig`) of the base.
        comparisons: `Comparison`s.
        metric: an object of `experiments.framework.metrics`: what learning rates are chosen by, and comparisons are in.
        seeds: seeds of the runs; the first is that of the search for learning rates.
        learning_rates: dict from a variant's name to a grid of rising rates. Where the best lies at an end, the grid
            goes on there by its own ratio. Without a grid: the rate of the configuration.
    """

    name: str
    section: str
    base: dict
    variants: dict
    comparisons: tuple
    metric: object
    seeds: tuple = (0, 1, 2)
    learning_rates: dict = dataclasses.field(default_factory=dict)
    pretraining: dict | None = None

    def config(self, variant, **options):
        """The `TrainingConfig` of a variant."""
        views = tuple(sorted({1, *(metric.views for metric in self.metrics)}))
        merged = {**self._merged(self.base, self.variants[variant], options), "views": views}
        if merged.get("initial_weights") == PRETRAINED:
            merged["initial_weights"] = self._pretrained(options.get("seed", 0))
        return training_config(**merged)

    def pretraining_config(self, seed):
        """The `TrainingConfig` of the pre-training with a seed."""
        return training_config(**self._merged(self.base, self.pretraining, {"seed": seed, "views": (1,)}))

    def _pretrained(self, seed):
        """The file of the network that is pre-trained with a seed, which what is given of its training names."""
        given = json.dumps(self._merged(self.base, self.pretraining, {"seed": seed}), sort_keys=True)
        return str(_PRETRAINED_FOLDER / hashlib.sha256(given.encode()).hexdigest()[:12] / "last.keras")

    def _merged(self, *parts):
        overrides = {name: value for part in parts for name, value in part.get("overrides", {}).items()}
        base = training_config(**self.base).network
        overrides = {name: value(base) if callable(value) else value for name, value in overrides.items()}
        return {**{name: value for part in parts for name, value in part.items()}, "overrides": overrides}

    @property
    def metrics(self):
        """All that is measured, the experiment's own metric first."""
        others = [metric for c in self.comparisons for metric in (c.metric, c.baseline_metric) if metric]
        return (self.metric, *dict.fromkeys(metric for metric in others if metric != self.metric))


def identity(config, network=None):
    """What makes a run the run it is, as a dict of plain values; two runs with the same are the same.

    Args:
        config: a `TrainingConfig`, or the dict of one.
        network: the dict of an `AlexNetConfig`, where the presets may have changed since; by default the one that
            `config` stands for.
    """
    if isinstance(config, dict):
        config = TrainingConfig(**config)
    fields = {name: value for name, value in dataclasses.asdict(config).items() if name not in _NOT_IDENTITY}
    network = config.network if network is None else type(config.network)(**network)
    return json.loads(json.dumps({**fields, "network": dataclasses.asdict(network)}))


class ExperimentRunner:
    """Runs the runs of one experiment that are not stored yet, and stores each when it ends.

    Args:
        experiment: an `Experiment`.
        workdir: folder of all experiments' results.
        scratch: folder for what a run writes while it is under way.
        only: names of the variants to run now; by default all.
        command: command line, for the record.
        verbose: as for `train_and_evaluate`.

    Raises:
        ValueError: when the workdir holds the experiment with other settings, a damaged `results.json`, or can't be
            written; nothing is touched then.
    """

    def __init__(self, experiment, workdir="results", scratch="runs/experiments", only=None, command=None, verbose=2):
        check_writable(Path(workdir))
        self.only = tuple(experiment.variants if only is None else only)
        self.experiment, self.command, self.verbose = experiment, command, verbose
        self.scratch = Path(scratch)
        self.path = Path(workdir) / experiment.name / "results.json"
        self.stored, self.before = [], {}  # pairs of identity and run; what the file of this experiment holds
        for path in sorted(Path(workdir).glob("*/results.json")):
            content = read_json(path, *(("settings", "runs") if path == self.path else ()))
            runs = [(identity(run["config"], run["network"]), run) for run in content.get("runs", ())]
            self.stored += runs
            if path == self.path:
                self.before = {**content, "runs": runs}
        self.settings = self._settings()
        self._check_settings()
        self.runs, self.searches, self.rates = {}, {}, {}
        self.seconds = []
        grids = [experiment.learning_rates.get(variant, (None,)) for variant in self.only]
        self.planned = sum(len(grid) + len(experiment.seeds) - 1 for grid in grids)

    def run(self):
        """Runs what is not stored yet, and stores it.

        The search for the learning rates comes first, then all variants seed by seed. A variant that does not reach
        what its metric asks for gets no more seeds.

        Returns:
            What is in `results.json`.

        Raises:
            ValueError: when another process runs the same experiment in the same workdir.
        """
        with holding(self.path.parent):
            return self._run_all()

    def _run_all(self):
        experiment, metric = self.experiment, self.experiment.metric
        for variant in self.only:
            self.rates[variant] = self._search(variant)
        for seed in experiment.seeds:
            for variant, rate in self.rates.items():
                first = self.runs.get((variant, rate, experiment.seeds[0]))
                if first is not None and metric.value(first) is None:
                    self.planned -= seed != experiment.seeds[0]
                else:
                    self._run(variant, rate, seed)
        return self._store()

    def _search(self, variant):
        """The best learning rate on the first seed."""
        grid = list(self.experiment.learning_rates.get(variant, ()))
        if not grid:
            return None
        metric, seed = self.experiment.metric, self.experiment.seeds[0]
        tried = {}
        # From the middle outwards, so that there is soon a good one to measure the others by.
        waiting = sorted(grid, key=lambda rate: abs(grid.index(rate) - (len(grid) - 1) / 2))
        while waiting:
            best = min(tried, key=lambda rate: metric.rank(tried[rate]), default=None)
            rate = waiting.pop(0)
            tried[rate] = self._run(variant, rate, seed, rival=tried.get(best))
            self.searches.setdefault(variant, []).append(rate)
            if not waiting and 1 < len(tried) <= 3 * len(grid):
                best = min(tried, key=lambda rate: metric.rank(tried[rate]))
                rates = sorted(tried)
                if best in (rates[0], rates[-1]) and not metric.failed(tried[best]):
                    neighbour = rates[1] if best == rates[0] else rates[-2]
                    waiting = [float(f"{best * best / neighbour:.3g}")]
                    self.planned += 1
        return min(tried, key=lambda rate: metric.rank(tried[rate]))

    def _run(self, variant, rate, seed, rival=None):
        options = {"seed": seed} if rate is None else {"seed": seed, "learning_rate": rate}
        config = self.experiment.config(variant, **options)
        run = self._find(config, rival)
        if run is None:
            self._say(variant, config)
            run = self._train(config, rival)
            self.stored.append((identity(config), run))
        self.runs[variant, rate, seed] = run
        self._store()
        return run

    def _find(self, config, rival):
        wanted = identity(config)
        names = {1: "centre_crop", 10: "ten_crops"}
        for key, run in self.stored:
            # A run that has lost a race is no measurement, but stays lost.
            counts = run["ended"] != _RACE_LOST or rival is not None
            counts &= run["ended"] in ("all epochs", DIVERGED) or self.experiment.metric.ends_early
            whole = run["ended"] == DIVERGED or all(names[views] in run["errors"] for views in config.views)
            # Whether it was validated often enough.
            counts &= run["config"].get("validation_freq", 1) <= config.validation_freq
            if key == wanted and counts and whole:
                return run
        return None

    def _train(self, config, rival):
        import keras

        from alexnet_keras.training.train import read_history, train_and_evaluate

        metric = self.experiment.metric

        def reason_to_end(history, classes):
            reason = metric.end(len(history), history[-1], classes)
            lost = rival is not None and metric.is_lost([row["top1_error"] for row in history], rival)
            return reason or (_RACE_LOST if lost else None)

        class End(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                if reason_to_end(read_history(folder), self.model.output_shape[-1]):
                    self.model.stop_training = True

        if self.experiment.pretraining and config.initial_weights:
            self._pretrain(config)
        name = hashlib.sha256(json.dumps(identity(config), sort_keys=True).encode()).hexdigest()[:12]
        folder = self.scratch / name
        start = time.perf_counter()
        keras.utils.clear_session()
        ended = None
        try:
            results = train_and_evaluate(config, folder, callbacks=[End()], report=False, verbose=self.verbose)
        except FloatingPointError as error:
            print(error, flush=True)
            results, ended = error.results, DIVERGED
        self.seconds.append(time.perf_counter() - start)
        shutil.rmtree(folder)
        history = results["history"]
        kept = ("config", "data", "parameters", "machine", "versions", "seconds", "errors", "history")
        return {
            **{key: results[key] for key in kept},
            "network": json.loads(json.dumps(dataclasses.asdict(config.network))),
            "ended": ended or reason_to_end(history, results["data"]["classes"]) or "all epochs",
        }

    def _pretrain(self, config):
        """Trains the network that a run starts from, where it is not there yet."""
        from alexnet_keras.training.train import train_and_evaluate

        folder = Path(config.initial_weights).parent
        if not (folder / "results.json").exists():
            print(f"Pre-training, seed {config.seed}: {folder}", flush=True)
            train_and_evaluate(
                self.experiment.pretraining_config(config.seed), folder, report=False, verbose=self.verbose
            )

    def _say(self, variant, config):
        done = len(self.runs)
        left = (
            f", about {statistics.mean(self.seconds) * (self.planned - done) / 60:.0f} min left" if self.seconds else ""
        )
        print(
            f"\nRun {done + 1} of {self.planned}{left}: {variant}, learning rate {config.learning_rate:g}, "
            f"seed {config.seed}",
            flush=True,
        )

    def _settings(self):
        """What the experiment is; runs that are added to those of a workdir must have the same."""
        experiment = self.experiment
        settings = {"metric": experiment.metric.name, "variants": {}}
        for variant in experiment.variants:
            fields = identity(experiment.config(variant))
            del fields["seed"]
            if variant in experiment.learning_rates:
                del fields["learning_rate"]
            settings["variants"][variant] = fields
        return settings

    def _check_settings(self):
        there, here = self.before.get("settings", self.settings), self.settings
        other = [f"metric: {there['metric']} there, {here['metric']} here"] if there["metric"] != here["metric"] else []
        for variant, fields in here["variants"].items():
            before = there["variants"].get(variant)
            if before is None or variant not in self.before.get("variants", ()):
                continue  # one without results may be added or changed
            new, old = ({**its, **its["network"]} for its in (fields, before))
            for name in sorted((new.keys() & old.keys()) - {"network"}):
                if new[name] != old[name]:
                    other.append(f"{name} of {variant}: {old[name]!r} there, {new[name]!r} here")
        if other:
            raise ValueError(
                f"`workdir` must be a folder without this experiment, or with the same settings. Received: "
                f"workdir={str(self.path.parent.parent)!r}, where {self.path} has other ones: {'; '.join(other)}"
            )

    def _store(self):
        """Writes `results.json`, in one step; all runs that the file holds already stay in it."""
        ours = [id(run) for run in self.runs.values()]
        runs = [(key, run) for key, run in self.stored if id(run) in ours]
        runs += [(key, run) for key, run in self.before.get("runs", ()) if key not in [k for k, _ in runs]]
        runs = [run for _, run in runs]
        experiment = self.experiment
        results = {
            "experiment": experiment.name,
            "section": experiment.section,
            "target": experiment.metric.target,
            "command": self.command if self.seconds else self.before.get("command", self.command),
            "seconds": sum(run["seconds"] for run in runs),
            "settings": self.settings,
        }
        now = {variant: self._variant(variant, rate) for variant, rate in self._measured()}
        known = {**self.before.get("variants", {}), **now}
        results["variants"] = {variant: known[variant] for variant in experiment.variants if variant in known}
        results["comparisons"] = [
            self._comparison(comparison, results["variants"])
            for comparison in experiment.comparisons
            if {comparison.variant, comparison.baseline} <= set(results["variants"])
        ]
        results["runs"] = runs
        write_text(self.path, json.dumps(results, indent=1) + "\n")
        return results

    def _measured(self):
        """The variants that have a whole run at their rate, and this rate."""
        first = self.experiment.seeds[0]
        runs = {variant: self.runs.get((variant, rate, first)) for variant, rate in self.rates.items()}
        return [(v, rate) for v, rate in self.rates.items() if runs[v] and runs[v]["ended"] != _RACE_LOST]

    def _variant(self, variant, rate):
        metric, *others = self.experiment.metrics
        runs = {seed: run for (name, its, seed), run in self.runs.items() if (name, its) == (variant, rate)}
        values = {seed: metric.value(run) for seed, run in sorted(runs.items())}
        reached = [value for value in values.values() if value is not None]
        tried = {
            its: self.runs[variant, its, self.experiment.seeds[0]] for its in sorted(self.searches.get(variant, ()))
        }
        return {
            "learning_rate": next(iter(runs.values()))["config"]["learning_rate"],
            "values": {str(seed): value for seed, value in values.items()},
            **summary(reached),
            "others": {its.name: {str(seed): its.value(run) for seed, run in sorted(runs.items())} for its in others},
            "curves": {str(seed): [row["top1_error"] for row in run["history"]] for seed, run in sorted(runs.items())},
            "learning_rates": [
                {
                    "learning_rate": its,
                    "value": metric.value(run),
                    "ended": run["ended"],
                    "curve": [row["top1_error"] for row in run["history"]],
                }
                for its, run in tried.items()
            ],
        }

    def _comparison(self, comparison, variants):
        metric = comparison.metric or self.experiment.metric
        names = [metric.name, (comparison.baseline_metric or metric).name]
        ours, theirs = (
            variants[variant]["values"] if name == self.experiment.metric.name else variants[variant]["others"][name]
            for variant, name in zip((comparison.variant, comparison.baseline), names, strict=True)
        )
        pairs = [(ours[seed], theirs[seed]) for seed in ours if None not in (ours[seed], theirs.get(seed))]
        figures = metric.compare(*zip(*pairs, strict=True)) if pairs else {"estimate": None, "interval": None, "n": 0}
        fields = dataclasses.asdict(comparison)
        fields = {name: fields[name] for name in ("variant", "baseline", "paper", "side", "margin", "claim")}
        metrics = {"metric": names[0], "baseline_metric": names[1]}
        return {**fields, **metrics, **figures, "unit": metric.unit, "no_effect": metric.no_effect}
