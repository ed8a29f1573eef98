"""Training speed of one device against two: replicas that share each batch, and a tower on each.

    python -m benchmarks.devices

On a machine without GPUs the two are logical devices of one CPU, so that what is lost is the overhead of dividing the
work. Each way has a process of its own; they take turns, a few steps each, and the others wait. Writes the median and
the range of images per second to results/benchmarks/devices.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

WAYS = {
    "TensorFlow, one device": ("tensorflow", "1"),
    "TensorFlow, two replicas": ("tensorflow", "2"),
    "JAX, one device": ("jax", "1"),
    "JAX, two replicas": ("jax", "2"),
    "JAX, two towers": ("jax", "towers"),
}
_STEPS = 3


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.devices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", default="source", help="preset of the network (default: source)")
    parser.add_argument("--batch-size", type=int, default=32, help="images in a step, over both devices (default: 32)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (default: 5)")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="only these (default: all)")
    parser.add_argument("--output", default="results/benchmarks/devices.json", help="file to write")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name in ("batch_size", "rounds"):
        if getattr(options, name) < 1 or (name == "batch_size" and options.batch_size % 2):
            parser.error(f"`{name}` must be {'even and ' * (name == 'batch_size')}positive")
    if options.work:
        return _work(*options.work, options.config, options.batch_size)
    from tqdm import tqdm

    from alexnet_keras.environment import machine, versions
    from alexnet_keras.files import write_text

    speeds = {way: [] for way in options.ways}
    workers = {way: _start(way, options) for way in options.ways}
    try:
        words = {way: _answer(worker, way) for way, worker in workers.items()}  # after steps that are not measured
        for _ in tqdm(range(options.rounds), desc="Rounds"):
            for way, worker in workers.items():
                worker.stdin.write("go\n")
                worker.stdin.flush()
                speeds[way].append(float(_answer(worker, way)))
    finally:
        for worker in workers.values():
            worker.kill()
    first = statistics.median(speeds[options.ways[0]])
    results = {
        "command": f"python -m benchmarks.devices --config {options.config} --batch-size {options.batch_size}",
        "machine": machine(),
        "versions": versions(others=("tensorflow", "jax")),
        "images_per_second": {way: {"devices": words[way], "runs": runs} for way, runs in speeds.items()},
    }
    write_text(Path(options.output), json.dumps(results, indent=1) + "\n")
    print("| | images/s, median (range) | share |\n|---|---|---|")
    for way, runs in speeds.items():
        median = statistics.median(runs)
        print(f"| {way} | {median:.1f} ({min(runs):.1f}-{max(runs):.1f}) | {100 * median / first:.0f}% |")
    print(f"Written: {options.output}")
    return results


def _start(way, options):
    backend, devices = WAYS[way]
    command = ["--config", options.config, "--batch-size", str(options.batch_size), "--work", backend, devices]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.devices", *command],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _answer(worker, way):
    line = worker.stdout.readline().strip()
    if not line:
        sys.exit(f"python -m benchmarks.devices: {way} has ended with exit status {worker.wait()}; see above")
    return line


def _work(backend, devices, config, batch_size):
    """A process that trains a few steps for each line that it reads, and writes the images per second."""
    import contextlib
    import time

    import keras
    import numpy as np

    from alexnet_keras import AlexNet
    from alexnet_keras.training.config import training_config
    from alexnet_keras.training.devices import scope_for
    from alexnet_keras.training.train import compile_for_training

    assert keras.backend.backend() == backend
    scope, words = scope_for(2 if devices != "1" else 1)
    if devices == "towers":
        from alexnet_keras.distribution import two_towers

        scope, words = two_towers().scope(), f"a tower on each of {words}"
    training = training_config(config, batch_size=batch_size)
    images = np.random.RandomState(0).normal(0, 60, (batch_size, *training.alexnet.input_shape)).astype("float32")
    labels = np.arange(batch_size, dtype="int32") % 10
    with contextlib.ExitStack() as stack:
        stack.enter_context(scope)
        model = AlexNet(training.alexnet, classes=1000)
        compile_for_training(model, training)
        for _ in range(2):
            model.train_on_batch(images, labels)
        print(words, flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            for _ in range(_STEPS):
                model.train_on_batch(images, labels)
            print(_STEPS * batch_size / (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
