"""Keras callbacks of a training: logs, schedules, dropout and checks of the loss."""

import math
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

NOT_MEASURED = "not measured"  # in history.csv


class EpochLog(keras.callbacks.CSVLogger):
    """Appends a row for each epoch to a CSV file.

    Epochs without validation have the same columns.

    Args:
        path: path of the file.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__(str(path), append=True)

    def on_epoch_end(self, epoch, logs: Any = None):
        validation = {f"val_{name}": NOT_MEASURED for name in ("loss", "top1_error", "top5_error")}
        super().on_epoch_end(epoch, validation | logs)


class DropOnPlateau(keras.callbacks.ReduceLROnPlateau):
    """Divides the learning rate by ten on a plateau.

    Training ends on the plateau after the last drop.

    Args:
        drops: number of drops.
        **kwargs: arguments of `keras.callbacks.ReduceLROnPlateau`.

    Reference: section 5 of Krizhevsky et al. (2012).
    """

    def __init__(self, monitor: str = "val_top1_error", drops: int = 3, **kwargs):
        super().__init__(
            monitor=monitor, factor=0.1, mode="min", min_delta=0.0, verbose=1, **kwargs
        )
        self.drops = drops

    def on_train_begin(self, logs: Any = None):
        """Keeps the state that `replay` has set, unlike the base class."""

    def replay(self, history: list[dict]) -> None:
        """Replays the stored epochs of a resumed training."""
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        verbose = self.verbose
        self.verbose = 0
        for row in history:
            self.on_epoch_end(int(row["epoch"]), {self.monitor: row[self.monitor]})
        self.model.optimizer.learning_rate = rate
        self.verbose = verbose

    def on_epoch_end(self, epoch, logs: Any = None):
        before = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if self.drops == 0:
            self.min_lr = before  # the base class then only counts
        super().on_epoch_end(epoch, logs)
        if float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)) < before:
            self.drops -= 1
        elif self.drops == 0 and self.wait >= self.patience:
            self.model.stop_training = True


class FreezeConv1(keras.callbacks.Callback):
    """Divides the learning rate of conv1 by ten at one epoch, and freezes conv1 at another.

    Args:
        slow_epoch, frozen_epoch: the two epochs, counted from 0.
        factor: factor of conv1's learning rate before `slow_epoch`.

    Reference: 2012 source, net 145.
    """

    def __init__(self, slow_epoch: int, frozen_epoch: int, factor: float = 1.0):
        super().__init__()
        self.slow_epoch = slow_epoch
        self.frozen_epoch = frozen_epoch
        self.factor = factor

    def on_epoch_begin(self, epoch, logs: Any = None):
        factor = self.factor
        if epoch >= self.frozen_epoch:
            factor = 0.0
        elif epoch >= self.slow_epoch:
            factor = 0.1 * self.factor
        self.model.optimizer.set_layer_learning_rate("conv1", factor)


class Throughput(keras.callbacks.Callback):
    """Logs the seconds and the training images per second, and prints the time left.

    Args:
        batch_size: images in a step.
        epochs: number of all epochs.
        step, seconds: steps of the first epoch that are done, and their seconds.
        verbose: whether to print.
        has_bar: whether the cursor is at the end of Keras' progress bar.
    """

    def __init__(
        self,
        batch_size: int,
        epochs: int,
        step: int = 0,
        seconds: float = 0.0,
        verbose: bool = True,
        has_bar: bool = False,
    ):
        super().__init__()
        self.batch_size = batch_size
        self.epochs = epochs
        self.verbose = verbose
        self.has_bar = has_bar
        self.before = step, seconds
        self.seconds = []

    def on_epoch_begin(self, epoch, logs: Any = None):
        self.start = time.perf_counter()
        self.trained = None
        self.steps, self.earlier = self.before
        self.before = 0, 0.0

    def on_train_batch_end(self, batch, logs: Any = None):
        self.steps += 1

    def elapsed(self) -> float:
        """Returns the seconds of the current epoch, in this process and earlier ones."""
        return self.earlier + time.perf_counter() - self.start

    def on_test_begin(self, logs: Any = None):
        self.trained = self.elapsed()

    def on_epoch_end(self, epoch, logs: Any = None):
        seconds = self.elapsed()
        self.seconds.append(seconds)
        logs["learning_rate"] = float(
            keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        )
        logs["seconds"] = seconds
        logs["images_per_second"] = self.steps * self.batch_size / (self.trained or seconds)
        left = statistics.median(self.seconds[-3:]) * (self.epochs - epoch - 1)
        if not self.verbose:
            return
        validation = (
            f"{logs['val_top1_error']:.1f}% in validation"
            if "val_top1_error" in logs
            else "not validated"
        )
        line = (
            f"Epoch {epoch + 1} of {self.epochs}: top-1 error {logs['top1_error']:.1f}% in "
            f"training, {validation}; {logs['images_per_second']:.0f} images/s; about "
            f"{left / 60:.0f} min left"
        )
        print(f"\n{line}" if self.has_bar else line, flush=True)


class DeterministicDropout(keras.callbacks.Callback):
    """Sets the state of dropout from the seed and the step.

    Keras does not save this state with a model. On PyTorch, dropout draws from PyTorch's own
    generator instead, which each step seeds.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_train_begin(self, logs: Any = None):
        self.step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        for index, layer in enumerate(self.model.layers):
            if isinstance(layer, keras.layers.Dropout):
                state = layer.seed_generator.state
                # The state has 32 bits on JAX and PyTorch, too few for large seeds.
                numbers = int(np.iinfo(state.dtype).max) + 1
                # The second number grows by one a step.
                state.assign([(1000 * self.seed + index) % numbers, self.step])

    def on_train_batch_begin(self, batch, logs: Any = None):
        if keras.backend.backend() == "torch":
            import torch

            # Unlike a sum of both numbers, this shares no masks among seeds and steps.
            sequence = np.random.SeedSequence((self.seed, self.step))
            torch.manual_seed(int(sequence.generate_state(1)[0]))
            self.step += 1


class RaiseOnNaN(keras.callbacks.Callback):
    """Ends a training whose loss or weights are NaN or infinite, before a checkpoint is saved.

    Unlike `keras.callbacks.TerminateOnNaN`, it also checks the validation loss, and after each
    epoch the weights: its last step may have spoiled them.

    Args:
        steps: steps in an epoch.

    Raises:
        FloatingPointError: with the step, the learning rate and a fix.
    """

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs: Any = None):
        self._check(logs["loss"])

    def on_epoch_end(self, epoch, logs: Any = None):
        self._check(logs.get("val_loss", logs["loss"]))
        if not has_finite_weights(self.model):
            raise self._error("Weights are NaN or infinite")

    def _check(self, loss):
        if not math.isfinite(loss):
            raise self._error(f"The loss is {loss}")

    def _error(self, found):
        epoch, step = divmod(
            int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)) - 1, self.steps
        )
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        return FloatingPointError(
            f"{found} at step {step + 1} of epoch {epoch + 1}, with a learning "
            f"rate of {rate:g}. Try a lower `learning_rate`, float32 instead of "
            "mixed_bfloat16, or the initialization of --preset source. What was saved before "
            "is untouched"
        )


def has_finite_weights(model: keras.Model) -> bool:
    """Returns whether no trainable weight of a model is NaN or infinite."""
    values = (keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights)
    return all(np.isfinite(value).all() for value in values)


class ChanceLevel(keras.callbacks.Callback):
    """Logs and prints the step at which the loss fell below chance level; 0 before.

    Chance level is the loss of guessing, the logarithm of the number of classes. The mean loss over
    ten steps must be 0.1 nats lower. The tens of steps are counted from the start of an epoch.

    Args:
        classes: number of classes.
        step: steps of the first epoch that are done.
        state: property `state` after that step; empty for a new training.
        verbose: whether to print.
    """

    _WINDOW = 10
    _MARGIN = 0.1

    def __init__(self, classes: int, step: int = 0, state: Sequence = (), verbose: bool = True):
        super().__init__()
        self.chance = math.log(classes)
        self.verbose = verbose
        self.step = step
        self.steps, self.left, self.total, self.before = state or (0, 0, 0.0, 0.0)
        self.resumed = step > 0

    @property
    def state(self) -> list:
        """State for a resumed training."""
        return [self.steps, self.left, self.total, self.before]

    def on_epoch_begin(self, epoch, logs: Any = None):
        if not self.resumed:
            self.step = 0
            self.total = 0.0
            self.before = 0.0

    def on_train_batch_end(self, batch, logs: Any = None):
        self.steps += 1
        self.step += 1
        # Keras' mean over the epoch; in the first step of a resumed epoch, the loss of this step.
        self.total = (
            self.total + float(logs["loss"]) if self.resumed else float(logs["loss"]) * self.step
        )
        self.resumed = False
        if self.step % self._WINDOW == 0:
            loss = (self.total - self.before) / self._WINDOW
            self.before = self.total
            if not self.left and loss < self.chance - self._MARGIN:
                self.left = self.steps
                if self.verbose:
                    print(
                        f"\nThe loss has fallen below chance level, {self.chance:.2f}, after "
                        f"{self.left} steps",
                        flush=True,
                    )

    def on_epoch_end(self, epoch, logs: Any = None):
        self.resumed = False
        logs["left_chance_at_step"] = self.left
