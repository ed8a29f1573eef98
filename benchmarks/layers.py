"""Time of each layer of the full-size network, forward and backward, beside other libraries.

    python -m benchmarks.layers

On a GPU without TensorFlow:

    KERAS_BACKEND=jax python -m benchmarks.layers --limit-backend jax --precision bfloat16 \\
        --batch-size 512 --implementations alexnet_keras_jax keras_jax pytorch

A layer's output and the gradients of its weights and input are computed. The input of conv1 is the
image, which needs no gradient. The update of all weights is measured as well; in Keras' SGD the
decay bypasses the momentum.

Each layer has a lower limit for its time. For a layer with weights it is the time of its operations
at the rate of a product of 4096x4096 matrices. The operations are counted by the definition.
Winograd's method needs fewer and can beat the limit. For other layers and the update it is the time
to read and write each tensor once at the memory bandwidth. Both rates are measured in the same
rounds.

The results are `layers.json`, `layers.md` and `layers.png` in --workdir.
"""

import math
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.harness import Implementation
from benchmarks.layer_steps import KERNELS, PARAMETERS, SHAPES, UNITS, UPDATE, build_step

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMPLEMENTATIONS = {
    "alexnet_keras": Implementation("tensorflow", "alexnet_keras"),
    "tensorflow": Implementation("tensorflow", "TensorFlow and Keras"),
    "pytorch": Implementation("torch", "PyTorch"),
    "alexnet_keras_jax": Implementation("jax", "alexnet_keras, JAX"),
    "keras_jax": Implementation("jax", "Keras, JAX"),
}
_DEFAULTS = ["alexnet_keras", "tensorflow", "pytorch"]
_COLORS = ("C0", "0.45", "0.75", "C1", "0.6")


def main(arguments=None):
    parser = _parser()
    options = harness.parse(parser, arguments, ("batch_size",))
    if options.worker:
        return _work(options)
    backends = {name: IMPLEMENTATIONS[name].backend for name in options.implementations}
    limit_option = f"--limit-backend {options.limit_backend}"
    harness.check_installed(parser, {**backends, limit_option: options.limit_backend})
    backends["limit"] = options.limit_backend
    environments = {name: harness.environment(backend) for name, backend in backends.items()}
    measured = harness.measure_in_rounds(
        "layers", environments, harness.as_arguments(options), options.rounds
    )
    results = {
        "device": measured["limit"]["description"],
        "batch_size": options.batch_size,
        "precision": options.precision,
        "layers": options.layers,
        "implementations": measured,
    }
    stored = harness.record("layers", options, results)
    harness.store("layers", options.workdir, stored, table(stored), plot(stored))
    return stored


def _parser():
    parser = harness.create_parser("layers", __doc__)
    parser.add_argument(
        "--batch-size", type=int, default=128, help="images in a batch (default: 128)"
    )
    parser.add_argument(
        "--implementations",
        nargs="+",
        choices=list(IMPLEMENTATIONS),
        default=_DEFAULTS,
        help=f"implementations to measure (default: {' '.join(_DEFAULTS)})",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        choices=[*SHAPES, UPDATE],
        default=[*SHAPES, UPDATE],
        help="layers to measure (default: all)",
    )
    parser.add_argument(
        "--precision",
        choices=list(harness.PRECISIONS),
        default="float32",
        help="precision of the maps (default: float32)",
    )
    parser.add_argument(
        "--limit-backend",
        choices=("tensorflow", "jax"),
        default="tensorflow",
        help="backend that measures the limit (default: tensorflow)",
    )
    return parser


def _work(options):
    """Measures one implementation, or the limit, in its process."""
    if options.worker == "limit":
        from benchmarks import roofline

        limits = roofline.MachineLimits(options.precision, options.seconds)
        return harness.serve(roofline.device_name(), limits)
    implementation = IMPLEMENTATIONS[options.worker]
    if implementation.backend != "torch":
        import keras

        keras.config.set_dtype_policy(harness.PRECISIONS[options.precision])
    settings = (options.batch_size, options.worker, options.precision)
    steps = {name: build_step(implementation.backend, name, *settings) for name in options.layers}
    seconds = options.seconds / len(options.layers)
    rates = {name: harness.Rate(step, seconds) for name, step in steps.items()}
    harness.serve(
        implementation.label, lambda: {name: 1000 / rate() for name, rate in rates.items()}
    )


def limit_milliseconds(
    name: str, batch_size: int, product: float, bandwidth: float, precision: str = "float32"
) -> float:
    """Returns the lower limit for a layer's time in milliseconds.

    Args:
        name: name of the layer, or `UPDATE`.
        batch_size: images in a batch.
        product: operations per second.
        bandwidth: bytes per second.
        precision: precision of the maps; weights are float32.
    """
    if name == UPDATE:
        # Weight, velocity and gradient are read; weight and velocity are written.
        return 1000 * 5 * 4 * sum(PARAMETERS) / bandwidth
    if name in KERNELS or name in UNITS:
        return 1000 * batch_size * _operations(name) / product
    # Forward: one input, one output. Backward: one input and two gradients.
    size = {"float32": 4, "bfloat16": 2}[precision]
    elements = 3 * math.prod(SHAPES[name]) + 2 * _outputs(name)
    return 1000 * batch_size * size * elements / bandwidth


def _operations(name):
    """Operations of a layer with weights for one image, forward and backward."""
    if name in UNITS:
        return 6 * math.prod(SHAPES[name]) * UNITS[name]
    filters, size, groups = KERNELS[name]
    height, _, maps = SHAPES[name]
    passes = 3
    if name == "conv1":
        height = (height - size) // 4 + 1
        passes = 2
    return passes * 2 * height**2 * filters * size**2 * maps // groups


def _outputs(name):
    """Number of outputs of a normalization or a pool for one image."""
    height, width, maps = SHAPES[name]
    if name.startswith("norm"):
        return height * width * maps
    return ((height - 3) // 2 + 1) ** 2 * maps


def _limits(stored):
    """The lower limit of each layer in milliseconds, from the medians of the rounds."""
    rounds = stored["implementations"]["limit"]["rounds"]
    product, _, _ = harness.summary(rounds, "matrix_product")
    bandwidth, _, _ = harness.summary(rounds, "bandwidth")
    settings = (stored["batch_size"], product, bandwidth, stored["precision"])
    return {name: limit_milliseconds(name, *settings) for name in stored["layers"]}


def _measured(stored):
    """The rounds of each implementation by its label, without the limit."""
    return {
        IMPLEMENTATIONS[name].label: result["rounds"]
        for name, result in stored["implementations"].items()
        if name != "limit"
    }


def table(stored: dict) -> str:
    """Returns the results as Markdown."""
    measured = _measured(stored)
    limits = _limits(stored)
    first, *_ = measured
    rounds = stored["implementations"]["limit"]["rounds"]
    product, _, _ = harness.summary(rounds, "matrix_product")
    bandwidth, _, _ = harness.summary(rounds, "bandwidth")
    digits = 1 if bandwidth < 1e12 else 3  # a GPU needs more
    lines = [
        f"Forward and backward of a batch of {stored['batch_size']}, {stored['precision']}, "
        f"milliseconds: median (range). Limits: {product / 1e9:,.0f} GFLOP/s, "
        f"{bandwidth / 1e9:.1f} GB/s.\n",
        f"| | {' | '.join(measured)} | limit | limit / {first} |",
        "|---|" + "---|" * (len(measured) + 2),
    ]
    for name, limit in limits.items():
        cells = [harness.median_and_range(each, name, digits) for each in measured.values()]
        share = 100 * limit / harness.summary(measured[first], name)[0]
        lines.append(f"| {name} | {' | '.join(cells)} | {limit:.{digits}f} | {share:.0f}% |")
    return "\n".join(lines)


def plot(stored: dict) -> "Figure":
    """Returns a figure with a group of bars for each layer, and its limit as a line."""
    from alexnet_keras.plots.style import new_figure

    measured = _measured(stored)
    limits = list(_limits(stored).values())
    figure, axis = new_figure(size=(11, 4.6))
    width = 0.8 / len(measured)
    for number, (label, rounds) in enumerate(measured.items()):
        medians = [harness.summary(rounds, name)[0] for name in stored["layers"]]
        offset = (number - (len(measured) - 1) / 2) * width
        positions = [position + offset for position in range(len(medians))]
        axis.bar(positions, medians, width, label=label, color=_COLORS[number])
    starts = [position - 0.45 for position in range(len(limits))]
    axis.hlines(limits, starts, [start + 0.9 for start in starts], "black")
    axis.plot([], [], color="black", label="limit of the machine")
    labels = [name.replace(" of all ", "\nof all ") for name in stored["layers"]]
    axis.set_xticks(range(len(limits)), labels)
    axis.set_yscale("log")
    axis.set_ylabel("forward and backward (ms)")
    axis.set_title(
        f"Layers of AlexNet, batch {stored['batch_size']}, {stored['precision']}, "
        f"{harness.machine_name(stored)}"
    )
    axis.legend(loc="best", frameon=False)
    return figure


if __name__ == "__main__":
    main()
