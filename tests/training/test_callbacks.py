import keras
import numpy as np
import pytest

from alexnet_keras.training.callbacks import ChanceLevel, DeterministicDropout, Throughput

# Of four classes: ln 4 is 1.386. Two epochs of 30 steps; the loss is below 1.286 from step 44 on.
LOSSES = np.array([2.0] * 43 + [1.0] * 17)


def go_through(callback, steps, start=0):
    """Tells a callback of steps; the loss is the mean since the start of epoch or process."""
    logs = {}
    for step in steps:
        epoch, number = divmod(step, 30)
        if number == 0 or step == start:
            callback.on_epoch_begin(epoch)
        # In the first step that a process makes, what was summed up before is not in it yet.
        first = step if step == start else epoch * 30
        callback.on_train_batch_end(number, {"loss": LOSSES[first : step + 1].mean()})
        if number == 29:
            callback.on_epoch_end(epoch, logs)
    return logs


def test_chance_level_when_ten_steps_are_below(capsys):
    callback = ChanceLevel(4)
    assert go_through(callback, range(30)) == {"left_chance_at_step": 0}
    # Steps 41 to 50: (3 * 2 + 7 * 1) / 10 = 1.3, not yet; 51 to 60: 1.
    assert go_through(callback, range(30, 60), start=30) == {"left_chance_at_step": 60}
    assert "The loss has fallen below chance level, 1.39, after 60 steps" in capsys.readouterr().out


@pytest.mark.parametrize("killed", [5, 29, 30, 31, 44, 50, 55])
def test_chance_level_after_going_on(killed):
    first = ChanceLevel(4, verbose=False)
    go_through(first, range(killed))
    second = ChanceLevel(4, killed % 30, first.state, verbose=False)
    assert go_through(second, range(killed, 60), start=killed) == {"left_chance_at_step": 60}


def test_a_loss_that_is_no_number_has_not_left():
    callback = ChanceLevel(4)
    callback.on_epoch_begin(0)
    for step in range(10):
        callback.on_train_batch_end(step, {"loss": float("nan")})
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs == {"left_chance_at_step": 0}


def test_chance_level_in_fit():
    # The softmax of (log(3 p / (1 - p)), 0, 0, 0) is p for the first class, whose loss is -log p.
    p = np.exp(-LOSSES)
    inputs = np.pad(np.log(3 * p / (1 - p))[:, None], ((0, 0), (0, 3)))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Softmax()])
    model.compile("sgd", "sparse_categorical_crossentropy")
    batches = ((x[None], np.zeros(1, int)) for x in inputs)
    callbacks = [ChanceLevel(4, verbose=False)]
    history = model.fit(
        batches, steps_per_epoch=30, epochs=2, callbacks=callbacks, verbose=0
    ).history
    assert history["left_chance_at_step"] == [0, 60]


# The types of Keras' state: on TensorFlow, JAX and PyTorch.
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("int64", 1000 * 20260101 + 1),
        ("uint32", (1000 * 20260101 + 1) % 2**32),
        ("int32", (1000 * 20260101 + 1) % 2**31),
    ],
)
def test_dropout_takes_large_seeds_in_the_type_of_its_state(dtype, expected):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    model.compile("sgd", "mse")
    generator = model.layers[1].seed_generator
    generator.state = keras.Variable([0, 0], dtype=dtype, trainable=False)
    callback = DeterministicDropout(20260101)
    callback.set_model(model)
    callback.on_train_begin()
    assert keras.ops.convert_to_numpy(generator.state).tolist() == [expected, 0]


@pytest.mark.parametrize("verbose", [0, 1])
def test_the_line_of_an_epoch_stands_alone(verbose, capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    throughput = Throughput(4, epochs=1, has_bar=verbose == 1)

    def set_error(epoch, logs):
        logs["top1_error"] = 50.0

    errors = keras.callbacks.LambdaCallback(on_epoch_end=set_error)
    model.fit(np.zeros((4, 2)), np.zeros(4), verbose=verbose, callbacks=[errors, throughput])
    lines = capsys.readouterr().out.splitlines()
    starts = [line for line in lines if line.startswith("Epoch 1 of 1: top-1 error 50.0%")]
    assert len(starts) == 1
    assert sum("Epoch 1 of 1" in line for line in lines) == 1
