"""Runs experiments and stores their results.

A run is known by its configuration and seed. When it ends, it is stored in
`WORKDIR/NAME/results.json`. A run that any experiment of the same workdir has stored is not
repeated. A stopped run resumes.
"""

import contextlib
import dataclasses
import itertools
import json
import shlex
import shutil
import statistics
import time
from collections import Counter
from pathlib import Path

import keras

from alexnet_keras.files import check_writable, holding, write_text
from alexnet_keras.record import as_stored
from alexnet_keras.training import train
from alexnet_keras.training.run_folder import read_history
from alexnet_keras.training.training_data import open_training_data
from experiments.framework.experiment import short_hash
from experiments.framework.kept_kernels import keep_kernels, kept_path
from experiments.framework.metrics import ALL_EPOCHS, DIVERGED, EARLY_STOPPED
from experiments.framework.progress import Progress
from experiments.framework.results import comparison_results, variant_results
from experiments.framework.stored_runs import StoredRuns

_KEPT = ("config", "data", "parameters", "machine", "versions", "seconds", "errors", "history")


class ExperimentRunner:
    """Trains those runs of an experiment that are not stored yet, and stores each when it ends.

    Args:
        experiment: an `Experiment`.
        workdir: folder of the results of all experiments.
        scratch: folder for unfinished runs.
        variants: names of the variants to run; `None` for all.
        command: command line, for the record.
        verbose: as for `train_and_evaluate`.

    Raises:
        ValueError: if the workdir can't be written, or holds the experiment with other settings or
            a damaged `results.json`. Nothing is changed then.
    """

    def __init__(
        self,
        experiment,
        workdir="results",
        scratch="runs/experiments",
        variants=None,
        command=None,
        verbose=2,
    ):
        check_writable(Path(workdir))
        self.experiment = experiment
        self.workdir = Path(workdir)
        self.scratch = Path(scratch)
        if variants is None:
            variants = experiment.variants
        self.variants = tuple(variants)
        self.command = command
        self.verbose = verbose
        self.settings = experiment.settings
        self._read_stored()
        self.path = self.stored.path
        self.progress = Progress(experiment, self.variants)
        self._durations = []  # seconds of the runs that this process has trained

    def run(self) -> dict:
        """Trains and stores the missing runs.

        Returns:
            Content of `results.json`.

        Raises:
            ValueError: if another process runs the same experiment in the same workdir.
        """
        with holding(self.path.parent):
            # Again, as another process may have added runs before this one held the folder.
            self._read_stored()
            self._print_stored()
            while (request := self.progress.next()) is not None:
                config = self._config(request)
                stored = self.stored.find(config, request.incumbent)
                if stored:
                    self.progress.add(request, stored.run)
                else:
                    self.progress.add(request, self._train(request, config))
                    self._store()
                # Not before the run is stored: a stopped run resumes from this folder.
                _delete(self._folder(config))
            return self._store()

    def _read_stored(self):
        """Reads the stored runs and checks that they have the settings of the experiment."""
        self.stored = StoredRuns(self.workdir, self.experiment)
        self.stored.check_settings(self.settings)

    def _config(self, request):
        options = {} if request.learning_rate is None else {"learning_rate": request.learning_rate}
        return self.experiment.config(request.variant, seed=request.seed, **options)

    def count_stored(self) -> tuple[Counter, int]:
        """Counts the runs that need no training.

        Returns:
            The number of runs of each file that holds some, a `Counter` by path, and the number of
            all runs as far as it is known.
        """
        progress = Progress(self.experiment, self.variants)
        counts = Counter()
        while (request := progress.next()) is not None:
            stored = self.stored.find(self._config(request), request.incumbent)
            if stored is None:
                progress.skip(request)
            else:
                progress.add(request, stored.run)
                counts[stored.path] += 1
        return counts, progress.planned

    def _print_stored(self):
        """Prints how many runs are stored and where, and the command that trains all again."""
        counts, planned = self.count_stored()
        if not counts:
            print(f"No run is stored in {self.workdir}. Runs to train: {planned}", flush=True)
            return
        missing = planned - counts.total()
        remainder = f"Training the other {missing}" if missing else "Nothing is trained"
        print(f"{counts.total()} of {planned} runs are stored and not trained again. {remainder}")
        for path, count in counts.items():
            print(f"  {count} from {path}")
        if self.command is not None:
            print(f"To train all runs again: {_command_in_new_folder(self.command)}", flush=True)

    def _train(self, request, config):
        """Trains and stores a run."""
        self._print_request(request, config)
        data = open_training_data(config).description
        self.stored.check_origin(config, data, self.progress.all_runs)
        pretraining = self.experiment.pretraining_of(config)
        if pretraining is not None:
            self._pretrain(pretraining, config)
        folder = self._folder(config)
        end = EarlyEnd(folder, self.experiment.metric, request.incumbent)
        start = time.perf_counter()
        results, ended = self._train_in(folder, config, end)
        if ended is None:
            # An earlier call, which has not stored the run, stopped it for another incumbent.
            shutil.rmtree(folder)
            results, ended = self._train_in(folder, config, end)
        self._durations.append(time.perf_counter() - start)
        run = self._run_to_store(config, results, ended)
        if self.experiment.keeps_kernels:
            path = kept_path(self.path.parent, request.variant, config.learning_rate, request.seed)
            keep_kernels(folder / "snapshots", path)
        self.stored.add(self.experiment.run_key(config), run)
        return run

    def _train_in(self, folder, config, end):
        """Trains in a folder, or resumes.

        Args:
            folder: workdir of the run.
            config: `TrainingConfig` of the run.
            end: `EarlyEnd` of the run.

        Returns:
            `(results, ended)`. `ended` is why the run ended; `None` if this call did not end it.
        """
        keras.utils.clear_session()
        try:
            results = train.train_and_evaluate(
                config, folder, callbacks=[end], verbose=self.verbose
            )
        except FloatingPointError as error:
            print(error, flush=True)
            return error.results, DIVERGED
        history = results["history"]
        ended = end.reason(history, results["data"]["classes"])
        # A plateau ends a training early, too.
        if ended is None and (len(history) == config.epochs or config.schedule == "plateau"):
            ended = ALL_EPOCHS
        return results, ended

    def _run_to_store(self, config, results, ended):
        """Returns what `results.json` keeps of a run, with what its metrics measure.

        Args:
            config: `TrainingConfig` of the run.
            results: results of its training.
            ended: why it ended.
        """
        run = {
            **{name: results[name] for name in _KEPT},
            "network": as_stored(dataclasses.asdict(config.network)),
            "backend": keras.backend.backend(),
            "ended": ended,
        }
        folder = self._folder(config)
        measures = {metric.name: metric.measure(folder) for metric in self.experiment.metrics}
        measures = {name: value for name, value in measures.items() if value is not None}
        if measures:
            run["measures"] = measures
        pretraining = self.experiment.pretraining_of(config)
        if pretraining is not None:
            run["pretraining"] = as_stored(
                {
                    "config": dataclasses.asdict(pretraining),
                    "network": dataclasses.asdict(pretraining.network),
                }
            )
        return run

    def _folder(self, config):
        """Folder of an unfinished run."""
        return self.scratch / short_hash(self.experiment.run_key(config))

    def _pretrain(self, pretraining, config):
        """Trains the network that a run starts from, unless its folder holds it.

        Args:
            pretraining: `TrainingConfig` of this network.
            config: `TrainingConfig` of the run.
        """
        folder = Path(config.initial_weights).parent
        if (folder / "results.json").exists():
            print(f"Pre-trained network, seed {config.seed}: stored in {folder}", flush=True)
            return
        print(f"Pre-training, seed {config.seed}: {folder}", flush=True)
        train.train_and_evaluate(pretraining, folder, verbose=self.verbose)

    def _print_request(self, request, config):
        counts, planned = self.count_stored()
        missing = planned - counts.total()
        trained = len(self._durations)
        left = ""
        if self._durations:
            left = f", about {statistics.mean(self._durations) * missing / 60:.0f} min left"
        print(
            f"\nRun {trained + 1} of {trained + missing}{left}: {request.variant}, "
            f"learning rate {config.learning_rate:g}, seed {request.seed}",
            flush=True,
        )

    def _store(self):
        """Writes `results.json` unless it holds the same; returns its content."""
        results = self._results()
        if self.stored.holds(results):
            return self.stored.content
        write_text(self.path, json.dumps(results, indent=1) + "\n")
        return results

    def _results(self):
        """The content for `results.json`; all runs and variants that the file holds stay in it."""
        experiment = self.experiment
        before = self.stored.content
        runs = self.stored.runs_to_store(self.progress.all_runs)
        variants = {**before.get("variants", {}), **variant_results(self.progress, self.stored)}
        variants = {
            variant: variants[variant] for variant in experiment.variants if variant in variants
        }
        return {
            "experiment": experiment.name,
            "section": experiment.section,
            "target": experiment.metric.target,
            "command": self._command(before.get("command")),
            "seconds": sum(run["seconds"] for run in runs),
            "settings": self.settings,
            "variants": variants,
            "published": experiment.published,
            "comparisons": comparison_results(experiment, variants),
            "runs": runs,
        }

    def _command(self, before):
        """The command line for the record.

        Args:
            before: the stored command line, which stays if this one trains nothing, or only some
                variants or seeds; `None` if none is stored.
        """
        words = shlex.split(self.command or "")
        is_partial = bool({"--variants", "--seeds"} & set(words))
        if before is not None and (is_partial or not self._durations):
            return before
        return self.command


class EarlyEnd(keras.callbacks.Callback):
    """Ends a run when its metric says so, or when another learning rate has beaten it.

    Args:
        folder: workdir of the run.
        metric: `Metric` of the experiment.
        incumbent: best run of the search for a learning rate, or `None`.
    """

    def __init__(self, folder, metric, incumbent):
        super().__init__()
        self._folder = folder
        self._metric = metric
        self._incumbent = incumbent

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        history = read_history(self._folder)
        if self.reason(history, self.model.output_shape[-1]):
            self.model.stop_training = True

    def reason(self, history: list[dict], classes: int) -> str | None:
        """Returns why a run with this history ends, or `None` if it continues."""
        reason = self._metric.reason_to_end(len(history), history[-1], classes)
        if reason is None and self._incumbent is not None:
            errors = [row["top1_error"] for row in history]
            reason = EARLY_STOPPED if self._metric.is_beaten(errors, self._incumbent) else None
        return reason


def _delete(folder):
    """Deletes the folder of a stored run, unless another process uses it."""
    if folder.exists():
        with contextlib.suppress(ValueError), holding(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _command_in_new_folder(command):
    """Returns a command line with a workdir that does not exist."""
    words = shlex.split(command)
    if "--workdir" in words:
        position = words.index("--workdir")
        del words[position : position + 2]
    folders = itertools.chain(
        ["runs/again"], (f"runs/again_{number}" for number in itertools.count(2))
    )
    folder = next(folder for folder in folders if not Path(folder).exists())
    return shlex.join([*words, "--workdir", folder])
