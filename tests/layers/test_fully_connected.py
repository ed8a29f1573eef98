import keras
import numpy as np
import pytest

from alexnet_keras import AlexNet, FullyConnected
from tests.gradients import computed, gradients


@pytest.fixture
def problem(random):
    """Inputs (16, 30), kernel (30, 40), bias, and weights of the outputs."""
    shapes = [(16, 30), (30, 40), (40,), (16, 40)]
    return [random.normal(0, 1, shape).astype("float32") for shape in shapes]


def built(kernel, bias, **kwargs):
    layer = FullyConnected(kernel.shape[1], activation="relu", **kwargs)
    layer.build((None, kernel.shape[0]))
    layer.set_weights([kernel, bias])
    return layer


@pytest.mark.parametrize("training", [True, False])
def test_is_the_definition(problem, training):
    x, kernel, bias, weights = problem
    layer = built(kernel, bias)
    sums = x.astype(float) @ kernel + bias
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(layer(x, training=training)),
        np.maximum(sums, 0),
        rtol=1e-5,
        atol=1e-5,
    )

    def function(x, kernel, bias):
        outputs, _ = layer.stateless_call([kernel, bias], [], x, training=training)
        return keras.ops.multiply(outputs, weights)

    upstream = weights * (sums > 0)
    expected = upstream @ kernel.T, x.T @ upstream, upstream.sum(0)
    for ours, theirs in zip(gradients(function, x, kernel, bias), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_under_mixed_precision(problem):
    x, kernel, bias, _ = problem
    outputs = built(kernel, bias, dtype="mixed_bfloat16")(x, training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    outputs = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    # bfloat16 has 8 binary digits: each of 30 terms of about 1 is off by up to 2 ** -8, and so is
    # the sum.
    np.testing.assert_allclose(outputs, np.maximum(x @ kernel + bias, 0), rtol=2**-7, atol=0.1)


def test_every_shape_and_argument_of_dense(problem):
    x, kernel, bias, _ = problem
    three = np.stack([x, 2 * x])
    outputs = keras.ops.convert_to_numpy(built(kernel, bias)(three, training=True))
    np.testing.assert_allclose(outputs, np.maximum(three @ kernel + bias, 0), rtol=1e-5, atol=1e-5)
    layer = FullyConnected(40, use_bias=False, kernel_initializer=keras.initializers.Constant(0.5))
    outputs = keras.ops.convert_to_numpy(layer(x, training=True))
    np.testing.assert_allclose(
        outputs, np.tile(0.5 * x.sum(1, keepdims=True), 40), rtol=1e-5, atol=1e-5
    )


def test_keeps_its_config():
    layer = FullyConnected(3, activation="tanh", use_bias=False, name="fc6")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(copy) is FullyConnected
    assert copy.get_config() == layer.get_config()


def test_no_weights_are_transposed():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("an operation of TensorFlow's")
    import tensorflow as tf

    layer = FullyConnected(3)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(tf.ones((2, 5)), training=True))
    np.testing.assert_array_equal(
        tape.gradient(total, layer.trainable_weights[0]), np.full((5, 3), 2.0)
    )
    model = AlexNet("cifar", classes=10)

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(images, training=True))
        return tape.gradient(total, model.trainable_weights)

    graph = step.get_concrete_function(tf.zeros((4, *model.input_shape[1:]))).graph
    assert (
        len(graph.structured_outputs)
        == len([its for its in graph.structured_outputs if its is not None])
        == 16
    )
    products = [operation for operation in graph.get_operations() if operation.type == "MatMul"]
    sizes = [
        tuple(its.shape[0] == 4 for its in (*operation.inputs, *operation.outputs))
        for operation in products
    ]
    assert sizes.count((True, False, True)) == 3  # forward
    assert not [
        its for its in products if its.get_attr("transpose_b") and its.inputs[1].shape[0] != 4
    ]


def quantization_bound(x, kernel, error=0.0):
    """How far the outputs of an absmax quantized layer can be off, from its definition.

    Each number is a multiple of the largest one of its row (inputs) or column (kernel) divided by
    127, so it is off by at most half of that.

    Args:
        x: inputs of the layer without quantization.
        error: how far the inputs are off.
    """
    x, kernel = np.abs(x.astype(float)), np.abs(kernel.astype(float))
    error = np.broadcast_to(error, x.shape)
    of_inputs = error + (x + error).max(1, keepdims=True) / 254
    of_kernel = np.broadcast_to(kernel.max(0) / 254, kernel.shape)
    return (x + of_inputs) @ of_kernel + of_inputs @ kernel


def test_int8_weights_stay_within_the_bound_of_absmax(problem):
    x, kernel, bias, _ = problem
    layer = built(kernel, bias)
    exact = np.maximum(x.astype(float) @ kernel + bias, 0)
    layer.quantize("int8")
    assert keras.backend.standardize_dtype(layer._kernel.dtype) == "int8"
    np.testing.assert_allclose(layer.kernel_scale, 127 / np.abs(kernel).max(0), rtol=1e-4)
    error = np.abs(keras.ops.convert_to_numpy(layer(x)) - exact)
    bound = quantization_bound(x, kernel)
    assert (error <= bound + 1e-5).all()
    assert error.max() > 0
    assert bound.max() < np.ptp(exact) / 4  # which says something
    assert layer.choose_implementation(x.shape, training=False).name == "int8"


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")  # other layers
def test_quantized_networks_keep_it_in_files(tmp_path, random):
    options = {"filters": (8,) * 6, "units": (64, 64), "classifier_activation": None}
    model = AlexNet("cifar", classes=10, **options)
    images = random.normal(0, 60, (4, 32, 32, 3)).astype("float32")
    dense = [model.get_layer(name) for name in ("fc6", "fc7", "fc8")]
    exact = computed(model, images)
    error = 0.0
    for layer in dense:
        inputs = keras.Model(model.input, layer.input)(images)
        error = quantization_bound(
            keras.ops.convert_to_numpy(inputs), layer.get_weights()[0], error
        )
    model.quantize("int8")
    assert {keras.backend.standardize_dtype(layer._kernel.dtype) for layer in dense} == {"int8"}
    quantized = computed(model, images)
    assert np.abs(quantized - exact).max() > 0
    assert (np.abs(quantized - exact) <= error).all()
    model.save(tmp_path / "int8.keras")
    read = keras.saving.load_model(tmp_path / "int8.keras")
    assert keras.backend.standardize_dtype(read.get_layer("fc6")._kernel.dtype) == "int8"
    np.testing.assert_array_equal(computed(read, images), quantized)


def test_subclasses_with_another_call_are_not_quantized():
    class Twice(FullyConnected):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs, training)

    layer = Twice(40)
    layer.build((None, 30))
    with pytest.raises(RuntimeError, match="Twice does not have a `quantize` method"):
        layer.quantize("int8")
