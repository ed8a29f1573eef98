"""Duration of the imports and of a network's first training step.

    python -m benchmarks.start_up
    python -m benchmarks.start_up --preset small --workdir results/benchmarks/small

Every round measures new processes, whose backend of Keras is --backend. The results are
`start_up.json` and `start_up.md` in --workdir.
"""

import os
import subprocess
import sys

from benchmarks import harness
from benchmarks.networks import add_backend_option, check_presets

_STEP = """
import os, sys, time
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as alexnet_keras does if it comes first
import keras
start = time.perf_counter()
import alexnet_keras
imported = time.perf_counter()
import numpy as np
from alexnet_keras.models import build_network
from alexnet_keras.training.config import training_config
from alexnet_keras.training.train import compile_for_training
config = training_config(sys.argv[1])
model = build_network(config.network)
compile_for_training(model, config)
built = time.perf_counter()
batch_size = int(sys.argv[2])
images = np.zeros((batch_size, *config.network.input_shape), "float32")
before = time.perf_counter()
model.train_on_batch(images, np.arange(batch_size, dtype="int32") % 1000)
print(imported - start, built - imported, time.perf_counter() - before)
"""
_STEP_FIGURES = ("import_after_keras", "build", "first_step")  # that `_STEP` prints
_LABELS = {
    "import_keras": "`import keras`",
    "import_alexnet_keras": "`import alexnet_keras`",
    "import_after_keras": "`import alexnet_keras` after `import keras`",
    "build": "building and compiling the network",
    "first_step": "its first training step",
    "build_and_first_step": "both together",
}


def main(arguments=None):
    parser = harness.create_parser("start_up", __doc__, takes_seconds=False)
    parser.add_argument("--preset", default="paper", help="preset of the network (default: paper)")
    parser.add_argument(
        "--batch-size", type=int, default=128, help="images in the first step (default: 128)"
    )
    add_backend_option(parser)
    options = harness.parse(parser, arguments, ("batch_size",))
    check_presets(parser, [options.preset])
    harness.check_installed(parser, {f"--backend {options.backend}": options.backend})
    from tqdm import tqdm

    # Not measured; the files are in memory then.
    _seconds(f"import alexnet_keras, {options.backend}", options)
    rounds = [_measure(options) for _ in tqdm(range(options.rounds), desc="Rounds of start_up")]
    results = {
        "preset": options.preset,
        "batch_size": options.batch_size,
        "backend": options.backend,
        "rounds": rounds,
    }
    stored = harness.record("start_up", options, results)
    harness.store("start_up", options.workdir, stored, table(stored))
    return stored


def _measure(options):
    """The seconds of one round, by figure."""
    figures = {
        "import_keras": _seconds("import keras", options),
        "import_alexnet_keras": _seconds("import alexnet_keras", options),
    }
    command = [sys.executable, "-c", _STEP, options.preset, str(options.batch_size)]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=_environment(options)
    )
    figures |= zip(_STEP_FIGURES, map(float, ended.stdout.split()[-3:]), strict=True)
    figures["build_and_first_step"] = figures["build"] + figures["first_step"]
    return figures


def _seconds(code, options):
    env = _environment(options)
    return harness.seconds_to_run(code, stderr=subprocess.DEVNULL, env=env)


def _environment(options):
    """The environment of a measured process."""
    return {**os.environ, **harness.environment(options.backend)}


def table(stored: dict) -> str:
    """Returns the results as Markdown."""
    preset = stored.get("preset", "paper")  # earlier results have no other
    backend = stored.get("backend", "tensorflow")  # nor another backend
    setting = f"the preset `{preset}`, batches of {stored['batch_size']}"
    if backend != "tensorflow":
        setting += f", the backend `{backend}`"
    lines = [
        f"Seconds, median (range); {setting}.\n",
        "| | |",
        "|---|---|",
    ]
    for name, label in _LABELS.items():
        lines.append(f"| {label} | {harness.median_and_range(stored['rounds'], name, 2)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
