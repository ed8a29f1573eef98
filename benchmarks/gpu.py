"""Runs tests, trainings and benchmarks of the TensorFlow backend on a GPU, in one command.

    python -m benchmarks.gpu

Its parts run one after the other, each in a process of its own:

- tests: the tests of the layers and operations, without TF32.
- one_device: a training on the GPU.
- two_devices: the same by MirroredStrategy, on two logical devices of the GPU.
- training: images per second in training and inference, beside other libraries.
- layers: the time of each layer, forward and backward.

A part that fails does not stop the others. The exit status is 1 then. --workdir holds the output of
each part, `PART.txt`, its results, and `gpu.json`: how each part ended, written after each. Each
call trains anew, and first deletes the trainings of an earlier call from --workdir.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import harness

_ONE_DEVICE = "one_device"
_TWO_DEVICES = "two_devices"
_TRAININGS = (_ONE_DEVICE, _TWO_DEVICES)
_WORKDIR = "results/benchmarks/gpu"
_SMOKE_WORKDIR = "runs/gpu_smoke"
_MEMORY_MIB = 8192  # of each logical device


def main(arguments: list[str] | None = None) -> dict:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.workdir is None:
        options.workdir = _SMOKE_WORKDIR if options.smoke else _WORKDIR
    if options.worker == _TWO_DEVICES:
        return _train_on_two_devices(options)
    if not options.smoke and not _gpus():
        parser.error("no GPU was found by TensorFlow. --smoke tries the parts on a CPU")
    harness.check_workdir(parser, options.workdir)
    _check_trainings(parser, options)
    workdir = Path(options.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    results = {}
    for part in options.parts:
        results[part] = _run(part, PARTS[part](options), workdir, options.smoke)
        _store(options, results)
    failed = [part for part, result in results.items() if result["exit_status"]]
    if failed:
        sys.exit(f"{parser.prog}: failed: {', '.join(failed)}; see {workdir}/PART.txt")
    return results


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=list(PARTS),
        default=list(PARTS),
        help="parts to run (default: all)",
    )
    parser.add_argument(
        "--workdir",
        help=f"folder of the results (default: {_WORKDIR}; {_SMOKE_WORKDIR} with --smoke)",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="try the parts quickly, on a CPU (default: no)"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


def _tests(options):
    files = ["tests/layers", "tests/ops", "-n", "4"]
    if options.smoke:
        files = ["tests/layers/test_fully_connected.py"]
    return ["-m", "pytest", *files]


def _one_device(options):
    return ["-m", "experiments.train", *_training_arguments(options, _ONE_DEVICE), "--devices=1"]


def _two_devices(options):
    smoke = ["--smoke"] if options.smoke else []
    return ["-m", "benchmarks.gpu", f"--workdir={options.workdir}", *smoke, "--worker=two_devices"]


def _training(options):
    command = ["-m", "benchmarks.training", f"--workdir={options.workdir}"]
    if options.smoke:
        return [*command, *_SMOKE, "--batch-sizes=2", "--precisions=float32", "--classes=10"]
    names = ("alexnet_keras", "tensorflow", "keras", "alexnet_keras_jax")
    return [*command, "--batch-sizes", "128", "1024", "--implementations", *names]


def _layers(options):
    command = ["-m", "benchmarks.layers", f"--workdir={options.workdir}"]
    if options.smoke:
        return [*command, *_SMOKE, "--batch-size=2", "--layers=pool5"]
    names = ("alexnet_keras", "tensorflow", "alexnet_keras_jax")
    return [*command, "--precision=bfloat16", "--batch-size=1024", "--implementations", *names]


_SMOKE = ("--rounds=1", "--seconds=0.01", "--implementations=alexnet_keras")
# Functions that return the arguments of Python.
PARTS: dict[str, Callable[[argparse.Namespace], list[str]]] = {
    "tests": _tests,
    _ONE_DEVICE: _one_device,
    _TWO_DEVICES: _two_devices,
    "training": _training,
    "layers": _layers,
}


def _training_arguments(options, part):
    """Arguments of a training on the pictures that the package draws itself."""
    setting = ["--preset=small", "--epochs=4"]
    if options.smoke:
        setting = ["--preset=four_layer", "--epochs=1", "--class-subset", "0", "1"]
    workdir = Path(options.workdir) / part
    return [*setting, "--dataset=shapes", f"--workdir={workdir}"]


def _train_on_two_devices(options):
    """Trains in this process, with the devices that `tf.config` has to divide before."""
    import tensorflow as tf

    from alexnet_keras.cli import train

    devices = ["CPU:0", "CPU:1"]
    if not options.smoke:
        devices = ["GPU:0", "GPU:1"]
        part = tf.config.LogicalDeviceConfiguration(memory_limit=_MEMORY_MIB)
        tf.config.set_logical_device_configuration(_gpus()[0], [part, part])
    train.main([*_training_arguments(options, _TWO_DEVICES), "--devices", *devices])


def _gpus():
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU")


def _check_trainings(parser, options):
    """Ends the process with an error for a training's folder that this command did not make.

    `_run` writes `PART.txt` before the part makes its folder.
    """
    for part in _TRAININGS:
        folder = Path(options.workdir) / part
        if part in options.parts and folder.exists() and not _output(folder).exists():
            parser.error(
                f"--workdir must have no {part} of yours, which this command would replace. "
                f"Received: {options.workdir}"
            )


def _output(folder):
    """Path of the output of the part with a folder."""
    return folder.with_name(f"{folder.name}.txt")


def _run(part, arguments, workdir, smoke):
    """Runs a part; its output goes to the terminal and to a file."""
    print(f"gpu: {part}: python {shlex.join(arguments)}", flush=True)
    environment = {
        **os.environ,
        **harness.ENVIRONMENT,
        **harness.environment("tensorflow"),
        "CUDA_VISIBLE_DEVICES": "-1" if smoke else os.environ.get("CUDA_VISIBLE_DEVICES", "0"),
    }
    if part == "tests":
        environment["NVIDIA_TF32_OVERRIDE"] = "0"  # TF32 keeps ten bits of a float32
    if part in _TRAININGS and (workdir / part).exists():
        shutil.rmtree(workdir / part)  # an earlier training, which would only be loaded
    start = time.perf_counter()
    with _output(workdir / part).open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            for line in process.stdout:
                print(line, end="", flush=True)
                file.write(line)
    seconds = round(time.perf_counter() - start, 1)
    return {
        "command": shlex.join(["python", *arguments]),
        "exit_status": process.returncode,
        "seconds": seconds,
    }


def _store(options, results):
    from alexnet_keras.files import write_text

    stored = harness.record("gpu", options, {"parts": results})
    write_text(Path(options.workdir) / "gpu.json", json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
