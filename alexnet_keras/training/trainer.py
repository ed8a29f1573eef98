"""The epochs of a training: its callbacks, and the call of `fit`."""

from collections.abc import Iterable

import keras

from alexnet_keras.analysis import KernelSnapshots
from alexnet_keras.analysis.kernels import first_convolution
from alexnet_keras.distributed.hosts import barrier
from alexnet_keras.training.callbacks import (
    ChanceLevel,
    DeterministicDropout,
    DropOnPlateau,
    EpochLog,
    FreezeConv1,
    RaiseOnNaN,
    Throughput,
)
from alexnet_keras.training.checkpoints import Checkpoints, SavedCallbacks
from alexnet_keras.training.device_augmentation import augmenting_model
from alexnet_keras.training.run_folder import RunFolder
from alexnet_keras.training.training_data import TrainingData


class Trainer:
    """Trains a network for the remaining epochs, of which the first may have begun.

    Args:
        network: classifier, compiled for training.
        data: `TrainingData`.
        folder: `RunFolder`.
        state: state of the network's checkpoint; see `find_checkpoint`.
    """

    def __init__(self, network: keras.Model, data: TrainingData, folder: RunFolder, state: dict):
        self.network = network
        self.data = data
        self.folder = folder
        self.state = state
        self.model = (
            augmenting_model(network, data.dataset) if data.is_augmented_on_device else network
        )
        self.config = data.config

    def run(self, callbacks: Iterable[keras.callbacks.Callback] = (), verbose: int = 1) -> None:
        """Trains. SIGTERM and Ctrl-C save a checkpoint and end the process.

        Args:
            callbacks: further Keras callbacks.
            verbose: as for `train_and_evaluate`.
        """
        self._verbose = verbose
        checkpoints = self._checkpoints()
        # Checkpoints come last, after the state of all others is set.
        self._callbacks = [*self._own_callbacks(checkpoints), *callbacks, checkpoints]
        self._validation = self.data.validation_batches()
        with checkpoints.leaving_on_signals():
            self._train_epochs_left()
        barrier()  # the first host has written the history

    def _train_epochs_left(self):
        epoch = self.state["epoch"]
        step = self.state["step"]
        if step == self.data.steps:
            self._finish_epoch(epoch)
        elif step:
            self._fit(epoch, epoch + 1, step)
        epoch += step > 0
        if (
            epoch < self.config.epochs
            and not self.model.stop_training
            and not self.state["stopped"]
        ):
            self._fit(epoch, self.config.epochs)

    def _fit(self, epoch, end, step=0):
        self.model.fit(
            self.data.batches(epoch, step),
            validation_data=self._validation,
            epochs=end,
            validation_freq=self.config.validated,
            initial_epoch=epoch,
            steps_per_epoch=self.data.steps - step,
            shuffle=False,
            callbacks=self._callbacks,
            verbose=self._verbose,
        )

    def _finish_epoch(self, epoch):
        """Does what Keras does after the last step of an epoch."""
        callbacks = keras.callbacks.CallbackList(self._callbacks, model=self.model)
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(epoch)
        errors = {}
        if epoch + 1 in self.config.validated:
            errors = self.model.evaluate(
                self._validation, callbacks=callbacks, return_dict=True, verbose=0
            )
        callbacks.on_epoch_end(
            epoch, self.state["logs"] | {f"val_{name}": value for name, value in errors.items()}
        )
        callbacks.on_train_end()

    def _checkpoints(self):
        config = self.config
        state = self.state
        is_main = self.folder.is_main
        throughput = Throughput(
            config.batch_size,
            config.epochs,
            state["step"],
            state["seconds"],
            verbose=is_main,
            has_bar=self._verbose == 1,
        )
        chance = ChanceLevel(
            self.model.output_shape[-1], state["step"], state["chance"], verbose=is_main
        )
        errors = [row["val_top1_error"] for row in self.folder.history() if "val_top1_error" in row]
        best = float("inf")
        if errors and (self.folder.path / "best.keras").exists():
            best = min(errors)
        return Checkpoints(
            self.network,
            workdir=self.folder.path,
            steps=self.data.steps,
            minutes=config.checkpoint_minutes,
            callbacks=SavedCallbacks(throughput, chance),
            state=state,
            best=best,
        )

    def _own_callbacks(self, checkpoints):
        config = self.config
        path = self.folder.path
        callbacks = [
            RaiseOnNaN(self.data.steps),
            DeterministicDropout(config.seed),
            checkpoints.callbacks.throughput,
            checkpoints.callbacks.chance,
            self._schedule(),
        ]
        if config.conv1_milestones:
            factor = config.layer_learning_rates.get("conv1", 1.0)
            callbacks.append(FreezeConv1(*config.conv1_epochs, factor=factor))
        if self.folder.is_main:
            callbacks.append(EpochLog(path / "history.csv"))
            callbacks.append(KernelSnapshots(path / "snapshots", first_convolution(self.model)))
        if self.folder.is_main and not config.in_memory:  # TensorFlow writes these
            callbacks.append(
                keras.callbacks.TensorBoard(str(path / "tensorboard"), write_graph=False)
            )
        return callbacks

    def _schedule(self):
        if self.config.schedule == "step":
            return keras.callbacks.LearningRateScheduler(self.config.learning_rate_at)
        plateau = DropOnPlateau(patience=self.config.patience)
        plateau.set_model(self.model)
        plateau.replay(self.folder.history())
        return plateau
