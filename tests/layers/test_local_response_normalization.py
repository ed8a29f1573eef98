import functools

import keras
import numpy as np
import pytest

from alexnet_keras import LocalResponseNormalization
from tests.definitions import local_response_normalization as definition
from tests.gradients import differences, gradients


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 20])
@pytest.mark.parametrize("divide_alpha", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_is_the_definition(size, divide_alpha, groups, training, random):
    a = random.normal(0, 60, (2, 3, 4, 12)).astype("float32")
    layer = LocalResponseNormalization(size, divide_alpha=divide_alpha, groups=groups)
    expected = definition(a, size, divide_alpha=divide_alpha, groups=groups)
    out = keras.ops.convert_to_numpy(layer(a, training=training))
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("k", "alpha", "beta"), [(1.0, 1e-2, 0.5), (2.0, 0.1, 1.0), (0.5, 0.0, 0.75)]
)
def test_other_constants(k, alpha, beta, random):
    a = random.normal(0, 3, (1, 2, 2, 7)).astype("float32")
    layer = LocalResponseNormalization(k=k, alpha=alpha, beta=beta)
    expected = definition(a, k=k, alpha=alpha, beta=beta)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(a)), expected, rtol=1e-5)


def test_by_hand():
    # Maps 10, 20, 30 and size 3; the first sum is 100 + 400, the second 1400, the third 1300.
    a = np.array([[[[10.0, 20.0, 30.0]]]], "float32")
    out = keras.ops.convert_to_numpy(
        LocalResponseNormalization(3, k=1.0, alpha=0.01, beta=0.5)(a)
    ).ravel()
    np.testing.assert_allclose(out, [10 / 6**0.5, 20 / 15**0.5, 30 / 14**0.5], rtol=1e-6)


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize(
    "training", [True, False]
)  # with the denominators kept, and computed again
def test_gradient(size, groups, beta, training, random):
    a = random.normal(0, 2, (2, 1, 2, 8)).astype("float32")
    weights = random.normal(0, 1, a.shape).astype("float32")
    layer = LocalResponseNormalization(size, alpha=0.1, beta=beta, groups=groups)
    (ours,) = gradients(lambda x: keras.ops.multiply(layer(x, training=training), weights), a)
    numeric = differences(
        lambda x: definition(x, size, alpha=0.1, beta=beta, groups=groups) * weights, a
    )
    np.testing.assert_allclose(ours, numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_mixed_precision_is_float32_inside(training, mixed_bfloat16, random):
    a = random.normal(0, 60, (2, 3, 3, 16)).astype("float32")
    layer = LocalResponseNormalization()
    rounded = keras.ops.cast(a, "bfloat16")
    out = layer(rounded, training=training)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    exact = definition(keras.ops.convert_to_numpy(keras.ops.cast(rounded, "float32")))
    # Float32 inside leaves only the rounding of the output: half of 2**-7.
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(keras.ops.cast(out, "float32")), exact, rtol=2**-8
    )


def test_whole_numbers(random):
    a = random.randint(-60, 60, (1, 2, 2, 8))
    out = LocalResponseNormalization()(keras.ops.convert_to_tensor(a, "int32"))
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(out), definition(a.astype("float32")), rtol=1e-5
    )


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "training", [True, False]
)  # with the denominators kept, and computed again
def test_gradient_in_mixed_precision(groups, training, mixed_bfloat16, random):
    a = random.normal(0, 2, (2, 1, 2, 8)).astype("float32")
    a, weights = (
        keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(x, "bfloat16"), "float32"))
        for x in (a, random.normal(0, 1, a.shape).astype("float32"))
    )
    layer = LocalResponseNormalization(alpha=0.1, groups=groups)
    bfloat16 = functools.partial(keras.ops.cast, dtype="bfloat16")
    (ours,) = gradients(
        lambda x: keras.ops.multiply(layer(bfloat16(x), training=training), weights), a
    )
    numeric = differences(lambda x: definition(x, alpha=0.1, groups=groups) * weights, a)
    np.testing.assert_allclose(ours, numeric, rtol=2**-7, atol=2**-9)


def test_keeps_its_config():
    layer = LocalResponseNormalization(
        4, 1.0, 1e-3, 0.5, True, 2, name="norm1", dtype="mixed_bfloat16"
    )
    again = LocalResponseNormalization.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.size, again.k, again.alpha, again.beta, again.divide_alpha, again.groups) == (
        *(4, 1.0, 1e-3, 0.5),
        *(True, 2),
    )
    assert again.dtype_policy.name == "mixed_bfloat16"


def test_bad_arguments():
    with pytest.raises(
        ValueError, match="`size` must be a positive whole number. Received: size=0"
    ):
        LocalResponseNormalization(0)
    with pytest.raises(ValueError, match="`k` must be positive"):
        LocalResponseNormalization(k=0)
    with pytest.raises(ValueError, match="`groups` divides. Received: groups=5"):
        LocalResponseNormalization(groups=5)(np.ones((1, 2, 2, 12), "float32"))
