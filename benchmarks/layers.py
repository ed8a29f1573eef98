"""The real network's layers one by one, forward and backward, in milliseconds: ours beside those of other libraries.

    python -m benchmarks.layers
    KERAS_BACKEND=jax python -m benchmarks.layers --ways ours_jax keras_jax pytorch --precision bfloat16 \
        --batch-size 512 --limit-backend jax        # a GPU without TensorFlow

Each way computes the output of a layer, the gradient of its weights and that of its input (of conv1, whose input is the
image, the weights' alone), and then the update of all 60,965,224 weights (in Keras' SGD the decay bypasses the
momentum). The limit of a layer with weights is the time that a 4096-cube matrix product needs for as many operations
as its definition has, of which Winograd's method saves most; that of the others, and of the update, is the time to read
and write each of their tensors once at the memory bandwidth. Both are measured in the same turns.

Writes layers.json, layers.md (the table) and layers.png into --workdir; some 8 minutes on two cores.
"""

import functools

from benchmarks import turns

WAYS = {
    "ours": "tensorflow",
    "tensorflow": "tensorflow",
    "pytorch": "torch",
    "ours_jax": "jax",
    "keras_jax": "jax",
}
NAMES = {
    "ours": "ours",
    "tensorflow": "TensorFlow and Keras",
    "pytorch": "PyTorch",
    "ours_jax": "ours, JAX",
    "keras_jax": "Keras, JAX",
}
_USUAL = ["ours", "tensorflow", "pytorch"]
# Layers by name: the shape of an image of their input.
SHAPES = {
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
KERNELS = {
    "conv1": (96, 11, 1),
    "conv2": (256, 5, 2),
    "conv3": (384, 3, 1),
    "conv4": (384, 3, 2),
    "conv5": (256, 3, 2),
}
UNITS = {"fc6": 4096, "fc7": 4096, "fc8": 1000}
UPDATE = "update of all weights"


def main(arguments=None):
    parser = turns.parser("layers", __doc__)
    parser.add_argument("--batch-size", type=int, default=128, help="images (default: 128)")
    parser.add_argument(
        "--ways", nargs="+", choices=list(WAYS), default=_USUAL, help=f"({' '.join(_USUAL)})"
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        choices=[*SHAPES, UPDATE],
        default=[*SHAPES, UPDATE],
        help="only these",
    )
    parser.add_argument(
        "--precision", choices=list(turns.PRECISIONS), default="float32", help="(float32)"
    )
    parser.add_argument(
        "--limit-backend",
        choices=("tensorflow", "jax"),
        default="tensorflow",
        help="measures the limit (tensorflow)",
    )
    options = turns.parse(parser, arguments, ("batch_size",))
    if options.work:
        return _work(options)
    needs = {way: WAYS[way] for way in options.ways}
    turns.check_installed(
        parser, {**needs, f"--limit-backend {options.limit_backend}": options.limit_backend}
    )
    measured = turns.take_turns(
        "layers",
        {way: turns.environment(WAYS[way]) for way in options.ways}
        | {"limit": turns.environment(options.limit_backend)},
        turns.as_arguments(options),
        options.rounds,
    )
    device = measured["limit"]["words"]
    results = {
        "device": device,
        "batch_size": options.batch_size,
        "precision": options.precision,
        "layers": options.layers,
        "ways": measured,
    }
    stored = turns.record("layers", options, results)
    turns.store("layers", options.workdir, stored, table(stored), plot(stored))
    return stored


def _work(options):
    if options.work == "limit":
        from benchmarks import limits

        return turns.work(limits.device_words(), limits.machine(options.precision, options.seconds))
    if options.work != "pytorch":
        import keras

        keras.config.set_dtype_policy(turns.PRECISIONS[options.precision])
    build = {"torch": _pytorch, "tensorflow": _tensorflow, "jax": _jax}[WAYS[options.work]]
    share = options.seconds / len(options.layers)
    steps = {
        name: build(name, options.batch_size, options.work, options.precision)
        for name in options.layers
    }
    rates = {name: turns.rate(step, share) for name, step in steps.items()}
    turns.work(NAMES[options.work], lambda: {name: 1000 / rate() for name, rate in rates.items()})


def _layer(name, way):
    """A layer, ours or Keras' own, and the arguments of its call."""
    import keras

    from alexnet_keras.layers import (
        CeilingMaxPooling2D,
        FullyConnected,
        GroupedConv2D,
        LocalResponseNormalization,
    )

    ours, kind = way.startswith("ours"), name.rstrip("0123456789")
    maps_last = {"data_format": "channels_last"}
    if kind == "conv":
        filters, size, groups = KERNELS[name]
        padding, stride = ("valid", 4) if name == "conv1" else ("same", 1)
        cls = GroupedConv2D if ours else keras.layers.Conv2D
        layer = cls(filters, size, strides=stride, padding=padding, groups=groups, **maps_last)
    elif kind == "norm":
        theirs = {"tensorflow": _TensorFlowNormalization, "keras_jax": _formula}
        layer = theirs.get(way, LocalResponseNormalization)()
    elif kind == "pool":
        layer = CeilingMaxPooling2D() if ours else keras.layers.MaxPooling2D(3, 2, **maps_last)
    else:
        layer = FullyConnected(UNITS[name]) if ours else keras.layers.Dense(UNITS[name])
    takes_it = ours and kind != "pool"  # what is for the gradient alone
    return layer, {"training": True} if takes_it else {}


def _optimizer(way):
    """An optimizer of the real network, and the network's variables."""
    import keras

    from alexnet_keras import AlexNet, AlexNetSGD

    model = AlexNet()
    ours = way.startswith("ours")
    optimizer = (
        AlexNetSGD() if ours else keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.0005)
    )
    optimizer.build(model.trainable_variables)
    return optimizer, model.trainable_variables


def _tensorflow(name, batch_size, way, precision):
    """A function of a number of times that computes a Keras layer, or TensorFlow's own normalization."""
    import tensorflow as tf

    if name == UPDATE:
        optimizer, variables = _optimizer(way)
        gradients = [tf.random.normal(variable.shape, stddev=1e-3) for variable in variables]

        @tf.function
        def update():
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

        def updates(times):
            for _ in range(times):
                update()
            return float(variables[-1].value[0])  # which waits for the last update

        return updates
    layer, options = _layer(name, way)
    images = tf.cast(tf.random.normal((batch_size, *SHAPES[name])), precision)
    layer.build(images.shape)
    outputs = tf.cast(tf.random.normal(layer(images).shape), precision)
    weights = [weight.value for weight in layer.trainable_weights]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(images)
            result = layer(images, **options)
        gradients = tape.gradient(result, weights + [images] * (name != "conv1"), outputs)
        return result, *gradients  # the output, too: TensorFlow leaves out what nothing needs

    def run(times):
        for _ in range(times):
            last = step()[-1]
        return float(tf.reshape(last, [-1])[0])  # which waits for it

    return run


def _jax(name, batch_size, way, precision):
    """The same with JAX."""
    import jax
    import keras

    random = [jax.random.key(number) for number in range(2)]
    if name == UPDATE:
        optimizer, variables = _optimizer(way)
        gradients = [1e-3 * jax.random.normal(random[0], variable.shape) for variable in variables]
        state = (
            [variable.value for variable in optimizer.variables],
            [variable.value for variable in variables],
        )

        @functools.partial(jax.jit, donate_argnums=0)
        def update(state, gradients):
            return optimizer.stateless_apply(state[0], gradients, state[1])[::-1]

        def updates(times):
            nonlocal state
            for _ in range(times):
                state = update(state, gradients)
            return float(state[1][-1][0])

        return updates
    layer, options = _layer(name, way)
    images = jax.random.normal(random[0], (batch_size, *SHAPES[name]), precision)
    layer.build(images.shape)
    outputs = jax.random.normal(random[1], layer.compute_output_shape(images.shape), precision)
    weights = [weight.value for weight in layer.trainable_weights]

    @jax.jit
    def step(weights, images, outputs):
        def function(weights, images):
            with keras.StatelessScope(
                state_mapping=list(zip(layer.trainable_weights, weights, strict=True))
            ):
                return layer(images, **options)

        if name == "conv1":
            result, gradient = jax.vjp(lambda weights: function(weights, images), weights)
        else:
            result, gradient = jax.vjp(function, weights, images)
        return result, gradient(outputs)

    def run(times):
        for _ in range(times):
            last = step(weights, images, outputs)
        return float(jax.block_until_ready(last)[0].ravel()[0])

    return run


def _formula():
    """The paper's formula for JAX to differentiate; Keras has no such layer."""
    import keras
    from keras import ops

    def normalize(x):
        x32 = ops.cast(x, "float32")
        squares = ops.pad(ops.square(x32), [(0, 0)] * 3 + [(2, 2)])
        total = sum(squares[..., start : start + x.shape[-1]] for start in range(5))
        return ops.cast(x32 / (2.0 + 1e-4 * total) ** 0.75, x.dtype)

    return keras.layers.Lambda(normalize)


class _TensorFlowNormalization:
    trainable_weights = ()

    def build(self, shape):
        pass

    def __call__(self, images):
        import tensorflow as tf

        single = tf.cast(images, "float32")  # there is none in bfloat16
        result = tf.nn.local_response_normalization(
            single, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75
        )
        return tf.cast(result, images.dtype)


def _pytorch(name, batch_size, way, precision):
    """The same by PyTorch, in channels_last, with autocast for bfloat16."""
    import torch
    from torch import nn

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")  # TF32, where there is such a thing
    torch.backends.cudnn.benchmark = True
    if name == UPDATE:
        sizes = [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]
        weights = [nn.Parameter(torch.zeros(size, device=device)) for size in sizes]
        for weight in weights:
            weight.grad = torch.randn_like(weight) * 1e-3
        optimizer = torch.optim.SGD(weights, 0.01, momentum=0.9, weight_decay=0.0005, fused=True)

        def update(times):
            for _ in range(times):
                optimizer.step()
            return float(weights[0][0])

        return update
    kind = name.rstrip("0123456789")
    if kind == "conv":
        filters, size, groups = KERNELS[name]
        stride, padding = (4, 0) if name == "conv1" else (1, size // 2)
        layer = nn.Conv2d(SHAPES[name][-1], filters, size, stride, padding, groups=groups)
    elif kind == "norm":
        layer = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    elif kind == "pool":
        layer = nn.MaxPool2d(3, 2)
    else:
        layer = nn.Linear(SHAPES[name][0], UNITS[name])
    shape = SHAPES[name]
    images = torch.randn(batch_size, *(shape[-1:] + shape[:-1]), device=device)
    if len(shape) == 3:
        layer = layer.to(device, memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    layer = layer.to(device)
    images = images.to(getattr(torch, precision)).requires_grad_(name != "conv1")
    autocast = torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.no_grad(), autocast:
        outputs = torch.randn_like(layer(images))

    def step(times):
        for _ in range(times):
            layer.zero_grad(set_to_none=True)
            images.grad = None
            with autocast:
                result = layer(images)
            result.backward(outputs)
        gradient = images.grad if images.grad is not None else layer.weight.grad
        return float(gradient.max())

    return step


def limit_milliseconds(name, batch_size, product, bandwidth, precision="float32"):
    """The time that the limit of the machine allows.

    Args:
        name: the layer.
        batch_size: images.
        product: operations a second.
        bandwidth: bytes a second.
        precision: of the maps; weights are float32.
    """
    if name == UPDATE:
        return (
            1000 * 5 * 4 * 60_965_224 / bandwidth
        )  # read weight, velocity, gradient; write weight, velocity
    elements = 1
    for side in SHAPES[name]:
        elements *= side
    if name in KERNELS:
        filters, size, groups = KERNELS[name]
        height = (SHAPES[name][0] - size) // 4 + 1 if name == "conv1" else SHAPES[name][0]
        operations = 2 * height**2 * filters * size**2 * SHAPES[name][-1] // groups
        return 1000 * batch_size * operations * (2 if name == "conv1" else 3) / product
    if name in UNITS:
        return 1000 * batch_size * 6 * elements * UNITS[name] / product
    outputs = (
        elements
        if name.startswith("norm")
        else ((SHAPES[name][0] - 3) // 2 + 1) ** 2 * SHAPES[name][-1]
    )
    # Forward: read the input, write the output. Backward: read the input and a gradient, write the other gradient.
    size = {"float32": 4, "bfloat16": 2}[precision]
    return 1000 * batch_size * size * (3 * elements + 2 * outputs) / bandwidth


def table(stored):
    """The figures as text."""
    ways = stored["ways"]
    limit = {
        name: turns.summary(ways["limit"]["turns"], name)[0]
        for name in ("matrix_product", "bandwidth")
    }
    named = [way for way in ways if way != "limit"]
    batch_size, precision = stored["batch_size"], stored.get("precision", "float32")
    digits = 1 if limit["bandwidth"] < 1e12 else 3  # of a GPU
    lines = [
        f"Forward and backward of a batch of {batch_size}, {precision}, milliseconds: median (range). Limits: "
        f"{limit['matrix_product'] / 1e9:,.0f} GFLOP/s, {limit['bandwidth'] / 1e9:.1f} GB/s.\n",
        f"| | {' | '.join(NAMES[way] for way in named)} | limit | limit / {NAMES[named[0]]} |",
        "|---|" + "---|" * (len(named) + 2),
    ]
    for name in stored["layers"]:
        cells = [turns.in_words(ways[way]["turns"], name, digits) for way in named]
        least = limit_milliseconds(name, batch_size, **_short(limit), precision=precision)
        cells += [
            f"{least:.{digits}f}",
            f"{100 * least / turns.summary(ways[named[0]]['turns'], name)[0]:.0f}%",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(stored):
    """A group of bars for each layer: the ways, and the limit as a mark."""
    from alexnet_keras.plots.style import new_figure

    ways = stored["ways"]
    limit = {
        name: turns.summary(ways["limit"]["turns"], name)[0]
        for name in ("matrix_product", "bandwidth")
    }
    named = [way for way in ways if way != "limit"]
    figure, axis = new_figure(size=(11, 4.6))
    width = 0.8 / len(named)
    for number, way in enumerate(named):
        medians = [turns.summary(ways[way]["turns"], name)[0] for name in stored["layers"]]
        places = [i + (number - (len(named) - 1) / 2) * width for i in range(len(medians))]
        axis.bar(
            places,
            medians,
            width,
            label=NAMES[way],
            color=("C0", "0.45", "0.75", "C1", "0.6")[number],
        )
    precision = stored.get("precision", "float32")
    limits = [
        limit_milliseconds(name, stored["batch_size"], **_short(limit), precision=precision)
        for name in stored["layers"]
    ]
    axis.hlines(
        limits,
        [i - 0.45 for i in range(len(limits))],
        [i + 0.45 for i in range(len(limits))],
        "black",
    )
    axis.plot([], [], color="black", label="limit of the machine")
    axis.set_xticks(
        range(len(limits)), [name.replace(" of all ", "\nof all ") for name in stored["layers"]]
    )
    axis.set_yscale("log")
    axis.set_ylabel("forward and backward (ms)")
    axis.set_title(
        f"Layers of AlexNet, batch {stored['batch_size']}, {precision}, {turns.machine_words(stored)}"
    )
    axis.legend(frameon=False)
    return figure


def _short(limit):
    return {"product": limit["matrix_product"], "bandwidth": limit["bandwidth"]}


if __name__ == "__main__":
    main()
