"""How long it takes to begin: imports, and the first training step of the real network.

    python -m benchmarks.start_up

Every figure is that of new processes, in turns. Writes start_up.json and start_up.md (the table) into --workdir; some 3
minutes on two cores.
"""

import subprocess
import sys
import time

from benchmarks import turns

_STEP = """
import os, sys, time
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the package does where it comes first
import keras
start = time.perf_counter()
import alexnet_keras
imported = time.perf_counter()
import numpy as np
from alexnet_keras.training.config import training_config
from alexnet_keras.training.train import compile_for_training
config = training_config("paper")
model = alexnet_keras.AlexNet(config.network)
compile_for_training(model, config)
built = time.perf_counter()
batch_size = int(sys.argv[1])
images = np.zeros((batch_size, 224, 224, 3), "float32")
before = time.perf_counter()
model.train_on_batch(images, np.arange(batch_size, dtype="int32") % 1000)
print(imported - start, built - imported, time.perf_counter() - before)
"""
_WORDS = {
    "import_keras": "`import keras`",
    "import_alexnet_keras": "`import alexnet_keras`",
    "import_after_keras": "`import alexnet_keras` after `import keras`",
    "build": "`AlexNet()` and compiling it",
    "first_step": "its first training step",
    "build_and_first_step": "both together",
}


def main(arguments=None):
    parser = turns.parser("start_up", __doc__)
    parser.add_argument(
        "--batch-size", type=int, default=128, help="images in the first step (default: 128)"
    )
    options = turns.parse(parser, arguments, ("batch_size",))
    from tqdm import tqdm

    measured = []
    _seconds("import alexnet_keras, tensorflow")  # reads the files, which is not measured
    for _ in tqdm(range(options.rounds), desc="Rounds of start_up"):
        figures = {
            name: _seconds(f"import {name[7:]}")
            for name in ("import_keras", "import_alexnet_keras")
        }
        given = [sys.executable, "-c", _STEP, str(options.batch_size)]
        printed = subprocess.run(given, stdout=subprocess.PIPE, text=True, check=True).stdout
        names = ("import_after_keras", "build", "first_step")
        figures |= zip(names, map(float, printed.split()[-3:]), strict=True)
        figures["build_and_first_step"] = figures["build"] + figures["first_step"]
        measured.append(figures)
    stored = turns.record(
        "start_up", options, {"batch_size": options.batch_size, "turns": measured}
    )
    turns.store("start_up", options.workdir, stored, table(stored))
    return stored


def _seconds(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def table(stored):
    """The figures as text."""
    lines = [
        f"Seconds, median (range); batches of {stored['batch_size']} images.\n",
        "| | |",
        "|---|---|",
    ]
    lines += [
        f"| {words} | {turns.in_words(stored['turns'], name, 2)} |"
        for name, words in _WORDS.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
