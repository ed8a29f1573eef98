"""Checkpoints of a training, from which it resumes with bit-identical state."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from alexnet_keras.distributed.hosts import (
    no_distribution,
    print_once,
    process_count,
    process_index,
)
from alexnet_keras.training.callbacks import ChanceLevel, Throughput, has_finite_weights

_STATE = "training.json"  # in the .keras archive, beside Keras' own files
_START = {"epoch": 0, "step": 0, "seconds": 0.0, "stopped": False, "chance": ()}
_PARTIAL = "partial.keras"
_PARTIAL_BEST = "partial-best.keras"
_MONITOR = "val_top1_error"  # a lower value makes `best.keras`


def find_checkpoint(workdir: str | os.PathLike) -> tuple[Path | None, dict]:
    """Finds the newest readable checkpoint in a folder.

    Args:
        workdir: folder that `Checkpoints` has written.

    Returns:
        `(path, state)`. `path` is the path of `last.keras`. If it is missing or damaged, it is the
        path of `best.keras`, and a line is printed. Without both it is `None`. `state` is a dict:

        - `epoch`, `step`: numbers of epochs and steps that are done.
        - `seconds`: seconds of the current epoch.
        - `stopped`: whether a callback has ended the training.
        - `chance`: state of `ChanceLevel`.
        - `sums`: variables of the metrics, within an epoch.
        - `logs`: results of the metrics, after the last step of an epoch.

    Raises:
        ValueError: if all checkpoints are damaged, or a file is not a checkpoint.
    """
    damaged = []
    last = Path(workdir) / "last.keras"
    for path in (last, Path(workdir) / "best.keras"):
        if not path.exists():
            continue
        try:
            state = _read_state(path)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            damaged.append(f"{path} ({error})")
            continue
        if path != last:
            reason = f"Damaged: {damaged[0]}" if damaged else f"{last} is missing"
            print_once(f"{reason}. Resuming from {path}, after epoch {state['epoch']}")
        return path, state
    if damaged:
        raise ValueError(
            "`workdir` must have a readable checkpoint, or none. Received: "
            f"workdir={str(workdir)!r}, with {' and '.join(damaged)}. Remove the damaged files to "
            "start a new training"
        )
    return None, dict(_START)


def _read_state(path):
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"{damaged} in it is damaged")
        if _STATE not in archive.namelist():
            raise ValueError(
                "`workdir` must be the folder of a training. "
                f"Received: {path}, a model without the state of a training"
            )
        try:
            return _START | dict(json.loads(archive.read(_STATE)))
        except (ValueError, TypeError) as error:
            raise zipfile.BadZipFile(f"{_STATE} in it is damaged: {error}") from error


@dataclasses.dataclass(frozen=True)
class SavedCallbacks:
    """Callbacks whose state is in a checkpoint.

    Args:
        throughput: has the seconds of the current epoch.
        chance: has the step at which the loss fell below chance level.
    """

    throughput: Throughput
    chance: ChanceLevel


class Checkpoints(keras.callbacks.Callback):
    """Saves checkpoints of a training, `last.keras` and `best.keras`.

    `last.keras` is saved every few minutes and after each epoch, `best.keras` after the best epoch.
    Writes are atomic. Besides model and optimizer, a file has the position in the data and the sums
    of the current epoch's metrics. SIGTERM and Ctrl-C save a checkpoint and end the process. Of
    several hosts only the first saves. A signal to one host ends all of them after the same step.

    Args:
        network: network to save. The trained model shares its variables and optimizer.
        workdir: folder of the files.
        steps: steps in an epoch.
        minutes: longest time between two saves, in minutes of training; 0 saves after every step.
        callbacks: `SavedCallbacks` of the training.
        state: state that `find_checkpoint` returned.
        best: lowest validation top-1 error so far, in percent.

    Raises:
        SystemExit: 143 after SIGTERM, 130 after Ctrl-C.
        KeyboardInterrupt: after a second Ctrl-C, at once.
        OSError: if a file cannot be written; the previous checkpoint stays whole.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        workdir: str | os.PathLike,
        steps: int,
        minutes: float,
        callbacks: SavedCallbacks,
        state: dict,
        best: float = float("inf"),
    ):
        super().__init__()
        self.network = network
        self.workdir = Path(workdir)
        self.steps = steps
        self.seconds = 60 * minutes
        self.callbacks = callbacks
        self.state = state
        self.best = best
        self.epoch = state["epoch"]
        self.step = state["step"]
        self.saved = self.epoch, self.step
        self.terminated = False
        self.signal = signal.SIGTERM
        self.is_main = process_index() == 0
        self.hosts = process_count()
        self.calls = 0

    @contextlib.contextmanager
    def leaving_on_signals(self) -> Iterator[None]:
        """Context in which SIGTERM and a first Ctrl-C wait for the end of a step.

        Only the main thread can handle signals; in other threads it does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # On several hosts JAX handles SIGTERM, and tells the other hosts.
        numbers = [signal.SIGINT] if self.hosts > 1 else [signal.SIGINT, signal.SIGTERM]
        self.handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}
        for number, before in self.handlers.items():
            if before != signal.SIG_IGN:  # a shell ignores signals of background processes
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
            # `print` is not reentrant, and the signal may have interrupted one.
            os.write(2, b"\nCtrl-C: saving at the end of this step. Press it again to end now\n")
        if self.hosts > 1:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self.terminated = True

    def on_train_begin(self, logs: Any = None):
        self.time = time.monotonic()
        if not self.is_main:
            return
        for name in (_PARTIAL, _PARTIAL_BEST):  # left by a killed process
            (self.workdir / name).unlink(missing_ok=True)

    def on_epoch_begin(self, epoch, logs: Any = None):
        self.logs = self.state.get("logs")
        self.sums = self.state.get("sums", ())
        self.state = {}

    def on_train_batch_end(self, batch, logs: Any = None):
        self.step += 1
        self._ask_other_hosts()
        if self.sums:  # restored here, as Keras makes the variables in the first step
            for variable, value in zip(self.model.metrics_variables, self.sums, strict=True):
                variable.assign_add(value)
            self.sums = ()
        self._save_if_older(self.seconds)

    def on_test_begin(self, logs: Any = None):
        if self.logs is None:
            self.logs = self._training_logs()  # before the validation resets the metrics
        self.step = self.steps  # a callback may have ended the epoch early
        self._save_if_older(self.seconds / 2)

    def on_test_batch_end(self, batch, logs: Any = None):
        self._ask_other_hosts()
        self._save_if_older(float("inf"))

    def on_epoch_end(self, epoch, logs: Any = None):
        self.epoch = epoch + 1
        self.step = 0
        self.logs = None
        error = logs.get(_MONITOR, float("inf"))  # missing without validation
        self._save({"seconds": 0.0}, best=error < self.best)
        self.best = min(self.best, error)
        self._save_if_older(float("inf"))

    def _ask_other_hosts(self):
        if self.hosts > 1:
            from jax.experimental import multihost_utils

            self.calls += 1
            self.terminated = multihost_utils.reached_preemption_sync_point(self.calls)

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
            # The previous checkpoint is better than weights that are NaN.
            if self.saved != (self.epoch, self.step) and has_finite_weights(self.model):
                throughput = self.callbacks.throughput
                state = {"seconds": throughput.trained or throughput.elapsed()}
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
            f"\nStopped by {name} after step {step} of epoch {epoch + 1}. Rerun the same command "
            "to resume",
            flush=True,
        )
        raise SystemExit(128 + self.signal)

    def _save(self, state, best=False):
        if not self.is_main:
            self.saved = (self.epoch, self.step)
            self.time = time.monotonic()
            return
        partial, copy, last = (
            self.workdir / name for name in (_PARTIAL, _PARTIAL_BEST, "last.keras")
        )
        # `self.model` also makes Keras update the variables, before they are saved.
        stopped = bool(self.model.stop_training)
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "stopped": stopped,
            "chance": self.callbacks.chance.state,
            **state,
        }
        try:
            with no_distribution():  # Keras makes variables on this host while it saves
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
            kept = ""
            if last.exists():
                epoch, step = self.saved
                kept = f"; {last}, after step {step} of epoch {epoch + 1}, is whole"
            raise OSError(f"Cannot save the training in {self.workdir}: {error}{kept}") from error
        self.saved = (self.epoch, self.step)
        self.time = time.monotonic()
