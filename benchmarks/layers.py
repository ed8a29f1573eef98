"""The real network's layers one by one, forward and backward, in milliseconds: ours beside TensorFlow's and PyTorch's.

    python -m benchmarks.layers

Each way computes the output of a layer, the gradient of its weights and that of its input (of conv1, whose input is the
image, the weights' alone), and then the update of all 60,965,224 weights (in Keras' SGD the decay bypasses the
momentum). The limit of a layer with weights is the time that a 4096-cube matrix product needs for as many operations;
that of the others, and of the update, is the time to read and write each of their tensors once at the memory bandwidth.
Both are measured in the same turns.

Writes layers.json, layers.md (the table) and layers.png into --workdir; some 8 minutes on two cores.
"""

from benchmarks import turns

WAYS = {"ours": "tensorflow", "tensorflow": "tensorflow", "pytorch": "torch"}
NAMES = {"ours": "ours", "tensorflow": "TensorFlow and Keras", "pytorch": "PyTorch"}
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
KERNELS = {"conv1": (96, 11, 1), "conv2": (256, 5, 2), "conv3": (384, 3, 1), "conv4": (384, 3, 2), "conv5": (256, 3, 2)}
UNITS = {"fc6": 4096, "fc7": 4096, "fc8": 1000}
UPDATE = "update of all weights"


def main(arguments=None):
    parser = turns.parser("layers", __doc__)
    parser.add_argument("--batch-size", type=int, default=128, help="images (default: 128)")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="only these (default: all)")
    parser.add_argument("--layers", nargs="+", choices=[*SHAPES, UPDATE], default=[*SHAPES, UPDATE], help="only these")
    options = turns.parse(parser, arguments, ("batch_size",))
    if options.work:
        return _work(options)
    turns.check_installed(parser, {way: WAYS[way] for way in options.ways})
    measured = turns.take_turns(
        "layers",
        {way: turns.environment(WAYS[way]) for way in options.ways} | {"limit": turns.environment("tensorflow")},
        turns.as_arguments(options),
        options.rounds,
    )
    device = measured["limit"]["words"]
    results = {"device": device, "batch_size": options.batch_size, "layers": options.layers, "ways": measured}
    stored = turns.record("layers", options, results)
    turns.store("layers", options.workdir, stored, table(stored), plot(stored))
    return stored


def _work(options):
    if options.work == "limit":
        from benchmarks import limits

        return turns.work(limits.device_words(), limits.machine("float32"))
    build = _pytorch if options.work == "pytorch" else _keras
    share = options.seconds / len(options.layers)
    steps = {name: build(name, options.batch_size, options.work) for name in options.layers}
    rates = {name: turns.rate(step, share) for name, step in steps.items()}
    turns.work(NAMES[options.work], lambda: {name: 1000 / rate() for name, rate in rates.items()})


def _keras(name, batch_size, way):
    """A function of a number of times that computes a Keras layer, or TensorFlow's own normalization."""
    import keras
    import tensorflow as tf

    from alexnet_keras import AlexNet, AlexNetSGD
    from alexnet_keras.layers import CeilingMaxPooling2D, FullyConnected, GroupedConv2D, LocalResponseNormalization

    if name == UPDATE:
        model = AlexNet()
        optimizer = AlexNetSGD() if way == "ours" else keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.0005)
        optimizer.build(model.trainable_variables)
        gradients = [tf.random.normal(variable.shape, stddev=1e-3) for variable in model.trainable_variables]

        @tf.function
        def update():
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

        def updates(times):
            for _ in range(times):
                update()
            return float(model.weights[-1].value[0])  # which waits for the last update

        return updates
    kind = name.rstrip("0123456789")
    if kind == "conv":
        filters, size, groups = KERNELS[name]
        cls = GroupedConv2D if way == "ours" else keras.layers.Conv2D
        padding, stride = ("valid", 4) if name == "conv1" else ("same", 1)
        layer = cls(filters, size, strides=stride, padding=padding, groups=groups)
    elif kind == "norm":
        layer = LocalResponseNormalization() if way == "ours" else _TensorFlowNormalization()
    elif kind == "pool":
        layer = CeilingMaxPooling2D() if way == "ours" else keras.layers.MaxPooling2D(3, 2)
    else:
        layer = FullyConnected(UNITS[name]) if way == "ours" else keras.layers.Dense(UNITS[name])
    training = {"training": True} if kind in ("norm", "fc") and way == "ours" else {}  # what is for the gradient alone
    images = tf.random.normal((batch_size, *SHAPES[name]))
    layer.build(images.shape)
    outputs = tf.random.normal(layer(images).shape)
    weights = [weight.value for weight in layer.trainable_weights]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(images)
            result = layer(images, **training)
        gradients = tape.gradient(result, weights + [images] * (name != "conv1"), outputs)
        return result, *gradients  # the output, too: TensorFlow leaves out what nothing needs

    def run(times):
        for _ in range(times):
            last = step()[-1]
        return float(tf.reshape(last, [-1])[0])  # which waits for it

    return run


class _TensorFlowNormalization:
    trainable_weights = ()

    def build(self, shape):
        pass

    def __call__(self, images):
        import tensorflow as tf

        return tf.nn.local_response_normalization(images, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)


def _pytorch(name, batch_size, way):
    """The same by PyTorch, in channels_last."""
    import torch
    from torch import nn

    device = "cuda" if torch.cuda.is_available() else "cpu"
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
    images.requires_grad_(name != "conv1")
    with torch.no_grad():
        outputs = torch.randn_like(layer(images))

    def step(times):
        for _ in range(times):
            layer.zero_grad(set_to_none=True)
            images.grad = None
            layer(images).backward(outputs)
        gradient = images.grad if images.grad is not None else layer.weight.grad
        return float(gradient.max())

    return step


def limit_milliseconds(name, batch_size, product, bandwidth):
    """The time that the limit of the machine allows.

    Args:
        name: the layer.
        batch_size: images.
        product: operations a second.
        bandwidth: bytes a second.
    """
    if name == UPDATE:
        return 1000 * 5 * 4 * 60_965_224 / bandwidth  # read weight, velocity, gradient; write weight, velocity
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
    outputs = elements if name.startswith("norm") else ((SHAPES[name][0] - 3) // 2 + 1) ** 2 * SHAPES[name][-1]
    # Forward: read the input, write the output. Backward: read the input and a gradient, write the other gradient.
    return 1000 * batch_size * 4 * (3 * elements + 2 * outputs) / bandwidth


def table(stored):
    """The figures as text."""
    ways = stored["ways"]
    limit = {name: turns.summary(ways["limit"]["turns"], name)[0] for name in ("matrix_product", "bandwidth")}
    named = [way for way in ways if way != "limit"]
    batch_size = stored["batch_size"]
    lines = [
        f"Forward and backward of a batch of {batch_size}, float32, milliseconds: median (range). Limits: "
        f"{limit['matrix_product'] / 1e9:,.0f} GFLOP/s, {limit['bandwidth'] / 1e9:.1f} GB/s.\n",
        f"| | {' | '.join(NAMES[way] for way in named)} | limit | limit / {NAMES[named[0]]} |",
        "|---|" + "---|" * (len(named) + 2),
    ]
    for name in stored["layers"]:
        cells = [turns.in_words(ways[way]["turns"], name) for way in named]
        least = limit_milliseconds(name, batch_size, **_short(limit))
        cells += [f"{least:.1f}", f"{100 * least / turns.summary(ways[named[0]]['turns'], name)[0]:.0f}%"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(stored):
    """A group of bars for each layer: the ways, and the limit as a mark."""
    from alexnet_keras.plots.style import new_figure

    ways = stored["ways"]
    limit = {name: turns.summary(ways["limit"]["turns"], name)[0] for name in ("matrix_product", "bandwidth")}
    named = [way for way in ways if way != "limit"]
    figure, axis = new_figure(size=(11, 4.6))
    width = 0.8 / len(named)
    for number, way in enumerate(named):
        medians = [turns.summary(ways[way]["turns"], name)[0] for name in stored["layers"]]
        places = [i + (number - (len(named) - 1) / 2) * width for i in range(len(medians))]
        axis.bar(places, medians, width, label=NAMES[way], color=("C0", "0.45", "0.75")[number])
    limits = [limit_milliseconds(name, stored["batch_size"], **_short(limit)) for name in stored["layers"]]
    axis.hlines(limits, [i - 0.45 for i in range(len(limits))], [i + 0.45 for i in range(len(limits))], "black")
    axis.plot([], [], color="black", label="limit of the machine")
    axis.set_xticks(range(len(limits)), [name.replace(" of all ", "\nof all ") for name in stored["layers"]])
    axis.set_yscale("log")
    axis.set_ylabel("forward and backward (ms)")
    axis.set_title(f"Layers of AlexNet, batch {stored['batch_size']}, float32, {turns.machine_words(stored)}")
    axis.legend(frameon=False)
    return figure


def _short(limit):
    return {"product": limit["matrix_product"], "bandwidth": limit["bandwidth"]}


if __name__ == "__main__":
    main()
