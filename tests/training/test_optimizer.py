import keras
import numpy as np
import pytest

from alexnet_keras import AlexNetSGD, implementation


def run(optimizer, start, gradients):
    """Weights after each of several updates, of variables layer/kernel and layer/bias."""
    variables = []
    for path, value in start.items():
        layer, name = path.split("/")
        with keras.name_scope(layer):
            variables.append(keras.Variable(value, name=name))
    steps = []
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(step[path]) for path in start], variables)
        steps.append(
            {path: keras.ops.convert_to_numpy(v) for path, v in zip(start, variables, strict=True)}
        )
    return steps, variables


@pytest.fixture
def problem(random):
    paths = {"conv1/kernel": (2, 3), "conv1/bias": (3,), "fc8/kernel": (4,), "fc8/bias": (2,)}
    start = {path: random.normal(size=shape).astype("float32") for path, shape in paths.items()}
    gradients = [
        {p: random.normal(size=s).astype("float32") for p, s in paths.items()} for _ in range(6)
    ]
    return start, gradients


def definition(
    start,
    gradients,
    rate,
    decay,
    bias_rate=None,
    decay_biases=True,
    factors=None,
    momentum=0.9,
    decays=None,
):
    w = {path: value.astype("float64") for path, value in start.items()}
    v = {path: np.zeros_like(value) for path, value in w.items()}
    steps = []
    for step in gradients:
        for path in w:
            is_bias = path.endswith("bias")
            eps = bias_rate if is_bias and bias_rate is not None else rate
            eps *= (factors or {}).get(path.split("/")[0], 1.0)
            wc = (decays or {}).get(path.split("/")[0], decay)
            wc = wc if decay_biases or not is_bias else 0.0
            v[path] = momentum * v[path] - wc * eps * w[path] - eps * step[path]
            w[path] = w[path] + v[path]
        steps.append({path: value.copy() for path, value in w.items()})
    return steps


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decay_biases": False},
        {"bias_learning_rate": 0.2},
        {"bias_learning_rate": 0.2, "decay_biases": False, "layer_learning_rates": {"conv1": 0.1}},
        {"layer_learning_rates": {"fc8": 0.0}},
        {"layer_weight_decay": {"fc8": 0.1, "conv1": 0.0}},
        {"layer_weight_decay": {"fc8": 2.0}, "decay_biases": False},
        {"layer_weight_decay": {"fc8": 2.0}, "momentum": 0.0},
        {"momentum": 0.5},
        {"momentum": 0.0},
    ],
)
def test_is_the_rule_of_the_paper(problem, options):
    # A decay of 0.5 instead of 0.0005, so that the test would notice where it goes.
    ours, _ = run(AlexNetSGD(0.1, coupled_weight_decay=0.5, **options), *problem)
    translated = {
        "decay_biases": options.get("decay_biases", True),
        "bias_rate": options.get("bias_learning_rate"),
        "factors": options.get("layer_learning_rates"),
        "momentum": options.get("momentum", 0.9),
        "decays": options.get("layer_weight_decay"),
    }
    for o, e in zip(ours, definition(*problem, 0.1, 0.5, **translated), strict=True):
        for path in e:
            np.testing.assert_allclose(o[path], e[path], rtol=1e-5, atol=1e-6)


def test_by_hand():
    # v1 = -0.1 * (2 + 0.5 * 1) = -0.25, w1 = 0.75; v2 = 0.9 * v1 - 0.1 * (2 + 0.5 * 0.75) =
    # -0.4625, w2 = 0.2875.
    one = np.array([1.0], "float32")
    two = np.array([2.0], "float32")
    steps, _ = run(
        AlexNetSGD(0.1, coupled_weight_decay=0.5), {"fc8/kernel": one}, [{"fc8/kernel": two}] * 2
    )
    np.testing.assert_allclose(
        [float(s["fc8/kernel"][0]) for s in steps], [0.75, 0.2875], rtol=1e-6
    )


def test_is_another_rule_than_decoupled_decay(problem):
    ours, _ = run(AlexNetSGD(0.1, coupled_weight_decay=0.5), *problem)
    theirs, _ = run(keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.5), *problem)
    assert np.abs(ours[-1]["fc8/kernel"] - theirs[-1]["fc8/kernel"]).max() > 0.01


def test_bias_rate_stays_when_the_rate_is_lowered(problem):
    start, gradients = problem
    optimizer = AlexNetSGD(0.0, momentum=0.0, coupled_weight_decay=0.0, bias_learning_rate=0.02)
    steps, _ = run(optimizer, start, gradients[:1])
    np.testing.assert_array_equal(steps[0]["fc8/kernel"], start["fc8/kernel"])
    np.testing.assert_allclose(
        steps[0]["fc8/bias"], start["fc8/bias"] - 0.02 * gradients[0]["fc8/bias"], rtol=1e-5
    )


def test_layer_learning_rate_can_change(problem):
    start, gradients = problem
    optimizer = AlexNetSGD(0.1, momentum=0.0, layer_learning_rates={"conv1": 1.0})
    _, variables = run(optimizer, start, gradients[:1])
    before = keras.ops.convert_to_numpy(variables[0])
    optimizer.set_layer_learning_rate("conv1", 0.0)
    optimizer.apply([keras.ops.convert_to_tensor(gradients[1][path]) for path in start], variables)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(variables[0]), before)


def test_saves_and_loads_in_a_model(tmp_path, random):
    def build():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((5,)), keras.layers.Dense(4, name="conv1"), keras.layers.Dense(3)]
        )
        model.compile(
            AlexNetSGD(
                0.05,
                coupled_weight_decay=0.01,
                bias_learning_rate=0.1,
                layer_learning_rates={"conv1": 0.5},
                layer_weight_decay={"conv1": 0.2},
            ),
            "mse",
        )
        return model

    x, y = (
        random.normal(size=(8, 5)).astype("float32"),
        random.normal(size=(8, 3)).astype("float32"),
    )
    whole = build()
    for _ in range(6):
        whole.train_on_batch(x, y)
    first = build()
    for _ in range(3):
        first.train_on_batch(x, y)
    first.save(tmp_path / "model.keras")
    second = keras.saving.load_model(tmp_path / "model.keras")
    assert second.optimizer.get_config() == first.optimizer.get_config()
    for _ in range(3):
        second.train_on_batch(x, y)
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_arguments(problem):
    with pytest.raises(
        ValueError, match="`coupled_weight_decay` must not be negative. Received: .*=-1"
    ):
        AlexNetSGD(coupled_weight_decay=-1)
    with pytest.raises(ValueError, match="`learning_rate` must not be negative. Received: .*=-1"):
        AlexNetSGD(-1.0)
    with pytest.raises(
        ValueError,
        match="must name layers of the model. Received: 'conv9'; the model has conv1, fc8",
    ):
        run(AlexNetSGD(layer_learning_rates={"conv9": 1.0}), *problem)
    with pytest.raises(
        ValueError, match="`layer_weight_decay` must name layers of .*: 'conv9'; the"
    ):
        run(AlexNetSGD(layer_weight_decay={"conv9": 1.0}), *problem)
    for argument in ("layer_learning_rates", "layer_weight_decay"):
        message = f"`{argument}` must not be negative. Received: {argument}={{'fc8': -1}}"
        with pytest.raises(ValueError, match=message):
            AlexNetSGD(**{argument: {"fc8": -1}})
    with pytest.raises(ValueError, match="`layer` must be one of"):
        AlexNetSGD().set_layer_learning_rate("conv1", 0.1)


@pytest.mark.parametrize("decay_biases", [True, False])
def test_decoupled_decay_spares_biases_as_the_other_does(problem, decay_biases):
    start, gradients = problem
    zeros = [{path: np.zeros_like(value) for path, value in gradients[0].items()}]
    optimizer = AlexNetSGD(
        0.1, 0.9, coupled_weight_decay=0.0, decay_biases=decay_biases, weight_decay=0.5
    )
    steps, _ = run(optimizer, start, zeros)
    for path, value in start.items():
        left = 1.0 if path.endswith("bias") and not decay_biases else 1 - 0.1 * 0.5
        np.testing.assert_allclose(steps[0][path], left * value, rtol=1e-6)


def test_decoupled_decay_is_at_the_rate_of_the_layer(problem):
    start, gradients = problem
    zeros = [{path: np.zeros_like(value) for path, value in gradients[0].items()}]
    frozen, *others = dict.fromkeys(path.split("/")[-2] for path in start)
    optimizer = AlexNetSGD(
        0.1,
        0.9,
        coupled_weight_decay=0.0,
        weight_decay=0.5,
        layer_learning_rates={frozen: 0.0, others[0]: 4.0},
    )
    steps, _ = run(optimizer, start, zeros)
    for path, value in start.items():
        factor = {frozen: 0.0, others[0]: 4.0}.get(path.split("/")[-2], 1.0)
        np.testing.assert_allclose(steps[0][path], (1 - 0.1 * 0.5 * factor) * value, rtol=1e-6)


@pytest.mark.parametrize("name", ["reference", None])
def test_every_implementation_of_the_update(name, problem):
    start, gradients = problem
    with implementation(name):
        steps, _ = run(AlexNetSGD(0.1, coupled_weight_decay=0.2), start, gradients)
    for step, expected in zip(steps, definition(start, gradients, 0.1, 0.2), strict=True):
        for path, value in expected.items():
            np.testing.assert_allclose(step[path], value, rtol=1e-5, atol=1e-6)
