"""Duration of the imports and of a network's first training step.

    python -m benchmarks.start_up
    python -m benchmarks.start_up --preset small --workdir results/benchmarks/small

Every round measures new processes. The results are `start_up.json` and `start_up.md` in --workdir.
"""

import subprocess
import sys

from benchmarks import harness
from benchmarks.networks import check_presets

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
    options = harness.parse(parser, arguments, ("batch_size",))
    check_presets(parser, [options.preset])
    from tqdm import tqdm

    _seconds("import alexnet_keras, tensorflow")  # not measured; the files are in memory then
    rounds = [_measure(options) for _ in tqdm(range(options.rounds), desc="Rounds of start_up")]
    results = {"preset": options.preset, "batch_size": options.batch_size, "rounds": rounds}
    stored = harness.record("start_up", options, results)
    harness.store("start_up", options.workdir, stored, table(stored))
    return stored


def _measure(options):
    """The seconds of one round, by figure."""
    figures = {
        "import_keras": _seconds("import keras"),
        "import_alexnet_keras": _seconds("import alexnet_keras"),
    }
    command = [sys.executable, "-c", _STEP, options.preset, str(options.batch_size)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    figures |= zip(_STEP_FIGURES, map(float, printed.split()[-3:]), strict=True)
    figures["build_and_first_step"] = figures["build"] + figures["first_step"]
    return figures


def _seconds(code):
    return harness.seconds_to_run(code, stderr=subprocess.DEVNULL)


def table(stored: dict) -> str:
    """Returns the results as Markdown."""
    preset = stored.get("preset", "paper")  # earlier results have no other
    lines = [
        f"Seconds, median (range); the preset `{preset}`, batches of {stored['batch_size']}.\n",
        "| | |",
        "|---|---|",
    ]
    for name, label in _LABELS.items():
        lines.append(f"| {label} | {harness.median_and_range(stored['rounds'], name, 2)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
