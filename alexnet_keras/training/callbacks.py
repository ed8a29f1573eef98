"""Keras callbacks for what Keras itself has none."""

import os
import shutil
import statistics
import time
from pathlib import Path

import keras


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
            self.on_epoch_end(int(row["epoch"]), {self.monitor: float(row[self.monitor])})
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

    Reference: 2012 source, net 145.
    """

    def __init__(self, slow_epoch, frozen_epoch):
        super().__init__()
        self.slow_epoch, self.frozen_epoch = slow_epoch, frozen_epoch

    def on_epoch_begin(self, epoch, logs=None):
        factor = 0.0 if epoch >= self.frozen_epoch else 0.1 if epoch >= self.slow_epoch else 1.0
        self.model.optimizer.set_layer_learning_rate("conv1", factor)


class Speed(keras.callbacks.Callback):
    """Adds to the logs of an epoch the seconds it took and the training images per second, and says what is left.

    Args:
        images: training images in an epoch.
        epochs: number of epochs in all.
    """

    def __init__(self, images, epochs):
        super().__init__()
        self.images, self.epochs = images, epochs
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()
        self.trained = None

    def on_test_begin(self, logs=None):
        self.trained = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        end = time.perf_counter()
        self.seconds.append(end - self.start)
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logs["seconds"] = end - self.start
        logs["images_per_second"] = self.images / ((self.trained or end) - self.start)
        left = statistics.median(self.seconds[-3:]) * (self.epochs - epoch - 1)
        print(
            f"Epoch {epoch + 1} of {self.epochs}: top-1 error {logs['top1_error']:.1f}% in training, "
            f"{logs['val_top1_error']:.1f}% in validation; {logs['images_per_second']:.0f} images/s; "
            f"about {left / 60:.0f} min left",
            flush=True,
        )


class DropoutSeeds(keras.callbacks.Callback):
    """Starts the random numbers of dropout anew each epoch, from the seed and the epoch.

    Keras does not save them with a model; a training that is resumed gets those that it would have had.
    """

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        for index, layer in enumerate(self.model.layers):
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([1000 * self.seed + index, epoch])


class SaveModels(keras.callbacks.Callback):
    """Saves `last.keras` after each epoch, and as `best.keras` too when the error is the lowest yet.

    A file has its name only once it is whole.
    """

    def __init__(self, workdir, best=float("inf"), monitor="val_top1_error"):
        super().__init__()
        self.workdir, self.best, self.monitor = Path(workdir), best, monitor

    def on_epoch_end(self, epoch, logs=None):
        partial = self.workdir / "partial.keras"
        self.model.save(partial)
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            copy = self.workdir / "partial-best.keras"
            shutil.copyfile(partial, copy)
            os.replace(copy, self.workdir / "best.keras")
        os.replace(partial, self.workdir / "last.keras")
