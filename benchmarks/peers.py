"""The paper's network as other libraries have it, with the paper's update rule: what ours is compared with.

Each takes images less the mean, float32 `(batch, 224, 224, 3)` (PyTorch: `(batch, 3, 224, 224)`), has 60,965,224
parameters for 1000 classes, and normalizes across all maps of a layer. `training` and `inference` of each give a
function of a number of steps.
"""

import itertools

import keras
import numpy as np

LEARNING_RATE, MOMENTUM, DECAY = 0.01, 0.9, 0.0005
_NORMALIZATION = dict(depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)


class KerasPeer:
    """Keras' own layers: `Conv2D(groups=2)`, TensorFlow's normalization in a `Lambda`, SGD with L2."""

    def __init__(self, classes=1000, precision="float32"):
        import tensorflow as tf

        keras.config.set_dtype_policy({"bfloat16": "mixed_bfloat16"}.get(precision, precision))
        keras.config.set_image_data_format("channels_last")
        layers, l2 = keras.layers, keras.regularizers.L2(DECAY / 2)

        def conv(filters, size, groups=1, **kwargs):
            return layers.Conv2D(
                filters,
                size,
                groups=groups,
                activation="relu",
                kernel_regularizer=l2,
                bias_regularizer=l2,
                **kwargs,
            )

        def dense(units, **kwargs):
            return layers.Dense(units, kernel_regularizer=l2, bias_regularizer=l2, **kwargs)

        def normalization():
            def normalize(x):  # there is none in bfloat16
                return tf.cast(
                    tf.nn.local_response_normalization(tf.cast(x, "float32"), **_NORMALIZATION),
                    x.dtype,
                )

            return layers.Lambda(normalize)

        self.model = keras.Sequential(
            [
                keras.Input((224, 224, 3)),
                layers.ZeroPadding2D(((0, 3), (0, 3))),
                conv(96, 11, strides=4),
                normalization(),
                layers.MaxPooling2D(3, 2),
                conv(256, 5, groups=2, padding="same"),
                normalization(),
                layers.MaxPooling2D(3, 2),
                conv(384, 3, padding="same"),
                conv(384, 3, groups=2, padding="same"),
                conv(256, 3, groups=2, padding="same"),
                layers.MaxPooling2D(3, 2),
                layers.Flatten(),
                dense(4096, activation="relu"),
                layers.Dropout(0.5),
                dense(4096, activation="relu"),
                layers.Dropout(0.5),
                dense(classes, activation="softmax", dtype="float32"),
            ]
        )
        self.model.compile(
            keras.optimizers.SGD(LEARNING_RATE, MOMENTUM),
            "sparse_categorical_crossentropy",
            jit_compile=bool(tf.config.list_physical_devices("GPU")),  # on a CPU, XLA is slower
        )

    def training(self, images, labels):
        return fitting(self.model, images, labels)

    def inference(self, images):
        return predicting(self.model, images)


class TensorFlowPeer:
    """TensorFlow's operations in one `tf.function`: a native grouped convolution, or one for each group."""

    def __init__(self, classes=1000, precision="float32", split=False):
        import tensorflow as tf

        random = np.random.default_rng(0)
        shapes = [
            (11, 11, 3, 96),
            (5, 5, 48, 256),
            (3, 3, 256, 384),
            (3, 3, 192, 384),
            (3, 3, 192, 256),
        ]
        shapes += [(9216, 4096), (4096, 4096), (4096, classes)]
        self.kernels = [
            tf.Variable(random.normal(0, 0.02, shape).astype("float32")) for shape in shapes
        ]
        self.biases = [tf.Variable(tf.zeros(shape[-1])) for shape in shapes]
        self.variables = [*self.kernels, *self.biases]
        self.velocities = [tf.Variable(tf.zeros_like(variable)) for variable in self.variables]
        self.dtype, self.split = tf.dtypes.as_dtype(precision), split

    def __call__(self, images, training=False):
        import tensorflow as tf

        def conv(x, number, stride=1, padding="SAME", groups=1):
            kernel = tf.cast(self.kernels[number], self.dtype)
            if groups > 1 and self.split:
                parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
                x = tf.concat([tf.nn.conv2d(a, b, stride, padding) for a, b in parts], -1)
            else:
                x = tf.nn.conv2d(x, kernel, stride, padding)
            return tf.nn.relu(tf.nn.bias_add(x, tf.cast(self.biases[number], self.dtype)))

        def normalized(x):
            return tf.cast(
                tf.nn.local_response_normalization(tf.cast(x, tf.float32), **_NORMALIZATION),
                self.dtype,
            )

        def pool(x):
            return tf.nn.max_pool2d(x, 3, 2, "VALID")

        x = tf.pad(tf.cast(images, self.dtype), [(0, 0), (0, 3), (0, 3), (0, 0)])
        x = pool(normalized(conv(x, 0, 4, "VALID")))
        x = pool(normalized(conv(x, 1, groups=2)))
        x = pool(conv(conv(conv(x, 2), 3, groups=2), 4, groups=2))
        x = tf.reshape(x, (-1, 9216))
        for number in (5, 6):
            x = tf.matmul(x, tf.cast(self.kernels[number], self.dtype)) + tf.cast(
                self.biases[number], self.dtype
            )
            x = tf.nn.relu(x)
            x = tf.nn.dropout(x, 0.5) if training else x
        return tf.matmul(tf.cast(x, tf.float32), self.kernels[7]) + self.biases[7]

    def training(self, images, labels):
        import tensorflow as tf

        images, labels = tf.constant(images), tf.constant(labels)

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                logits = self(images, training=True)
                loss = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                )
            gradients = tape.gradient(loss, self.variables)
            for variable, velocity, gradient in zip(
                self.variables, self.velocities, gradients, strict=True
            ):
                velocity.assign(MOMENTUM * velocity - LEARNING_RATE * (gradient + DECAY * variable))
                variable.assign_add(velocity)
            return loss

        return lambda steps: [float(step()) for _ in range(steps)]

    def inference(self, images):
        import tensorflow as tf

        images, function = tf.constant(images), tf.function(self.__call__)
        return lambda steps: [function(images).numpy() for _ in range(steps)]


class PyTorchPeer:
    """PyTorch in channels_last, with autocast for bfloat16 and the fused update; `compiled` by `torch.compile`."""

    def __init__(self, classes=1000, precision="float32", compiled=False):
        import torch
        from torch import nn

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_float32_matmul_precision("high")  # TF32, where there is such a thing
        torch.backends.cudnn.benchmark = True

        def conv(*sizes, **kwargs):
            return [nn.Conv2d(*sizes, **kwargs), nn.ReLU(inplace=True)]

        def normalization():
            return nn.LocalResponseNorm(
                5, alpha=5e-4, beta=0.75, k=2.0
            )  # PyTorch divides alpha by 5

        self.module = nn.Sequential(
            nn.ZeroPad2d((0, 3, 0, 3)),
            *conv(3, 96, 11, stride=4),
            normalization(),
            nn.MaxPool2d(3, 2),
            *conv(96, 256, 5, padding=2, groups=2),
            normalization(),
            nn.MaxPool2d(3, 2),
            *conv(256, 384, 3, padding=1),
            *conv(384, 384, 3, padding=1, groups=2),
            *conv(384, 256, 3, padding=1, groups=2),
            nn.MaxPool2d(3, 2),
            nn.Flatten(),
            nn.Linear(9216, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )
        self.module = self.module.to(self.device, memory_format=torch.channels_last)
        mode = (
            "reduce-overhead" if self.device == "cuda" else None
        )  # CUDA graphs; max-autotune takes minutes
        self.call = torch.compile(self.module, mode=mode) if compiled else self.module
        self.precision = precision

    def _autocast(self):
        import torch

        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16")

    def training(self, images, labels):
        import torch

        images = self._on_device(images)
        labels = torch.from_numpy(labels.astype("int64")).to(self.device)
        optimizer = torch.optim.SGD(
            self.module.parameters(),
            LEARNING_RATE,
            momentum=MOMENTUM,
            weight_decay=DECAY,
            fused=True,
        )

        def run(steps):
            self.module.train()
            for _ in range(steps):
                # First, as CUDA graphs need it: the forward pass may then write where the gradients were.
                optimizer.zero_grad(set_to_none=True)
                with self._autocast():
                    loss = torch.nn.functional.cross_entropy(self.call(images), labels)
                loss.backward()
                optimizer.step()
            return float(loss), float(self.module[-1].bias[0])

        return run

    def inference(self, images):
        import torch

        images = self._on_device(images)

        def run(steps):
            self.module.eval()
            with torch.inference_mode(), self._autocast():
                return [self.call(images).float().cpu() for _ in range(steps)]

        return run

    def _on_device(self, images):
        import torch

        images = torch.from_numpy(images).permute(0, 3, 1, 2)
        return images.to(self.device, memory_format=torch.channels_last)


def fitting(model, images, labels):
    """A function of a number of steps that trains a compiled Keras model on one batch, as `fit` does."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        from alexnet_keras.data.loader import NOT_TUNED

        batches = tf.data.Dataset.from_tensors((tf.constant(images), tf.constant(labels))).repeat()
        batches = batches.with_options(NOT_TUNED)
    else:
        batch = keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(labels)
        batches = (batch for _ in itertools.count())

    def run(steps):
        model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)
        return np.asarray(model.weights[-1])  # which waits for the last update

    return run


def predicting(model, images):
    """A function of a number of steps that computes a Keras model's predictions of one batch."""
    images = keras.ops.convert_to_tensor(images)
    return lambda steps: [model.predict_on_batch(images) for _ in range(steps)]
