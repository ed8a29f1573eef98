"""Networks in Keras, TensorFlow and PyTorch, with the paper's update rule.

Each network takes images minus their mean, float32 `(batch, height, width, 3)`. TensorFlow's is the
full-size network only, with 60,965,224 parameters for 1000 classes, and normalizes across all maps
of a layer. The methods `training` and `inference` return functions of a number of steps.
"""

import functools
import itertools
from collections.abc import Callable, Iterable

import keras
import numpy as np

from alexnet_keras.models.alexnet_config import AlexNetConfig
from benchmarks.harness import PRECISIONS

LEARNING_RATE = 0.01
MOMENTUM = 0.9
DECAY = 0.0005
_NORMALIZATION = dict(depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)

Run = Callable[[int], object]


class KerasAlexNet:
    """A network of Keras' own layers, `benchmarks.keras_networks`, and SGD with L2.

    Args:
        config: configuration of the network.
        classes: number of classes.
        precision: `"float32"` or `"bfloat16"`.

    Raises:
        ValueError: for a configuration with a layer that Keras lacks.
    """

    def __init__(self, config: AlexNetConfig, classes: int = 1000, precision: str = "float32"):
        import tensorflow as tf

        from benchmarks.keras_networks import keras_network

        keras.config.set_dtype_policy(PRECISIONS[precision])
        self.model = keras_network(config, classes, decay=DECAY / 2)
        self.model.compile(
            keras.optimizers.SGD(LEARNING_RATE, MOMENTUM),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=bool(tf.config.list_physical_devices("GPU")),  # on a CPU, XLA is slower
        )

    def training(self, images: np.ndarray, labels: np.ndarray) -> Run:
        return KerasTraining(self.model, repeated_batch(images, labels))

    def inference(self, images: np.ndarray) -> Run:
        return KerasInference(self.model, images)


def _normalize(x):
    """TensorFlow's response normalization, which has no kernel for bfloat16."""
    import tensorflow as tf

    normalized = tf.nn.local_response_normalization(tf.cast(x, "float32"), **_NORMALIZATION)
    return tf.cast(normalized, x.dtype)


class TensorFlowAlexNet:
    """The full-size network of TensorFlow's operations in one `tf.function`.

    Args:
        classes: number of classes.
        precision: `"float32"` or `"bfloat16"`.
        split: whether a grouped convolution is one convolution per group, and not TensorFlow's own.
        units: units of fc6 and fc7.
    """

    def __init__(
        self,
        classes: int = 1000,
        precision: str = "float32",
        split: bool = False,
        units: tuple[int, int] = (4096, 4096),
    ):
        import tensorflow as tf

        random = np.random.default_rng(0)
        shapes = [
            (11, 11, 3, 96),
            (5, 5, 48, 256),
            (3, 3, 256, 384),
            (3, 3, 192, 384),
            (3, 3, 192, 256),
            (9216, units[0]),
            units,
            (units[1], classes),
        ]
        self.kernels = [
            tf.Variable(random.normal(0, 0.02, shape).astype("float32")) for shape in shapes
        ]
        self.biases = [tf.Variable(tf.zeros(shape[-1])) for shape in shapes]
        self.variables = [*self.kernels, *self.biases]
        self.velocities = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]
        self.dtype = tf.dtypes.as_dtype(precision)
        self.split = split

    def __call__(self, images, training: bool = False):
        """Returns the logits, float32 `(batch, classes)`."""
        import tensorflow as tf

        x = tf.pad(tf.cast(images, self.dtype), [(0, 0), (0, 3), (0, 3), (0, 0)])
        x = _pool(_normalize(self._conv(x, 0, 4, "VALID")))
        x = _pool(_normalize(self._conv(x, 1, groups=2)))
        x = self._conv(x, 2)
        x = self._conv(x, 3, groups=2)
        x = _pool(self._conv(x, 4, groups=2))
        x = tf.reshape(x, (-1, 9216))
        for number in (5, 6):
            x = tf.matmul(x, tf.cast(self.kernels[number], self.dtype))
            x = tf.nn.relu(x + tf.cast(self.biases[number], self.dtype))
            x = tf.nn.dropout(x, 0.5) if training else x
        return tf.matmul(tf.cast(x, tf.float32), self.kernels[7]) + self.biases[7]

    def _conv(self, x, number, stride=1, padding="SAME", groups=1):
        import tensorflow as tf

        kernel = tf.cast(self.kernels[number], self.dtype)
        if groups > 1 and self.split:
            pairs = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
            x = tf.concat([tf.nn.conv2d(*pair, stride, padding) for pair in pairs], -1)
        else:
            x = tf.nn.conv2d(x, kernel, stride, padding)
        return tf.nn.relu(tf.nn.bias_add(x, tf.cast(self.biases[number], self.dtype)))

    def training(self, images: np.ndarray, labels: np.ndarray) -> Run:
        import tensorflow as tf

        images = tf.constant(images)
        labels = tf.constant(labels)
        step = tf.function(lambda: self._train(images, labels), autograph=False)
        return lambda steps: [float(step()) for _ in range(steps)]

    def _train(self, images, labels):
        """One step of the paper's update rule; returns the loss."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, self.variables)
        updates = zip(self.variables, self.velocities, gradients, strict=True)
        for variable, velocity, gradient in updates:
            velocity.assign(MOMENTUM * velocity - LEARNING_RATE * (gradient + DECAY * variable))
            variable.assign_add(velocity)
        return loss

    def inference(self, images: np.ndarray) -> Run:
        import tensorflow as tf

        images = tf.constant(images)
        function = tf.function(self.__call__)
        return lambda steps: [function(images).numpy() for _ in range(steps)]


def _pool(x):
    import tensorflow as tf

    return tf.nn.max_pool2d(x, 3, 2, "VALID")


class PyTorchAlexNet:
    """PyTorch in channels_last, with autocast for bfloat16 and the fused update.

    The network is from `benchmarks.torch_networks`.

    Args:
        config: configuration of the network.
        classes: number of classes.
        precision: `"float32"` or `"bfloat16"`.
        compiled: whether `torch.compile` compiles it.
    """

    def __init__(
        self,
        config: AlexNetConfig,
        classes: int = 1000,
        precision: str = "float32",
        compiled: bool = False,
    ):
        import torch

        from benchmarks.torch_networks import torch_network

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_float32_matmul_precision("high")  # TF32, where the device has it
        torch.backends.cudnn.benchmark = True
        self.module = torch_network(config, classes)
        self.module.to(self.device, memory_format=torch.channels_last)
        self.call = self.module
        if compiled:
            # On a GPU with CUDA graphs, but without the long search of max-autotune.
            mode = "reduce-overhead" if self.device == "cuda" else None
            self.call = torch.compile(self.module, mode=mode)
        self.precision = precision

    def _autocast(self):
        import torch

        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16")

    def training(self, images: np.ndarray, labels: np.ndarray) -> Run:
        import torch

        optimizer = torch.optim.SGD(
            self.module.parameters(),
            LEARNING_RATE,
            momentum=MOMENTUM,
            weight_decay=DECAY,
            fused=True,
        )
        images = self._on_device(images)
        labels = torch.from_numpy(labels.astype("int64")).to(self.device)
        return functools.partial(self._train, images, labels, optimizer)

    def _train(self, images, labels, optimizer, steps):
        import torch

        self.module.train()
        for _ in range(steps):
            # First, as CUDA graphs may write the outputs where the gradients were.
            optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                loss = torch.nn.functional.cross_entropy(self.call(images), labels)
            loss.backward()
            optimizer.step()
        return loss.item(), self.module[-1].bias[0].item()  # waits for the last step

    def inference(self, images: np.ndarray) -> Run:
        return functools.partial(self._predict, self._on_device(images))

    def _predict(self, images, steps):
        import torch

        self.module.eval()
        with torch.inference_mode(), self._autocast():
            return [self.call(images).float().cpu() for _ in range(steps)]

    def _on_device(self, images):
        import torch

        images = torch.from_numpy(images).permute(0, 3, 1, 2)
        return images.to(self.device, memory_format=torch.channels_last)


def repeated_batch(images: np.ndarray, labels: np.ndarray) -> Iterable:
    """Returns one batch again and again, in the memory of the Keras backend."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        from alexnet_keras.data.loader import NOT_TUNED

        batch = (tf.constant(images), tf.constant(labels))
        return tf.data.Dataset.from_tensors(batch).repeat().with_options(NOT_TUNED)
    batch = (keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(labels))
    return (batch for _ in itertools.count())  # a generator, as `fit` takes no other iterator


class KerasTraining:
    """Trains a compiled Keras model by `fit`, a given number of steps each call.

    Args:
        model: the model.
        batches: endless batches of images and labels.
    """

    def __init__(self, model: keras.Model, batches: Iterable):
        self._model = model
        self._batches = batches

    def __call__(self, steps: int) -> np.ndarray:
        self._model.fit(self._batches, steps_per_epoch=steps, shuffle=False, verbose=0)
        return np.asarray(self._model.weights[-1])  # waits for the last update


class KerasInference:
    """Computes a Keras model's predictions of one batch, a given number of times each call.

    Args:
        model: the model.
        images: the batch.
    """

    def __init__(self, model: keras.Model, images: np.ndarray):
        self._model = model
        self._images = keras.ops.convert_to_tensor(images)

    def __call__(self, steps: int) -> list[np.ndarray]:
        return [self._model.predict_on_batch(self._images) for _ in range(steps)]
