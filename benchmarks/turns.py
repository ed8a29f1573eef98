"""What all benchmarks share: ways that take turns in processes of their own, the limits of the machine, the record."""

import argparse
import contextlib
import datetime
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import time
from importlib import util
from pathlib import Path

from tqdm import tqdm

_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # TensorFlow's fast kernels on every processor, as `import alexnet_keras` sets it
    # All processes share the memory of a GPU; else the first would take most of it for itself.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
# glibc keeps what was freed in place of handing it back in every step. On a CPU PyTorch is 15 to 45% faster with it;
# ours, on TensorFlow, is not.
_BACKENDS = {"torch": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}}
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}  # and Keras' words for them
_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy")


def environment(backend):
    """The environment variables of a way that computes on this Keras backend, or with PyTorch by itself ("torch")."""
    return {"KERAS_BACKEND": backend, **_BACKENDS.get(backend, {})}


def take_turns(module, ways, arguments, rounds, at_once=None, always=()):
    """Runs `python -m benchmarks.MODULE ARGUMENTS --work WAY` for each way, all at once, and lets them work in turn.

    While one works, the others wait for a line. All import Keras at the same time, then each warms up by itself, which
    is not measured.

    Args:
        module: name of the module, whose process calls `work`.
        ways: dict from a way's name to the environment variables that its process gets besides those of this one.
        arguments: command-line arguments of every process.
        rounds: turns of each way.
        at_once: processes that the memory has room for. What is left of the ways takes its turns after the first ones
            have ended; by default all run at once.
        always: ways that take part each time, such as the machine's limit.

    Returns:
        dict from a way's name to `{"words": what it runs on, "turns": list of dicts of figures}`.

    Raises:
        SystemExit: when a process ends before it was told to.
    """
    others = [way for way in ways if way not in always]
    size = len(others) if at_once is None else max(1, at_once - len(always))
    measured = {way: {"turns": []} for way in ways}
    for start in range(0, len(others), size):
        now = {way: ways[way] for way in (*others[start : start + size], *always)}
        _take_turns(module, now, arguments, rounds, measured)
    return measured


def _take_turns(module, ways, arguments, rounds, measured):
    processes = {}
    try:
        for way, environment in ways.items():
            processes[way] = subprocess.Popen(
                [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--work", way],
                env={**os.environ, **_ENVIRONMENT, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        for way, process in processes.items():
            _answer(process, module, way)  # it has its libraries
        for way, process in processes.items():
            print(f"{module}: {way} warms up", flush=True)
            measured[way]["words"] = _turn(process, module, way)["words"]
        for _ in tqdm(range(rounds), desc=f"Rounds of {module}"):
            for way, process in processes.items():
                measured[way]["turns"].append(_turn(process, module, way))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def _turn(process, module, way):
    with contextlib.suppress(BrokenPipeError):  # it has ended; the answer, which is none, says so
        process.stdin.write("go\n")
        process.stdin.flush()
    return _answer(process, module, way)


def _answer(process, module, way):
    for line in process.stdout:
        if line.startswith("{"):  # libraries print, too
            return json.loads(line)
    sys.exit(
        f"python -m benchmarks.{module}: {way} has ended with exit status {process.wait()}; see above"
    )


def work(words, turn):
    """The side of a way's process: one turn for each line that it reads.

    Args:
        words: what it runs on; printed once it is warm.
        turn: function that works and returns a dict of figures.
    """
    print(json.dumps({"words": words}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(turn()), flush=True)


def rate(step, seconds=3.0, steps=None, before=1):
    """A function that measures how often a second `step` can be done.

    Args:
        step: function of a number of steps, which does them and returns when they are done.
        seconds: a turn lasts about this long, but no less than one step.
        steps: number of steps in a turn; by default found by trying, which also warms up.
        before: number of steps before each turn that are not measured: after a wait, caches and memory are cold.
    """
    if steps is None:
        for _ in range(2):  # the second may compile, too: torch.compile records CUDA graphs in it
            step(1)
        steps = 1
        while True:
            start = time.perf_counter()
            step(steps)
            passed = time.perf_counter() - start
            if 10 * passed >= seconds:
                break
            steps *= 10  # so few are mostly overhead
        steps = max(1, math.ceil(steps * seconds / passed))

    def measure():
        step(before)
        start = time.perf_counter()
        step(steps)
        return steps / (time.perf_counter() - start)

    return measure


def summary(turns, figure):
    """Median, least and greatest of one figure over the turns."""
    values = [turn[figure] for turn in turns]
    return statistics.median(values), min(values), max(values)


def in_words(turns, figure, digits=1):
    """The median of a figure and its range, as text."""
    median, low, high = summary(turns, figure)
    return f"{median:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def parser(module, words, rounds=5):
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=words,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rounds", type=int, default=rounds, help=f"turns of each way (default: {rounds})"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        help="length of a turn, at least one step (default: 3)",
    )
    parser.add_argument("--workdir", default="results/benchmarks", help="folder to write to")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    return parser


def parse(parser, arguments, positive=()):
    """The parsed options; an error for those among `positive`, and the common ones, that are not.

    In the process of a way, which `take_turns` starts, it imports Keras with its backend and waits until the way may
    warm up.
    """
    options = parser.parse_args(arguments)
    for name in ("rounds", "seconds", *positive):
        values = getattr(options, name)
        for value in values if isinstance(values, list) else [values]:
            if value <= 0:
                parser.error(f"--{name.replace('_', '-')} must be positive. Received: {value}")
    if options.work:
        import keras

        print(json.dumps({"libraries": keras.backend.backend()}), flush=True)
        if not sys.stdin.readline():  # nobody is there any more
            sys.exit(1)
    return options


def check_installed(parser, needs):
    """Ends with an error when a way needs a package that is not installed.

    Args:
        needs: dict from a way's name to a package.
    """
    for way, package in needs.items():
        if util.find_spec(package) is None:
            parser.error(
                f"{way} needs {package}, which is not installed: "
                f"pip install 'alexnet_keras[{package}]', or choose others"
            )


def as_arguments(options, **others):
    """The command line, a list of words, that gives these options; `others` replace some of them."""
    words = []
    for name, value in {**vars(options), **others}.items():
        if name != "work" and value is not None:
            values = value if isinstance(value, list) else [value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return words


def record(module, options, results):
    """What is stored of a benchmark: `results` with the command, date, machine and versions."""
    from alexnet_keras.record import provenance

    command = shlex.join(["python", "-m", f"benchmarks.{module}", *as_arguments(options)])
    modules = [name for name in _PACKAGES if util.find_spec(name)]
    return {
        **provenance(command, modules=modules),
        "date": datetime.date.today().isoformat(),
        **results,
    }


def machine_words(stored):
    """The machine that results are of; with its GPU, if their `device` is one."""
    machine = f"{stored['machine']['processor']}, {stored['machine']['cores']} cores"
    device = stored.get("device", "").partition(" on ")[2]  # of "JAX on NVIDIA H200"
    return machine if device in ("", stored["machine"]["processor"]) else f"{device} ({machine})"


def store(module, workdir, stored, table, figure=None):
    """Writes `MODULE.json`, `MODULE.md` and `MODULE.png` into `workdir`, and prints the table."""
    from alexnet_keras.files import write_text
    from alexnet_keras.plots import save_figure

    workdir = Path(workdir)
    write_text(workdir / f"{module}.json", json.dumps(stored, indent=1) + "\n")
    words = f"`{stored['command']}`, {stored['date']}, {machine_words(stored)}"
    write_text(workdir / f"{module}.md", f"{words}\n\n{table}\n")
    if figure is not None:
        save_figure(figure, workdir / f"{module}.png")
    print(f"\n{table}\n\nWritten: {workdir / module}.json, .md{', .png' * (figure is not None)}")
