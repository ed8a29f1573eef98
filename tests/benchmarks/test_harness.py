import io
import shlex
import subprocess
import sys
import time

import pytest

from benchmarks import harness, training


class Clock:
    """A clock that only `pass_by` moves."""

    def __init__(self):
        self.seconds = 0.0

    def perf_counter(self):
        return self.seconds

    def pass_by(self, seconds):
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(harness, "time", clock)
    return clock


def test_rate(clock):
    done = []

    def run(steps):
        done.append(steps)
        clock.pass_by(0.0625 * steps)

    measure = harness.Rate(run, seconds=0.5)
    assert measure() == 16
    # Two steps warm up, and the third shows that 0.5 s have eight steps. Then one warms up again.
    assert done == [1, 1, 1, 1, 8]


def test_rate_does_not_measure_the_steps_that_warm_up(clock):
    done = []

    def run(steps):
        done.append(steps)
        clock.pass_by(0.0625 * steps)

    measure = harness.Rate(run, steps=5, warm_up_steps=8)
    assert measure() == 16
    assert done == [8, 5]


def test_the_seconds_of_a_process_do_not_include_its_exit():
    code = "import atexit, sys, time\natexit.register(time.sleep, float(sys.argv[1]))"
    start = time.time()
    seconds = harness.seconds_to_run(code, "0.5")
    assert 0 < seconds < time.time() - start - 0.5


def test_the_peak_memory_is_that_of_the_process():
    code = (
        "from benchmarks.harness import peak_memory_mib\n"
        "first = peak_memory_mib()\n"
        "held = bytearray(b'x') * 2**26\n"  # 64 MiB
        "del held\n"
        "print(first, peak_memory_mib())"
    )
    held = bytearray(b"x") * 2**27
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert len(held) == 2**27
    first, second = map(float, done.stdout.split())
    assert 5 < first < 100 < 128 < harness.peak_memory_mib()
    assert 60 < second - first < 68


def test_summary():
    rounds = [{"speed": speed} for speed in (5.0, 1.0, 3.0)]
    assert harness.summary(rounds, "speed") == (3.0, 1.0, 5.0)
    assert harness.median_and_range(rounds, "speed") == "3.0 (1.0-5.0)"


def test_medians_and_errors():
    medians, errors = harness.medians_and_errors([(3.0, 1.0, 5.0), (10.0, 9.0, 14.0)])
    assert medians == [3.0, 10.0]
    assert errors == [[2.0, 1.0], [2.0, 4.0]]


def test_bad_options(capsys):
    for arguments in (["--rounds", "0"], ["--seconds", "-1"]):
        with pytest.raises(SystemExit, match="2"):
            harness.parse(harness.create_parser("layers", "text"), arguments)
        assert f"{arguments[0]} must be positive" in capsys.readouterr().err


def test_the_workdir_is_checked_before_anything_is_measured(tmp_path, capsys):
    """Only once: not in the workers."""
    file = tmp_path / "file"
    file.write_text("")
    parser = harness.create_parser("layers", "text")
    for workdir in (file, file / "folder"):
        with pytest.raises(SystemExit, match="2"):
            harness.parse(parser, ["--workdir", str(workdir)])
        message = "`workdir` must be a folder that can be written. Received: workdir="
        assert f"{message}{str(workdir)!r}" in capsys.readouterr().err
    assert harness.parse(parser, ["--workdir", str(tmp_path / "new")]).workdir
    assert not (tmp_path / "new").exists()


def test_a_worker_leaves_the_workdir_unchecked(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setattr("sys.stdin", io.StringIO("go\n"))
    parser = harness.create_parser("layers", "text")
    arguments = ["--workdir", str(file), "--worker", "one"]
    assert harness.parse(parser, arguments, libraries={"one": "json"}).worker == "one"


def test_an_implementation_whose_package_is_missing(capsys):
    parser = harness.create_parser("layers", "text")
    with pytest.raises(SystemExit, match="2"):
        harness.check_installed(parser, {"other": "missing"})
    assert (
        "other needs missing, which is not installed: pip install 'alexnet_keras[missing]'"
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit, match="2"):
        harness.check_installed(parser, {"other": "missing"}, {"missing": "found-as"})
    assert "pip install 'found-as', or choose" in capsys.readouterr().err


def test_the_command_gives_the_same_options():
    parser = harness.create_parser("layers", "text")
    parser.add_argument("--some-layers", nargs="+")
    arguments = ["--some-layers", "conv1", "all weights", "--seconds", "0.5", "--workdir", "out"]
    options = harness.parse(parser, arguments)
    words = shlex.split(harness.record("layers", options, {})["command"])
    assert words[:3] == ["python", "-m", "benchmarks.layers"]
    assert harness.parse(parser, words[3:]) == options
    replaced = harness.as_arguments(options, some_layers=["fc6"])
    assert harness.parse(parser, replaced).some_layers == ["fc6"]


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ({}, "A chip, 2 cores"),
        ({"device": "JAX on A chip"}, "A chip, 2 cores"),
        ({"device": "JAX on A GPU"}, "A GPU (A chip, 2 cores)"),
    ],
)
def test_machine_name(device, expected):
    stored = {"machine": {"processor": "A chip", "cores": 2}, **device}
    assert harness.machine_name(stored) == expected


def test_implementations_that_do_not_fit_into_the_memory_follow_later(monkeypatch):
    groups = []

    def measure_group(module, environments, arguments, rounds, measured):
        groups.append(list(environments))
        for name in environments:
            measured[name]["description"] = name.upper()
            measured[name]["rounds"] += [{"speed": 1.0}] * rounds

    monkeypatch.setattr(harness, "_measure_group", measure_group)
    environments = {name: {} for name in ("a", "b", "c", "limit")}
    measured = harness.measure_in_rounds(
        "training", environments, [], 2, at_once=3, always=("limit",)
    )
    assert groups == [["a", "b", "limit"], ["c", "limit"]]
    assert list(measured) == ["a", "b", "c", "limit"]
    counts = {name: len(result["rounds"]) for name, result in measured.items()}
    assert counts == {"a": 2, "b": 2, "c": 2, "limit": 4}
    groups.clear()
    harness.measure_in_rounds("training", environments, [], 2)
    assert groups == [["a", "b", "c", "limit"]]


def test_at_once_includes_the_limit(capsys):
    with pytest.raises(SystemExit, match="2"):
        training.main(["--at-once", "1"])
    assert "--at-once must be at least 2" in capsys.readouterr().err


WORKER = """
import json, sys
path, name = sys.argv[1:]

def answer(event, values):
    with open(path, "a") as file:
        file.write(f"{name} {event}\\n")
    print(json.dumps(values), flush=True)

answer("imports", {})
sys.stdin.readline()
if name == "broken":
    sys.exit(3)
answer("warms up", {"description": name.upper()})
for _ in sys.stdin:
    answer("measures", {"speed": 1.0})
"""


def test_all_import_at_once_and_measure_one_at_a_time(tmp_path, monkeypatch):
    popen = subprocess.Popen
    path = tmp_path / "events"

    def start(command, **options):
        return popen([sys.executable, "-c", WORKER, path, command[-1]], **options)

    monkeypatch.setattr(harness.subprocess, "Popen", start)
    measured = harness.measure_in_rounds("training", {"a": {}, "b": {}}, [], 2)
    events = path.read_text().splitlines()
    assert sorted(events[:2]) == ["a imports", "b imports"]
    assert events[2:] == ["a warms up", "b warms up", *["a measures", "b measures"] * 2]
    assert measured["a"] == {"description": "A", "rounds": [{"speed": 1.0}] * 2}
    with pytest.raises(SystemExit, match="broken has ended with exit status 3"):
        harness.measure_in_rounds("training", {"a": {}, "broken": {}}, [], 1)
