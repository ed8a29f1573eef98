"""Shared parts of the benchmarks: rounds of measurements, statistics, command lines, records.

The implementations that a benchmark compares run in processes of their own. In every round each
one is measured once, while the others wait.
"""

import argparse
import contextlib
import dataclasses
import datetime
import importlib
import json
import math
import os
import re
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import util
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:  # not in the workers, whose memory some benchmarks measure
    from matplotlib.figure import Figure

ENVIRONMENT = {  # of all workers
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # TensorFlow's fast kernels on every processor, as `import alexnet_keras` sets it.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # The processes share the memory of a GPU, most of which the first would take by default.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
# By default glibc returns freed memory to the system in every step, which slows PyTorch on a CPU.
# TensorFlow keeps its memory anyway.
_BACKEND_ENVIRONMENTS = {"torch": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}}
# Precisions, and Keras' dtype policies for them.
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy")


@dataclasses.dataclass(frozen=True)
class Implementation:
    """An implementation that a benchmark compares.

    Args:
        backend: backend of Keras; `"torch"` for PyTorch without Keras.
        label: name in tables and figures.
    """

    backend: str
    label: str


def environment(backend: str) -> dict[str, str]:
    """Returns the environment variables of a process that computes with a backend.

    Args:
        backend: backend of Keras; `"torch"` for PyTorch without Keras.
    """
    return {"KERAS_BACKEND": backend, **_BACKEND_ENVIRONMENTS.get(backend, {})}


def measure_in_rounds(
    module: str,
    environments: dict[str, dict],
    arguments: list[str],
    rounds: int,
    *,
    at_once: int | None = None,
    always: tuple[str, ...] = (),
) -> dict[str, dict]:
    """Measures implementations, each in a process of its own, in rounds.

    A process runs `python -m benchmarks.MODULE ARGUMENTS --worker IMPLEMENTATION`, which calls
    `serve`. All processes import their libraries at the same time. Then each warms up by itself,
    which is not measured.

    Args:
        module: name of the benchmark.
        environments: dict from the implementations' names to environment variables, besides those
            of this process.
        arguments: command-line arguments of every process.
        rounds: measurements of each implementation.
        at_once: number of processes that fit into the memory. Further implementations follow when
            the first ones have ended. By default all run at once.
        always: names of implementations that each of these groups measures again, such as the
            machine's limit.

    Returns:
        dict from the names to `{"rounds": list of dicts of figures, "description": device}`.

    Raises:
        SystemExit: if a process ends early.
    """
    others = [name for name in environments if name not in always]
    size = len(others)
    if at_once is not None:
        size = max(1, at_once - len(always))
    measured = {name: {"rounds": []} for name in environments}
    for start in range(0, len(others), size):
        names = (*others[start : start + size], *always)
        group = {name: environments[name] for name in names}
        _measure_group(module, group, arguments, rounds, measured)
    return measured


def run_worker(module: str, name: str, arguments: list[str], variables: dict[str, str]) -> None:
    """Lets a process of its own do what the other processes need, such as write their files.

    Args:
        module: name of the benchmark.
        name: value of its `--worker`.
        arguments: command-line arguments.
        variables: environment variables, added to the ones of this process.

    Raises:
        SystemExit: if the process ends early.
    """
    worker = _Worker(module, name, arguments, variables)
    try:
        worker.answer()
        worker.ask()
    finally:
        worker.end()


def _measure_group(module, environments, arguments, rounds, measured):
    """Measures those implementations whose processes run at the same time."""
    workers = {}
    try:
        for name, variables in environments.items():
            workers[name] = _Worker(module, name, arguments, variables)
        for worker in workers.values():
            worker.answer()  # it has imported its libraries
        for name, worker in workers.items():
            print(f"{module}: {name} warms up", flush=True)
            measured[name]["description"] = worker.ask()["description"]
        for _ in tqdm(range(rounds), desc=f"Rounds of {module}"):
            for name, worker in workers.items():
                measured[name]["rounds"].append(worker.ask())
    finally:
        for worker in workers.values():
            worker.end()


class _Worker:
    """Process of an implementation. Arguments are as for `measure_in_rounds`."""

    def __init__(self, module, name, arguments, variables):
        self._title = f"python -m benchmarks.{module}: {name}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--worker", name],
            env={**os.environ, **ENVIRONMENT, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self) -> dict:
        """Lets the process continue, and returns its answer."""
        with contextlib.suppress(BrokenPipeError):  # `answer` reports a process that has ended
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict:
        """Waits for the next answer, a dict."""
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries print, too
                return json.loads(line)
        status = self._process.wait()
        sys.exit(f"{self._title} has ended with exit status {status}; see above")

    def end(self) -> None:
        """Ends the process by force, and closes the pipes to it."""
        self._process.kill()
        # What an ended process has not read is still in the pipe.
        with contextlib.suppress(BrokenPipeError), self._process:
            pass


def serve(description: str, measure: Callable[[], dict]) -> None:
    """Measures in a worker process, once for each line of its standard input.

    Args:
        description: device and library; printed first, when the implementation is warm.
        measure: function that returns a dict of figures.
    """
    print(json.dumps({"description": description}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)


class Rate:
    """Measures steps per second. Each call is a measurement, and returns the rate.

    Args:
        run: function that does a given number of steps, and returns when they are done.
        seconds: approximate duration of a measurement, which has at least one step.
        steps: steps of a measurement. By default their number follows from `seconds`; the trial
            for it also warms up.
        warm_up_steps: steps before each measurement, as caches are cold after a wait.
    """

    def __init__(
        self,
        run: Callable[[int], object],
        seconds: float = 3.0,
        steps: int | None = None,
        warm_up_steps: int = 1,
    ):
        self._run = run
        self._steps = steps or self._steps_within(seconds)
        self._warm_up_steps = warm_up_steps

    def __call__(self) -> float:
        self._run(self._warm_up_steps)
        return self._steps / self._seconds(self._steps)

    def _seconds(self, steps):
        start = time.perf_counter()
        self._run(steps)
        return time.perf_counter() - start

    def _steps_within(self, seconds):
        for _ in range(2):  # torch.compile records its CUDA graphs in the second call
            self._run(1)
        steps = 1
        passed = self._seconds(steps)
        while 10 * passed < seconds:
            steps *= 10  # few steps are mostly overhead
            passed = self._seconds(steps)
        return max(1, math.ceil(steps * seconds / passed))


def seconds_to_run(code: str, *arguments: str, **options) -> float:
    """Returns the seconds in which a new Python process starts and runs code, without its exit.

    Args:
        code: Python code.
        *arguments: its command-line arguments.
        **options: options of `subprocess.run`.
    """
    command = [sys.executable, "-c", f"{code}\nimport time\nprint(time.time())", *arguments]
    start = time.time()
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options)
    return float(ended.stdout.split()[-1]) - start


def peak_memory_mib() -> float:
    """Returns the peak memory of this process in MiB."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS
    # On Linux, `ru_maxrss` of a new process begins with the memory of the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def summary(rounds: list[dict], figure: str) -> tuple[float, float, float]:
    """Returns median, minimum and maximum of a figure over the rounds."""
    values = [measured[figure] for measured in rounds]
    return statistics.median(values), min(values), max(values)


def median_and_range(rounds: list[dict], figure: str, digits: int = 1) -> str:
    """Returns the median of a figure and its range as text."""
    median, low, high = summary(rounds, figure)
    return f"{median:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def medians_and_errors(
    summaries: Iterable[tuple[float, float, float]],
) -> tuple[list[float], list[list[float]]]:
    """Returns the medians of summaries, and their error bars as matplotlib takes them.

    Args:
        summaries: results of `summary`.

    Returns:
        `(medians, [below, above])`; the distances reach from the medians to minimum and maximum.
    """
    medians = []
    below = []
    above = []
    for median, low, high in summaries:
        medians.append(median)
        below.append(median - low)
        above.append(high - median)
    return medians, [below, above]


def create_parser(
    module: str, description: str, rounds: int = 5, takes_seconds: bool = True
) -> argparse.ArgumentParser:
    """Returns a parser with the options of all benchmarks.

    Args:
        module: name of the benchmark.
        description: docstring of its module.
        rounds: default number of rounds.
        takes_seconds: whether a measurement may be as long as wanted. Otherwise it is one step.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=rounds,
        help=f"measurements of each implementation (default: {rounds})",
    )
    if takes_seconds:
        parser.add_argument(
            "--seconds",
            type=float,
            default=3.0,
            help="approximate duration of a measurement, at least one step (default: 3)",
        )
    parser.add_argument(
        "--workdir",
        default="results/benchmarks",
        help="folder of the results (default: results/benchmarks)",
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


def parse(
    parser: argparse.ArgumentParser,
    arguments: list[str] | None,
    positive: tuple[str, ...] = (),
    libraries: Mapping[str, str] = MappingProxyType({}),
) -> argparse.Namespace:
    """Returns the parsed options. Bad ones end the process with an error.

    A worker process leaves the workdir unchecked. It imports the implementation's library and
    waits until the implementation may warm up.

    Args:
        parser: parser of the benchmark.
        arguments: command-line arguments; `None` for the process' own.
        positive: names of options that must be positive, besides the common ones.
        libraries: dict from the names of workers to the modules that they import; Keras for others.
    """
    options = parser.parse_args(arguments)
    for name in ("rounds", "seconds", *positive):
        for value in _as_list(getattr(options, name, [])):
            if value <= 0:
                parser.error(f"--{name.replace('_', '-')} must be positive. Received: {value}")
    if options.worker:
        library = libraries.get(options.worker, "keras")
        importlib.import_module(library)
        print(json.dumps({"library": library}), flush=True)
        if not sys.stdin.readline():  # the benchmark has ended
            sys.exit(1)
    else:
        check_workdir(parser, options.workdir)
    return options


def check_workdir(parser: argparse.ArgumentParser, workdir: str | Path) -> None:
    """Ends the process with an error for a folder that can't be made or written."""
    from alexnet_keras.files import check_writable

    try:
        check_writable(Path(workdir))
    except ValueError as error:
        parser.error(str(error))


def check_alexnet_presets(
    parser: argparse.ArgumentParser, flag: str, presets: Iterable[str]
) -> None:
    """Ends the process with an error for anything but presets of AlexNet."""
    from alexnet_keras.models.alexnet_config import PRESETS

    unknown = [preset for preset in presets if preset not in PRESETS]
    if unknown:
        parser.error(
            f"{flag} must be among the presets of AlexNet, {', '.join(PRESETS)}. "
            f"Received: {', '.join(unknown)}"
        )


def check_installed(
    parser: argparse.ArgumentParser,
    needs: dict[str, str],
    distributions: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Ends the process with an error if a package is missing.

    Args:
        parser: parser of the benchmark.
        needs: dict from the implementations' names to packages.
        distributions: dict from packages to what pip installs for them; by default the extra of the
            package's name.
    """
    for name, package in needs.items():
        if util.find_spec(package) is None:
            distribution = distributions.get(package, f"alexnet_keras[{package}]")
            parser.error(
                f"{name} needs {package}, which is not installed: "
                f"pip install '{distribution}', or choose other implementations"
            )


def as_arguments(options: argparse.Namespace, **replaced) -> list[str]:
    """Returns the command-line arguments that give these options, some of them replaced."""
    words = []
    for name, value in {**vars(options), **replaced}.items():
        if name == "worker" or value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words += map(str, _as_list(value))
    return words


def _as_list(value):
    return value if isinstance(value, list) else [value]


def record(
    module: str, options: argparse.Namespace, results: dict, modules: Iterable[str] = ()
) -> dict:
    """Returns results with the command, date, machine and versions, as they are stored.

    Args:
        module: name of the benchmark.
        options: its options.
        results: its measurements.
        modules: names of further modules that the workers have imported, for their versions.
    """
    from alexnet_keras.record import provenance

    command = shlex.join(["python", "-m", f"benchmarks.{module}", *as_arguments(options)])
    installed = [name for name in _PACKAGES if util.find_spec(name)]
    return {
        **provenance(command, modules=[*installed, *modules]),
        "date": datetime.date.today().isoformat(),
        **results,
    }


def machine_name(stored: dict) -> str:
    """Returns the machine of stored results, with its GPU if their `device` is one."""
    machine = f"{stored['machine']['processor']}, {stored['machine']['cores']} cores"
    device = stored.get("device", "").partition(" on ")[2]  # as in "JAX on NVIDIA H200"
    return machine if device in ("", stored["machine"]["processor"]) else f"{device} ({machine})"


def store_partial(module: str, workdir: str | Path, stored: dict) -> None:
    """Writes the results so far to `MODULE_partial.json`, which `store` removes.

    The results of an earlier run stay until a benchmark has measured everything.

    Args:
        module: name of the benchmark.
        workdir: folder of the results.
        stored: content of the file.
    """
    from alexnet_keras.files import write_text

    write_text(_partial_path(module, workdir), json.dumps(stored, indent=1) + "\n")


def _partial_path(module, workdir):
    return Path(workdir) / f"{module}_partial.json"


def store(
    module: str, workdir: str | Path, stored: dict, table: str, figure: "Figure | None" = None
) -> None:
    """Writes `MODULE.json`, `MODULE.md` and `MODULE.png`, and prints the table.

    Args:
        module: name of the benchmark.
        workdir: folder of the results.
        stored: content of the JSON file.
        table: the results as Markdown.
        figure: a matplotlib figure, or `None`.
    """
    from alexnet_keras.files import write_text
    from alexnet_keras.plots import save_figure

    path = Path(workdir) / module
    suffixes = ".json, .md"
    write_text(path.with_suffix(".json"), json.dumps(stored, indent=1) + "\n")
    heading = f"`{stored['command']}`, {stored['date']}, {machine_name(stored)}"
    write_text(path.with_suffix(".md"), f"{heading}\n\n{table}\n")
    if figure is not None:
        save_figure(figure, path.with_suffix(".png"))
        suffixes += ", .png"
    _partial_path(module, workdir).unlink(missing_ok=True)
    print(f"\n{table}\n\nResults: {path}{suffixes}")
