"""Saving a training so that it goes on, bit for bit, where it was stopped."""

import contextlib
import json
import os
import shutil
import signal
import threading
import time
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np

from alexnet_keras.distributed.hosts import (
    no_distribution,
    print_once,
    process_count,
    process_index,
)

_STATE = "training.json"  # in the .keras archive, beside Keras' own files
_START = {"epoch": 0, "step": 0, "seconds": 0.0, "stopped": False, "chance": ()}
_PARTIAL, _PARTIAL_BEST = "partial.keras", "partial-best.keras"


def find_checkpoint(workdir):
    """The newest training that can be read in a folder.

    Args:
        workdir: folder that `Checkpoints` has written.

    Returns:
        `(path, state)`: the path of `last.keras` or, where that is damaged, of `best.keras`, which is said; `None`
        where there is neither. `state`: dict with `epoch` and `step`, how many are done; `seconds`, what the epoch
        under way has taken; `stopped`, whether a callback has ended the training; `chance`, the state of
        `ChanceLevel`; inside an epoch also `sums`, the variables of the metrics, or, after its last step, `logs`,
        their results.

    Raises:
        ValueError: when all that is there is damaged, or when a file is whole, but not of a training.
    """
    damaged = []
    for path in (Path(workdir) / "last.keras", Path(workdir) / "best.keras"):
        if not path.exists():
            continue
        try:
            state = _read_state(path)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            damaged.append(f"{path} ({error})")
            continue
        if damaged:
            print_once(f"Damaged: {damaged[0]}. Resuming from {path}, after epoch {state['epoch']}")
        return path, state
    if damaged:
        raise ValueError(
            f"`workdir` must hold a checkpoint that can be read, or none. Received: workdir={str(workdir)!r}, with "
            f"{' and '.join(damaged)}; take damaged files away to start anew"
        )
    return None, dict(_START)


def _read_state(path):
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"{damaged} in it is damaged")
        if _STATE not in archive.namelist():
            raise ValueError(
                f"`workdir` must be that of a training. Received: {path}, a model without its training"
            )
        try:
            return _START | dict(json.loads(archive.read(_STATE)))
        except (ValueError, TypeError) as error:
            raise zipfile.BadZipFile(f"{_STATE} in it is damaged: {error}") from error


class Checkpoints(keras.callbacks.Callback):
    """Saves `last.keras` after each epoch and every few minutes of training; `best.keras` after the best epoch.

    A file has its name only once it is whole. Besides model and optimizer it holds the position in the data and what
    the errors of the epoch under way are summed up to. After SIGTERM or Ctrl-C it saves and leaves; of several hosts
    the first alone saves, and all leave after the same step when one of them is told to.

    Args:
        network: the network that is saved; the model that is trained has its variables and optimizer.
        workdir: folder of the files.
        steps: steps in an epoch.
        minutes: the age of `last.keras` at most, in minutes of training; 0 saves after every step.
        throughput: the `Throughput` callback, which knows the seconds of the epoch under way.
        chance: the `ChanceLevel` callback, whose state is saved.
        state: that `find_checkpoint` returned.
        best: the lowest value of `monitor` so far; a lower one makes `best.keras`.
        monitor: a name in the logs; those of an epoch without validation lack it.

    Raises:
        SystemExit: 143 after SIGTERM, 130 after Ctrl-C.
        KeyboardInterrupt: after a second Ctrl-C, at once.
        OSError: when a file cannot be written; what was saved before is whole.
    """

    def __init__(
        self,
        network,
        workdir,
        steps,
        minutes,
        throughput,
        chance,
        state,
        best=float("inf"),
        monitor="val_top1_error",
    ):
        super().__init__()
        self.network = network
        self.workdir, self.steps, self.seconds, self.throughput = (
            Path(workdir),
            steps,
            60 * minutes,
            throughput,
        )
        self.best, self.monitor, self.state, self.chance = best, monitor, state, chance
        self.epoch, self.step = self.saved = state["epoch"], state["step"]
        self.terminated, self.signal = False, signal.SIGTERM
        self.is_main = process_index() == 0
        self.hosts = process_count()
        self.calls = 0

    @contextlib.contextmanager
    def leaving_on_signals(self):
        """In here SIGTERM and Ctrl-C wait for the end of a step; a second Ctrl-C does not.

        Signals belong to the main thread; elsewhere it does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Of several hosts JAX takes SIGTERM, and tells the others.
        numbers = [signal.SIGINT] if self.hosts > 1 else [signal.SIGINT, signal.SIGTERM]
        self.handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}
        for number, before in self.handlers.items():
            if before != signal.SIG_IGN:  # as a shell does for what runs in the background
                signal.signal(number, self._on_signal)
        try:
            yield
            if self.terminated:  # since the last step
                self._leave()
        finally:
            for number, before in self.handlers.items():
                signal.signal(number, before)

    def _on_signal(self, number, frame):
        self.signal = number
        if number == signal.SIGINT:
            signal.signal(number, self.handlers[number])
            # A print here could meet one that the signal has interrupted.
            os.write(
                2, b"\nCtrl-C: saving at the end of this step. Press it again to end at once\n"
            )
        if self.hosts > 1:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self.terminated = True

    def on_train_begin(self, logs=None):
        self.time = time.monotonic()
        if not self.is_main:
            return
        for name in (_PARTIAL, _PARTIAL_BEST):  # of a process that was killed
            (self.workdir / name).unlink(missing_ok=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.logs, self.sums, self.state = self.state.get("logs"), self.state.get("sums", ()), {}

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self._ask_other_hosts()
        if self.sums:  # Keras makes the variables in the first step
            for variable, value in zip(self.model.metrics_variables, self.sums, strict=True):
                variable.assign_add(value)
            self.sums = ()
        self._save_if_older(self.seconds)

    def on_test_begin(self, logs=None):
        if self.logs is None:
            self.logs = self._training_logs()  # the sums are now those of the validation
        self.step = self.steps  # also where a callback has cut the epoch short
        self._save_if_older(self.seconds / 2)

    def on_test_batch_end(self, batch, logs=None):
        self._ask_other_hosts()
        self._save_if_older(float("inf"))

    def on_epoch_end(self, epoch, logs=None):
        self.epoch, self.step, self.logs = epoch + 1, 0, None
        error = logs.get(self.monitor, float("inf"))
        self._save({"seconds": 0.0}, best=error < self.best)
        self.best = min(self.best, error)
        self._save_if_older(float("inf"))

    def _ask_other_hosts(self):
        if self.hosts > 1:
            from jax.experimental import multihost_utils

            self.calls += 1
            self.terminated = multihost_utils.reached_preemption_sync_point(self.calls)

    def _is_finite(self):
        """Not in the moment before the loss becomes NaN: the model of before is the better one then."""
        values = (keras.ops.convert_to_numpy(weight) for weight in self.model.trainable_weights)
        return all(np.isfinite(value).all() for value in values)

    def _training_logs(self):
        logs = {}
        with no_distribution():
            for metric in self.model.metrics:
                values = [keras.ops.convert_to_numpy(variable) for variable in metric.variables]
                result = metric.stateless_result(values)
                logs |= result if isinstance(result, dict) else {metric.name: result}
        return {name: float(value) for name, value in logs.items()}

    def _save_if_older(self, seconds):
        if self.terminated or time.monotonic() - self.time >= seconds:
            if self.saved != (self.epoch, self.step) and self._is_finite():
                state = {"seconds": self.throughput.trained or self.throughput.elapsed()}
                if self.step < self.steps:
                    sums = self.model.metrics_variables
                    state["sums"] = [
                        keras.ops.convert_to_numpy(variable).tolist() for variable in sums
                    ]
                else:
                    state["logs"] = self.logs or self._training_logs()
                self._save(state)
            if self.terminated:
                self._leave()

    def _leave(self):
        epoch, step = self.saved
        name = "Ctrl-C" if self.signal == signal.SIGINT else "SIGTERM"
        print(
            f"\nStopped by {name} after step {step} of epoch {epoch + 1}. Rerun the same command to resume",
            flush=True,
        )
        raise SystemExit(128 + self.signal)

    def _save(self, state, best=False):
        if not self.is_main:
            self.saved, self.time = (self.epoch, self.step), time.monotonic()
            return
        partial, copy, last = (
            self.workdir / name for name in (_PARTIAL, _PARTIAL_BEST, "last.keras")
        )
        stopped = bool(
            self.model.stop_training
        )  # Keras brings the variables up to date when the model is asked for
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "stopped": stopped,
            "chance": self.chance.state,
            **state,
        }
        try:
            with no_distribution():  # Keras makes variables while it saves
                self.network.save(partial)
            with zipfile.ZipFile(partial, "a") as archive:
                archive.writestr(_STATE, json.dumps(state))
            if best:
                shutil.copyfile(partial, copy)
                os.replace(copy, self.workdir / "best.keras")
            os.replace(partial, last)
        except (OSError, RuntimeError) as error:
            for path in (partial, copy):
                path.unlink(missing_ok=True)
            kept = (
                f"; {last}, after step {self.saved[1]} of epoch {self.saved[0] + 1}, is whole"
                * last.exists()
            )
            raise OSError(f"Cannot save the training in {self.workdir}: {error}{kept}") from error
        self.saved, self.time = (self.epoch, self.step), time.monotonic()
