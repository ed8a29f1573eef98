import dataclasses
import os
import pickle
import random
import resource
import signal
import threading
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet
from alexnet_keras.training.checkpoints import find_checkpoint
from alexnet_keras.training.config import training_config
from alexnet_keras.training.train import train_and_evaluate
from tests import processes
from tests.conftest import TINY, write_tiny_npz

STEPS = 5  # in an epoch
KILLS = int(os.environ.get("ALEXNET_KERAS_KILLS", 2))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return training_config(
        "cifar",
        dataset=write_tiny_npz(tmp_path_factory.mktemp("data") / "tiny.npz"),
        epochs=3,
        batch_size=16,
        checkpoint_minutes=0,
        test_views=("center",),
        overrides=TINY,
    )


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """The folder of a training that nothing stops."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_KERAS_CACHE", str(folder / "cache"))
        train_and_evaluate(config, folder / "run", verbose=0)
    return folder / "run"


class At(keras.callbacks.Callback):
    """Does something after a step of an epoch, or at the start of its validation."""

    def __init__(self, epoch, step, action):
        super().__init__()
        self.place = (epoch, step)
        self.action = action

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch + 1) == self.place:
            self.action(self.model)

    def on_test_begin(self, logs=None):
        if (self.epoch, "validation") == self.place:
            self.action(self.model)


def terminate(model):
    os.kill(os.getpid(), signal.SIGTERM)


def press_ctrl_c(model):
    os.kill(os.getpid(), signal.SIGINT)


def press_ctrl_c_twice(model):
    press_ctrl_c(model)
    press_ctrl_c(model)


def assert_same_end(config, whole, parts):
    """Asserts that two trainings ended with equal weights, optimizer and history."""
    ends = [train_and_evaluate(config, workdir, verbose=0) for workdir in (whole, parts)]
    models = [keras.saving.load_model(find_checkpoint(workdir)[0]) for workdir in (whole, parts)]
    for a, b in zip(
        *(model.variables + model.optimizer.variables for model in models), strict=True
    ):
        if "seed_generator" not in a.path:
            np.testing.assert_array_equal(a, b, err_msg=a.path)
    names = ("loss", "top1_error", "val_loss", "val_top1_error", "learning_rate")
    rows = [[[row[name] for name in names] for row in end["history"]] for end in ends]
    assert rows[0] == rows[1]
    assert ends[0]["errors"] == ends[1]["errors"]


@pytest.mark.parametrize("place", [(0, 2), (1, STEPS), (1, "validation"), (2, STEPS)])
def test_sigterm_saves_and_leaves(config, whole, tmp_path, capsys, place):
    with pytest.raises(SystemExit) as exit:
        train_and_evaluate(config, tmp_path / "parts", callbacks=[At(*place, terminate)], verbose=0)
    assert exit.value.code == 143
    step = STEPS if place[1] == "validation" else place[1]
    assert (
        f"Stopped by SIGTERM after step {step} of epoch {place[0] + 1}. Rerun the same command to "
        "resume" in capsys.readouterr().out
    )
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    _, state = find_checkpoint(tmp_path / "parts")
    assert (state["epoch"], state["step"]) == (place[0], step)
    if place == (1, STEPS):
        with pytest.raises(
            ValueError,
            match="`epochs` must be at least 2, the current epoch of this training. Received",
        ):
            train_and_evaluate(dataclasses.replace(config, epochs=1), tmp_path / "parts", verbose=0)
    assert_same_end(config, whole, tmp_path / "parts")


@pytest.mark.parametrize("place", [(0, 1), (1, "validation")])
def test_ctrl_c_saves_and_leaves(config, whole, tmp_path, capfd, place):
    with pytest.raises(SystemExit) as exit:
        train_and_evaluate(
            config, tmp_path / "parts", callbacks=[At(*place, press_ctrl_c)], verbose=0
        )
    assert exit.value.code == 130
    step = STEPS if place[1] == "validation" else place[1]
    out, err = capfd.readouterr()
    assert (
        f"Stopped by Ctrl-C after step {step} of epoch {place[0] + 1}. Rerun the same command to "
        "resume" in out
    )
    assert "Press it again to end now" in err
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert_same_end(config, whole, tmp_path / "parts")


def test_a_second_ctrl_c_ends_at_once(config, whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(
            config, tmp_path / "parts", callbacks=[At(1, 2, press_ctrl_c_twice)], verbose=0
        )
    _, state = find_checkpoint(tmp_path / "parts")
    assert (state["epoch"], state["step"]) == (
        1,
        1,
    )  # nothing was saved after the step that was interrupted
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert_same_end(config, whole, tmp_path / "parts")


def test_ctrl_c_that_is_ignored_stays_ignored(config, tmp_path):
    before = signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # as a shell does for what runs in the background
    try:
        one = dataclasses.replace(config, epochs=1)
        results = train_and_evaluate(
            one, tmp_path / "run", callbacks=[At(0, 1, press_ctrl_c)], verbose=0
        )
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(results["history"]) == 1


def train_and_die(config, workdir, step, seconds):
    """Trains, and kills itself some time after a step, counted over all epochs.

    Args:
        config: path of a pickled `TrainingConfig`.
    """

    def die(model):
        if int(model.optimizer.iterations) >= int(step):
            threading.Timer(float(seconds), os.kill, (os.getpid(), signal.SIGKILL)).start()

    call = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: die(call.model))
    config = pickle.loads(Path(config).read_bytes())
    train_and_evaluate(config, workdir, callbacks=[call], verbose=0)


@pytest.mark.slow(20)
def test_kills_at_random_moments(config, whole, tmp_path):
    # With a checkpoint after every step, a good part of the time goes into writing them.
    code = f"import sys; from {__name__} import train_and_die; train_and_die(*sys.argv[1:])"
    (tmp_path / "config").write_bytes(pickle.dumps(config))
    moments = random.Random(0)
    killed = 0
    folders = 0
    while killed < KILLS:
        parts = tmp_path / str(folders)
        done = 0
        folders += 1
        while True:
            step = moments.randint(done + 1, 3 * STEPS + 2)
            seconds = moments.uniform(0, 0.25)
            arguments = (tmp_path / "config", parts, step, seconds)
            result = processes.run(["-c", code, *arguments])
            if result.returncode == 0:
                break
            assert result.returncode == -signal.SIGKILL, result.stderr
            killed += 1
            _, state = find_checkpoint(parts)
            assert state["epoch"] * STEPS + state["step"] >= max(done, step - 1)
            done = state["epoch"] * STEPS + state["step"]
        assert_same_end(config, whole, parts)
        assert not list(parts.rglob("partial*"))


def test_a_damaged_checkpoint(config, whole, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train_and_evaluate(config, tmp_path / "parts", callbacks=[At(2, 1, terminate)], verbose=0)
    last = tmp_path / "parts" / "last.keras"
    best = tmp_path / "parts" / "best.keras"
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2])
    _, state = find_checkpoint(tmp_path / "parts")
    assert state["step"] == 0
    assert 1 <= state["epoch"] <= 2
    assert f"Damaged: {last} (File is not a zip file)" in capsys.readouterr().out
    assert_same_end(config, whole, tmp_path / "parts")
    last.unlink()
    assert find_checkpoint(tmp_path / "parts")[0] == best
    assert f"{last} is missing. Resuming from {best}, after epoch" in capsys.readouterr().out
    for path in (last, best):
        path.write_bytes(b"")
    (tmp_path / "parts" / "results.json").unlink()
    with pytest.raises(
        ValueError,
        match=r"`workdir` must have a readable .*last.keras .* and .*best.keras .* new training",
    ):
        train_and_evaluate(config, tmp_path / "parts", verbose=0)


@pytest.mark.parametrize("state", ["", "3", "[1]"])
def test_a_checkpoint_whose_state_is_damaged(state, tmp_path):
    with zipfile.ZipFile(tmp_path / "last.keras", "w") as archive:
        archive.writestr("training.json", state)
    with pytest.raises(
        ValueError,
        match="`workdir` must have a readable checkpoint.*training.json in it is damaged",
    ):
        find_checkpoint(tmp_path)


def test_a_full_disk_leaves_the_last_checkpoint(config, whole, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(model):
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (50_000, hard)
        )  # a model has more than 100,000 bytes

    try:
        with pytest.raises(
            OSError,
            match=r"Cannot save the training in .*; .*last.keras, after step 1 of epoch 2, is",
        ):
            train_and_evaluate(config, tmp_path / "parts", callbacks=[At(1, 2, fill)], verbose=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "parts").glob("partial*"))
    assert_same_end(config, whole, tmp_path / "parts")


def test_what_a_callback_has_ended_stays_ended(config, tmp_path):
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", True)
    )
    first = train_and_evaluate(config, tmp_path / "run", callbacks=[stop], verbose=0)
    (tmp_path / "run" / "results.json").unlink()  # as if killed just before
    again = train_and_evaluate(config, tmp_path / "run", verbose=0)
    assert len(again["history"]) == 1
    assert again["errors"] == first["errors"]


def test_a_folder_that_cannot_be_written(config, tmp_path):
    (tmp_path / "file").write_text("mine")
    for workdir in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(
            ValueError, match="`workdir` must be a folder that can be written. Received: workdir="
        ):
            train_and_evaluate(config, workdir)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_loss_that_is_no_number(config, tmp_path):
    def spoil(model):
        model.layers[-1].bias.assign([np.nan] * 4)

    message = r"loss is nan at step 3 of epoch 2, with a learning rate of 0.02. Try a lower"
    with pytest.raises(FloatingPointError, match=message):
        train_and_evaluate(config, tmp_path / "run", callbacks=[At(1, 2, spoil)], verbose=0)
    path, state = find_checkpoint(tmp_path / "run")
    assert (state["epoch"], state["step"]) == (
        1,
        1,
    )  # step 2 would have saved weights that are no numbers
    assert all(np.isfinite(weight).all() for weight in keras.saving.load_model(path).get_weights())


def test_weights_that_are_nan_after_an_epoch_are_not_saved(config, tmp_path):
    def spoil(model):
        model.layers[-1].bias.assign([np.nan] * 4)

    rare = dataclasses.replace(config, validation_freq=2, checkpoint_minutes=5)
    message = f"Weights are NaN or infinite at step {STEPS} of epoch 1, with a learning rate"
    call = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batch == STEPS - 1 and spoil(call.model)
    )
    with pytest.raises(FloatingPointError, match=message) as end:
        train_and_evaluate(rare, tmp_path / "run", callbacks=[call], verbose=0)
    assert end.value.results["history"] == []
    assert find_checkpoint(tmp_path / "run")[0] is None


def test_a_strangers_model_runs_no_code(config, tmp_path):
    # A Lambda layer carries Python code in the file.
    inputs = keras.Input((32, 32, 3))
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "last.keras"
    keras.Model(
        inputs, keras.layers.Lambda(lambda x: x / 0, output_shape=(32, 32, 3))(inputs)
    ).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("training.json", "{}")
    with pytest.raises(ValueError, match="Lambda"):
        train_and_evaluate(config, tmp_path / "run", verbose=0)
    with pytest.raises(ValueError, match="Lambda"):
        AlexNet("cifar", classes=4, weights=path)


@pytest.mark.slow
def test_memory_does_not_grow(config, tmp_path):
    # 1,200 steps; between the 400th and the last nothing may be left behind by steps, epochs, saves
    # or logs.
    memory = {}

    def measure(epoch, logs):
        memory[epoch] = (
            int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        )

    long = dataclasses.replace(config, epochs=15, batch_size=1, checkpoint_minutes=5)
    call = keras.callbacks.LambdaCallback(on_epoch_end=measure)
    train_and_evaluate(long, tmp_path / "run", callbacks=[call], verbose=0)
    print(f"{(memory[14] - memory[4]) / 1e6:.1f} MB more")
    assert memory[14] - memory[4] < 15e6, memory
