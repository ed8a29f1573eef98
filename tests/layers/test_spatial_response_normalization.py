import keras
import numpy as np
import pytest

from alexnet_keras import SpatialResponseNormalization
from tests.definitions import spatial_response_normalization as definition
from tests.gradients import differences, gradients


@pytest.mark.parametrize("size", [1, 4, 5])
@pytest.mark.parametrize("training", [True, False])
def test_is_the_definition(size, training, random):
    a = random.normal(0, 60, (2, 7, 6, 3)).astype("float32")
    out = keras.ops.convert_to_numpy(SpatialResponseNormalization(size)(a, training=training))
    np.testing.assert_allclose(out, definition(a, size), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize(
    "training", [True, False]
)  # with the denominators kept, and computed again
def test_gradient(size, beta, training, random):
    a = random.normal(0, 2, (1, 4, 3, 2)).astype("float32")
    weights = random.normal(0, 1, a.shape).astype("float32")
    layer = SpatialResponseNormalization(size, alpha=0.5, beta=beta)
    (ours,) = gradients(lambda x: keras.ops.multiply(layer(x, training=training), weights), a)
    numeric = differences(lambda x: definition(x, size, alpha=0.5, beta=beta) * weights, a)
    np.testing.assert_allclose(ours, numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_mixed_precision(training, mixed_bfloat16, random):
    a, weights = (
        keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(x, "bfloat16"), "float32"))
        for x in (random.normal(0, 2, (1, 4, 3, 2)), random.normal(0, 1, (1, 4, 3, 2)))
    )
    layer = SpatialResponseNormalization(3, alpha=0.5)

    def weighted(x):
        return keras.ops.multiply(layer(keras.ops.cast(x, "bfloat16"), training=training), weights)

    out = keras.ops.convert_to_numpy(keras.ops.cast(layer(a, training=training), "float32"))
    np.testing.assert_allclose(
        out, definition(a, 3, alpha=0.5), rtol=2**-8
    )  # only the rounding of the output
    (ours,) = gradients(weighted, a)
    numeric = differences(lambda x: definition(x, 3, alpha=0.5) * weights, a)
    np.testing.assert_allclose(ours, numeric, rtol=2**-7, atol=2**-9)


def test_keeps_its_config_and_refuses_bad_arguments():
    layer = SpatialResponseNormalization(3, 2.0, 0.1, 0.5, name="spatial")
    assert (
        SpatialResponseNormalization.from_config(layer.get_config()).get_config()
        == layer.get_config()
    )
    with pytest.raises(ValueError, match="Received: size=-1"):
        SpatialResponseNormalization(-1)
    with pytest.raises(
        ValueError, match="'spatial' must have a known height and width. Received: input shape="
    ):
        layer(keras.Input((None, 7, 3)))
