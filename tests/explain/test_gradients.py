import keras
import numpy as np
import pytest
from keras import ops

from alexnet_keras.explain import gradient
from tests.gradients import differences


def test_agrees_with_finite_differences(random):
    matrix = random.normal(0, 1, (4, 5))
    x = random.normal(0, 1, (3, 4))

    def definition(x):
        y = np.tanh(x @ matrix)
        return np.log(1 + np.exp(y)) * y

    def function(x):
        y = ops.tanh(ops.matmul(x, ops.convert_to_tensor(matrix.astype("float32"))))
        return ops.softplus(y) * y

    got = gradient(function, x.astype("float32"))
    assert isinstance(got, np.ndarray)
    np.testing.assert_allclose(got, differences(definition, x), rtol=1e-4, atol=1e-5)


def test_a_function_of_other_values_has_a_gradient_of_zeros():
    x = np.float32([1, 3])
    np.testing.assert_array_equal(gradient(ops.zeros_like, x), [0, 0])


def test_leaves_no_gradients_in_the_weights(random):
    # PyTorch would add them up from call to call.
    layer = keras.layers.Dense(2)
    x = random.normal(0, 1, (3, 4)).astype("float32")
    got = gradient(layer, x)
    np.testing.assert_allclose(got, np.tile(np.sum(layer.get_weights()[0], 1), (3, 1)), rtol=1e-5)
    for weight in layer.weights:
        assert getattr(weight.value, "grad", None) is None


def test_a_backend_without_gradients(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    with pytest.raises(
        ValueError, match="must be one of tensorflow, jax, torch. Received: openvino"
    ):
        gradient(ops.square, np.ones(3, "float32"))
