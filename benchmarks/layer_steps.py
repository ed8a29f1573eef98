"""Layers of the full-size network in several libraries, forward and backward.

Each class builds a layer, or the update of all weights, on random data. An instance is called with
a number of times to compute it, and returns when the device is done.
"""

from collections.abc import Callable

SHAPES = {  # of one image in a layer's input
    "conv1": (227, 227, 3),
    "conv2": (27, 27, 96),
    "conv3": (13, 13, 256),
    "conv4": (13, 13, 384),
    "conv5": (13, 13, 384),
    "norm1": (55, 55, 96),
    "norm2": (27, 27, 256),
    "pool1": (55, 55, 96),
    "pool2": (27, 27, 256),
    "pool5": (13, 13, 256),
    "fc6": (9216,),
    "fc7": (4096,),
    "fc8": (4096,),
}
KERNELS = {  # number, size and groups
    "conv1": (96, 11, 1),
    "conv2": (256, 5, 2),
    "conv3": (384, 3, 1),
    "conv4": (384, 3, 2),
    "conv5": (256, 3, 2),
}
UNITS = {"fc6": 4096, "fc7": 4096, "fc8": 1000}
UPDATE = "update of all weights"
# Weights with their biases, by layer.
PARAMETERS = (34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000)


def build_step(
    backend: str, name: str, batch_size: int, implementation: str, precision: str
) -> Callable[[int], float]:
    """Returns the instance for a layer of an implementation.

    Args:
        backend: `"tensorflow"`, `"jax"` or `"torch"`.
        name: name of the layer, or `UPDATE`.
        batch_size: images in a batch.
        implementation: a name of `benchmarks.layers.IMPLEMENTATIONS`.
        precision: `"float32"` or `"bfloat16"`, of the maps.
    """
    layer, update = {
        "tensorflow": (TensorFlowLayer, TensorFlowUpdate),
        "jax": (JaxLayer, JaxUpdate),
        "torch": (TorchLayer, TorchUpdate),
    }[backend]
    if name == UPDATE:
        return update(implementation)
    return layer(name, batch_size, implementation, precision)


class TensorFlowLayer:
    """A Keras layer, or TensorFlow's own normalization. For the arguments see `build_step`."""

    def __init__(self, name: str, batch_size: int, implementation: str, precision: str):
        import tensorflow as tf

        self._layer, self._options = _keras_layer(name, implementation)
        self._images = tf.cast(tf.random.normal((batch_size, *SHAPES[name])), precision)
        self._layer.build(self._images.shape)
        shape = self._layer(self._images).shape
        self._output_gradient = tf.cast(tf.random.normal(shape), precision)
        self._sources = [weight.value for weight in self._layer.trainable_weights]
        if name != "conv1":
            self._sources.append(self._images)
        self._step = tf.function(self._compute, autograph=False)

    def _compute(self):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(self._images)
            output = self._layer(self._images, **self._options)
        gradients = tape.gradient(output, self._sources, self._output_gradient)
        return output, *gradients  # the output too, or TensorFlow may skip it

    def __call__(self, times: int) -> float:
        import tensorflow as tf

        for _ in range(times):
            last = self._step()[-1]
        return float(tf.reshape(last, [-1])[0])  # waits for the last computation


class TensorFlowUpdate:
    """The update of all weights on TensorFlow."""

    def __init__(self, implementation: str):
        import tensorflow as tf

        self._optimizer, self._variables = _optimizer_and_variables(implementation)
        self._gradients = [
            tf.random.normal(variable.shape, stddev=1e-3) for variable in self._variables
        ]
        self._step = tf.function(self._update, autograph=False)

    def _update(self):
        pairs = zip(self._gradients, self._variables, strict=True)
        self._optimizer.apply_gradients(pairs)

    def __call__(self, times: int) -> float:
        for _ in range(times):
            self._step()
        return float(self._variables[-1].value[0])  # waits for the last update


class JaxLayer:
    """A Keras layer on JAX. For the arguments see `build_step`."""

    def __init__(self, name: str, batch_size: int, implementation: str, precision: str):
        import jax

        self._layer, self._options = _keras_layer(name, implementation)
        shape = (batch_size, *SHAPES[name])
        self._images = jax.random.normal(jax.random.key(0), shape, precision)
        self._layer.build(shape)
        shape = self._layer.compute_output_shape(shape)
        self._output_gradient = jax.random.normal(jax.random.key(1), shape, precision)
        self._weights = [weight.value for weight in self._layer.trainable_weights]
        self._has_input_gradient = name != "conv1"
        self._step = jax.jit(self._compute)

    def _compute(self, weights, images, output_gradient):
        import jax

        if self._has_input_gradient:
            output, gradient = jax.vjp(self._forward, weights, images)
        else:
            output, gradient = jax.vjp(lambda weights: self._forward(weights, images), weights)
        return output, gradient(output_gradient)

    def _forward(self, weights, images):
        import keras

        mapping = list(zip(self._layer.trainable_weights, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return self._layer(images, **self._options)

    def __call__(self, times: int) -> float:
        import jax

        for _ in range(times):
            last = self._step(self._weights, self._images, self._output_gradient)
        return float(jax.block_until_ready(last)[0].ravel()[0])


class JaxUpdate:
    """The update of all weights on JAX."""

    def __init__(self, implementation: str):
        import jax

        self._optimizer, variables = _optimizer_and_variables(implementation)
        self._gradients = [
            1e-3 * jax.random.normal(jax.random.key(0), variable.shape) for variable in variables
        ]
        self._optimizer_values = [variable.value for variable in self._optimizer.variables]
        self._values = [variable.value for variable in variables]
        self._step = jax.jit(self._update, donate_argnums=(0, 1))

    def _update(self, optimizer_values, values, gradients):
        return self._optimizer.stateless_apply(optimizer_values, gradients, values)

    def __call__(self, times: int) -> float:
        for _ in range(times):
            self._values, self._optimizer_values = self._step(
                self._optimizer_values, self._values, self._gradients
            )
        return float(self._values[-1][0])


class TorchLayer:
    """A PyTorch layer in channels_last, with autocast for bfloat16."""

    def __init__(self, name: str, batch_size: int, implementation: str, precision: str):
        import torch

        device = _torch_device()
        shape = SHAPES[name]
        layer = _torch_layer(name)
        images = torch.randn(batch_size, *(shape[-1:] + shape[:-1]), device=device)
        if len(shape) == 3:
            layer = layer.to(device, memory_format=torch.channels_last)
            images = images.contiguous(memory_format=torch.channels_last)
        self._layer = layer.to(device)
        self._images = images.to(getattr(torch, precision)).requires_grad_(name != "conv1")
        self._autocast = torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")
        with torch.no_grad(), self._autocast:
            self._output_gradient = torch.randn_like(self._layer(self._images))

    def __call__(self, times: int) -> float:
        for _ in range(times):
            self._layer.zero_grad(set_to_none=True)
            self._images.grad = None
            with self._autocast:
                output = self._layer(self._images)
            output.backward(self._output_gradient)
        gradient = self._images.grad
        if gradient is None:
            gradient = self._layer.weight.grad
        return float(gradient[(0,) * gradient.ndim])  # waits for the last computation


class TorchUpdate:
    """PyTorch's fused update of all weights."""

    def __init__(self, implementation: str):
        import torch

        device = _torch_device()
        self._weights = [
            torch.nn.Parameter(torch.zeros(count, device=device)) for count in PARAMETERS
        ]
        for weight in self._weights:
            weight.grad = torch.randn_like(weight) * 1e-3
        self._optimizer = torch.optim.SGD(
            self._weights, 0.01, momentum=0.9, weight_decay=0.0005, fused=True
        )

    def __call__(self, times: int) -> float:
        for _ in range(times):
            self._optimizer.step()
        return float(self._weights[0].detach()[0])  # waits for the last update


def _keras_layer(name, implementation):
    """A layer of alexnet_keras or Keras, and the options of its call."""
    import keras

    from alexnet_keras import layers

    is_keras = not implementation.startswith("alexnet_keras")
    kind = name.rstrip("0123456789")
    if kind == "conv":
        if is_keras:
            return keras.layers.Conv2D(**_conv_options(name)), {}
        return layers.GroupedConv2D(**_conv_options(name)), {"training": True}
    if kind == "norm":
        if implementation == "tensorflow":
            return _TensorFlowNormalization(), {}
        if implementation == "keras_jax":
            return keras.layers.Lambda(_normalize), {}
        return layers.LocalResponseNormalization(), {"training": True}
    if kind == "pool":
        if is_keras:
            return keras.layers.MaxPooling2D(3, 2, data_format="channels_last"), {}
        return layers.CeilingMaxPooling2D(), {}
    if is_keras:
        return keras.layers.Dense(UNITS[name]), {}
    return layers.FullyConnected(UNITS[name]), {"training": True}


def _conv_options(name):
    filters, size, groups = KERNELS[name]
    options = {
        "filters": filters,
        "kernel_size": size,
        "groups": groups,
        "padding": "same",
        "data_format": "channels_last",
    }
    if name == "conv1":
        options |= {"strides": 4, "padding": "valid"}
    return options


def _normalize(x):
    """Response normalization in `keras.ops`; Keras has no layer for it."""
    from keras import ops

    x32 = ops.cast(x, "float32")
    squares = ops.pad(ops.square(x32), [(0, 0)] * 3 + [(2, 2)])
    total = sum(squares[..., start : start + x.shape[-1]] for start in range(5))
    return ops.cast(x32 / (2.0 + 1e-4 * total) ** 0.75, x.dtype)


class _TensorFlowNormalization:
    trainable_weights = ()

    def build(self, shape):
        pass

    def __call__(self, images):
        import tensorflow as tf

        single = tf.cast(images, "float32")  # it has no kernel for bfloat16
        result = tf.nn.local_response_normalization(
            single, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75
        )
        return tf.cast(result, images.dtype)


def _optimizer_and_variables(implementation):
    """An optimizer for the full-size network, and the network's variables.

    In Keras' SGD the decay bypasses the momentum.
    """
    import keras

    from alexnet_keras import AlexNet, AlexNetSGD

    variables = AlexNet().trainable_variables
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.0005)
    if implementation.startswith("alexnet_keras"):
        optimizer = AlexNetSGD()
    optimizer.build(variables)
    return optimizer, variables


def _torch_device():
    """The device of PyTorch, after its settings for speed."""
    import torch

    torch.set_float32_matmul_precision("high")  # TF32, where the device has it
    torch.backends.cudnn.benchmark = True
    return "cuda" if torch.cuda.is_available() else "cpu"


def _torch_layer(name):
    from torch import nn

    kind = name.rstrip("0123456789")
    if kind == "conv":
        filters, size, groups = KERNELS[name]
        if name == "conv1":
            return nn.Conv2d(SHAPES[name][-1], filters, size, stride=4)
        return nn.Conv2d(SHAPES[name][-1], filters, size, padding=size // 2, groups=groups)
    if kind == "norm":
        return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)  # PyTorch divides alpha by 5
    if kind == "pool":
        return nn.MaxPool2d(3, 2)
    return nn.Linear(SHAPES[name][0], UNITS[name])
