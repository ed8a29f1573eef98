"""What layers compute on a GPU with JAX, computed on a CPU."""

import keras
import numpy as np
import pytest

from alexnet_keras import (
    AlexNet,
    CeilingMaxPooling2D,
    GroupedConv2D,
    LocalResponseNormalization,
    SpatialResponseNormalization,
    distribution,
)
from alexnet_keras.layers import ceiling_max_pooling2d, grouped_conv2d
from tests.gradients import differences, gradients
from tests.layers import test_ceiling_max_pooling2d as pooling
from tests.layers import test_grouped_conv2d as convolution
from tests.layers import test_local_response_normalization as normalization
from tests.layers import test_spatial_response_normalization as spatial

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend")


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(distribution, "has_accelerator", lambda: True)


@pytest.mark.parametrize("size", [(7, 7), (8, 7)])
def test_pooling(size, monkeypatch, random):
    used = []

    def max_pooling(*args):
        used.append(args)
        return plain(*args)

    plain = ceiling_max_pooling2d.max_pooling
    monkeypatch.setattr(ceiling_max_pooling2d, "max_pooling", max_pooling)
    pooling.test_is_the_definition(size, 3, 2, random)
    pooling.test_gradient(size, 3, 2, random)
    assert used


@pytest.mark.parametrize(("size", "kernel", "stride"), [((11, 11), 7, 4), ((12, 10), 5, 3), ((8, 9), 3, 2)])
def test_convolution_with_a_stride(size, kernel, stride, monkeypatch, random):
    used = []
    plain = grouped_conv2d.convolution_of_blocks
    monkeypatch.setattr(grouped_conv2d, "convolution_of_blocks", lambda *args: used.append(args) or plain(*args))
    x = random.normal(size=(2, *size, 3)).astype("float32")
    w, b = (random.normal(size=shape).astype("float32") for shape in ((kernel, kernel, 3, 4), (4,)))
    layer = GroupedConv2D(4, kernel, strides=stride)
    layer.build(x.shape)
    layer.set_weights([w, b])
    expected = convolution.definition(x, w, b, stride, 1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, rtol=1e-4, atol=1e-5)
    upstream = random.normal(size=expected.shape).astype("float32")
    ours = gradients(lambda *xwb: keras.ops.multiply(convolution.applied(layer, *xwb), upstream), x, w, b)
    numeric = (
        differences(lambda x: convolution.definition(x, w, b, stride, 1) * upstream, x),
        differences(lambda w: convolution.definition(x, w, b, stride, 1) * upstream, w),
    )
    for mine, theirs in zip(ours[:2], numeric, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    assert used


def stored(layer, x):
    """How often XLA is told to write tensors to memory in the layer's output and gradient."""
    import jax

    def function(x):
        return keras.ops.sum(layer(x, training=True))

    return str(jax.make_jaxpr(jax.grad(function))(x)).count("optimization_barrier")


@pytest.mark.parametrize("groups", [1, 2])
def test_normalization(groups, random):
    assert stored(LocalResponseNormalization(groups=groups), np.ones((1, 2, 2, 8), "float32")) == 2
    normalization.test_is_the_definition(5, True, groups, True, random)
    normalization.test_gradient(5, groups, 0.75, True, random)
    normalization.test_gradient(4, groups, 0.6, True, random)


def test_normalization_in_mixed_precision(mixed_bfloat16, random):
    normalization.test_mixed_precision_is_float32_inside(True, None, random)
    normalization.test_gradient_in_mixed_precision(1, True, None, random)


def test_spatial_normalization(mixed_bfloat16, random):
    layer, x = SpatialResponseNormalization(), random.normal(0, 60, (1, 6, 5, 3)).astype("float32")
    assert stored(layer, x) == 2
    for dtype, tolerance in (("float32", 1e-5), ("bfloat16", 2**-7)):
        x = keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(x, dtype), "float32"))

        def function(x, dtype=dtype):
            layer = SpatialResponseNormalization(dtype=dtype)
            return keras.ops.cast(layer(keras.ops.cast(x, dtype), training=True), "float32")

        expected = spatial.definition(x)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(function(x)), expected, rtol=tolerance, atol=tolerance)
        (ours,) = gradients(function, x)
        np.testing.assert_allclose(ours, differences(spatial.definition, x, 1e-3), rtol=2 * tolerance, atol=tolerance)


def test_a_training_step_is_that_of_the_cpu(monkeypatch, random):
    """The same weights after two steps, of a network with everything that differs."""
    images, labels = random.normal(0, 60, (4, 64, 64, 3)).astype("float32"), np.arange(4)
    after = []
    for gpu in (True, False):
        monkeypatch.setattr(distribution, "has_accelerator", lambda gpu=gpu: gpu)
        keras.utils.set_random_seed(0)
        model = AlexNet("small", classes=4, filters=(8,) * 6, units=(16, 16), dropout=0.0)
        assert {type(layer) for layer in model.layers} > {
            *(CeilingMaxPooling2D, GroupedConv2D, LocalResponseNormalization)
        }
        model.compile(keras.optimizers.SGD(0.001, 0.9), "sparse_categorical_crossentropy")
        before = model.get_weights()
        for _ in range(2):
            model.train_on_batch(images, labels)
        after.append([new - old for new, old in zip(model.get_weights(), before, strict=True)])
    for gpu, cpu in zip(*after, strict=True):
        assert np.abs(cpu).max() > 0
        np.testing.assert_allclose(gpu, cpu, rtol=1e-3, atol=1e-3 * np.abs(cpu).max())
