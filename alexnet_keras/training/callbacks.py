"""Keras callbacks for what Keras itself has none."""

import math
import statistics
import time

import keras

NOT_MEASURED = "not measured"  # in history.csv


class History(keras.callbacks.CSVLogger):
    """Writes a row an epoch, all with the same columns, whether the epoch ended with a validation or not.

    Args:
        path: file, which is added to.
    """

    def __init__(self, path):
        super().__init__(str(path), append=True)

    def on_epoch_end(self, epoch, logs=None):
        validation = {f"val_{name}": NOT_MEASURED for name in ("loss", "top1_error", "top5_error")}
        super().on_epoch_end(epoch, validation | logs)


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """A tenth of the learning rate on a plateau, a number of times, and the end of training on the plateau after.

    Args:
        drops: how often the rate is lowered before training ends.
        **kwargs: arguments of `keras.callbacks.ReduceLROnPlateau`.

    Reference: section 5 of Krizhevsky et al. (2012).
    """

    def __init__(self, monitor="val_top1_error", drops=3, **kwargs):
        super().__init__(monitor=monitor, factor=0.1, mode="min", min_delta=0.0, verbose=1, **kwargs)
        self.drops = drops

    def on_train_begin(self, logs=None):
        """Keeps its state, unlike its base class: `replay` has set it for a training that goes on."""

    def replay(self, history):
        """Goes through the epochs of a training that is resumed, as if they happened now."""
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.verbose, verbose = 0, self.verbose
        for row in history:
            self.on_epoch_end(int(row["epoch"]), {self.monitor: row[self.monitor]})
        self.model.optimizer.learning_rate = rate
        self.verbose = verbose

    def on_epoch_end(self, epoch, logs=None):
        before = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if self.drops == 0:
            self.min_lr = before  # the base class then only counts
        super().on_epoch_end(epoch, logs)
        if float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)) < before:
            self.drops -= 1
        elif self.drops == 0 and self.wait >= self.patience:
            self.model.stop_training = True


class LateChanges(keras.callbacks.Callback):
    """Lowers conv1's learning rate to a tenth from one epoch on, and to nothing from another.

    Args:
        slow_epoch, frozen_epoch: these epochs, counted from 0.
        factor: that of conv1's learning rate before.

    Reference: 2012 source, net 145.
    """

    def __init__(self, slow_epoch, frozen_epoch, factor=1.0):
        super().__init__()
        self.slow_epoch, self.frozen_epoch, self.factor = slow_epoch, frozen_epoch, factor

    def on_epoch_begin(self, epoch, logs=None):
        factor = 0.0 if epoch >= self.frozen_epoch else 0.1 if epoch >= self.slow_epoch else 1.0
        self.model.optimizer.set_layer_learning_rate("conv1", factor * self.factor)


class Speed(keras.callbacks.Callback):
    """Adds to the logs of an epoch the seconds it took and the training images per second, and says what is left.

    Args:
        batch_size: images in a step.
        epochs: number of epochs in all.
        step, seconds: how much of the first epoch is done already, and how long that took.
        verbose: whether it says something.
    """

    def __init__(self, batch_size, epochs, step=0, seconds=0.0, verbose=True):
        super().__init__()
        self.batch_size, self.epochs, self.verbose = batch_size, epochs, verbose
        self.before = step, seconds
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()
        self.trained = None
        self.steps, self.earlier = self.before
        self.before = 0, 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1

    def elapsed(self):
        """Seconds that the epoch has taken so far, in this process and before."""
        return self.earlier + time.perf_counter() - self.start

    def on_test_begin(self, logs=None):
        self.trained = self.elapsed()

    def on_epoch_end(self, epoch, logs=None):
        seconds = self.elapsed()
        self.seconds.append(seconds)
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logs["seconds"] = seconds
        logs["images_per_second"] = self.steps * self.batch_size / (self.trained or seconds)
        left = statistics.median(self.seconds[-3:]) * (self.epochs - epoch - 1)
        if not self.verbose:
            return
        validation = f"{logs['val_top1_error']:.1f}% in validation" if "val_top1_error" in logs else "not validated"
        print(
            f"Epoch {epoch + 1} of {self.epochs}: top-1 error {logs['top1_error']:.1f}% in training, "
            f"{validation}; {logs['images_per_second']:.0f} images/s; "
            f"about {left / 60:.0f} min left",
            flush=True,
        )


class DropoutSeeds(keras.callbacks.Callback):
    """Sets the random numbers of dropout by the seed and the step, which Keras does not save with a model."""

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def on_train_begin(self, logs=None):
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        for index, layer in enumerate(self.model.layers):
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([1000 * self.seed + index, step])  # grows by one a step


class StopAtNaN(keras.callbacks.Callback):
    """Ends a training whose loss is no number any more, before any of it is saved.

    Args:
        steps: steps in an epoch.

    Raises:
        FloatingPointError: with the step, the learning rate and what to try.
    """

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs.get("val_loss", logs["loss"]))

    def _check(self, loss):
        if not math.isfinite(loss):
            epoch, step = divmod(int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)) - 1, self.steps)
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            raise FloatingPointError(
                f"The loss is {loss} at step {step + 1} of epoch {epoch + 1}, with a learning rate of {rate:g}. "
                "Try a lower `learning_rate`, float32 instead of mixed_bfloat16, or the initialization of "
                "--config source. What was saved before is untouched"
            )


class LeavesChance(keras.callbacks.Callback):
    """Adds to the logs of an epoch the step at which the loss left that of guessing, 0 if it has not, and says it.

    Guessing among equally frequent classes costs the logarithm of their number. The loss has left it when its mean over
    ten steps, counted from the start of an epoch, is 0.1 nats below.

    Args:
        classes: number of classes.
        step: how much of the first epoch is done already.
        state: what `state` was there; empty at the start.
        verbose: whether it says something.
    """

    _WINDOW, _MARGIN = 10, 0.1

    def __init__(self, classes, step=0, state=(), verbose=True):
        super().__init__()
        self.chance, self.verbose = math.log(classes), verbose
        self.step = step
        self.steps, self.left, self.total, self.before = state or (0, 0, 0.0, 0.0)
        self.resumed = step > 0

    @property
    def state(self):
        """What a training that goes on needs."""
        return [self.steps, self.left, self.total, self.before]

    def on_epoch_begin(self, epoch, logs=None):
        if not self.resumed:
            self.step, self.total, self.before = 0, 0.0, 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.step += 1
        # The mean over the epoch; in the first step of one that goes on, that of this step alone.
        self.total = self.total + float(logs["loss"]) if self.resumed else float(logs["loss"]) * self.step
        self.resumed = False
        if self.step % self._WINDOW == 0:
            loss, self.before = (self.total - self.before) / self._WINDOW, self.total
            if not self.left and loss < self.chance - self._MARGIN:
                self.left = self.steps
                if self.verbose:
                    print(
                        f"\nThe loss has left that of guessing, {self.chance:.2f}, after {self.left} steps", flush=True
                    )

    def on_epoch_end(self, epoch, logs=None):
        self.resumed = False
        logs["left_chance_at_step"] = self.left
