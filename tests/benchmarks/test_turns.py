import shlex
import subprocess
import sys
import time

import pytest

from benchmarks import training, turns


def test_rate():
    measure = turns.rate(lambda steps: time.sleep(0.05 * steps), seconds=0.5)
    assert measure() == pytest.approx(20, rel=0.1)


def test_rate_does_not_measure_the_steps_before():
    done = []

    def step(steps):
        done.append(steps)
        time.sleep(0.01 * steps)

    measure = turns.rate(step, steps=5, before=8)
    assert (
        45 < measure() <= 100
    )  # 5 steps in 0.05 s; with those before they would take 0.13 s, 38 a second
    assert done == [8, 5]


def test_summary():
    figures = [{"speed": speed} for speed in (5.0, 1.0, 3.0)]
    assert turns.summary(figures, "speed") == (3.0, 1.0, 5.0)
    assert turns.in_words(figures, "speed") == "3.0 (1.0-5.0)"


def test_bad_options(capsys):
    for arguments in (["--rounds", "0"], ["--seconds", "-1"]):
        with pytest.raises(SystemExit, match="2"):
            turns.parse(turns.parser("layers", "words"), arguments)
        assert f"{arguments[0]} must be positive" in capsys.readouterr().err


def test_a_way_that_cannot_be_measured(capsys):
    with pytest.raises(SystemExit, match="2"):
        turns.check_installed(turns.parser("layers", "words"), {"theirs": "no_such_package"})
    assert "theirs needs no_such_package, which is not installed" in capsys.readouterr().err


def test_the_command_gives_the_same_options():
    parser = turns.parser("layers", "words")
    parser.add_argument("--some-layers", nargs="+")
    options = turns.parse(
        parser, ["--some-layers", "conv1", "all weights", "--seconds", "0.5", "--workdir", "there"]
    )
    words = shlex.split(turns.record("layers", options, {})["command"])
    assert words[:3] == ["python", "-m", "benchmarks.layers"]
    assert turns.parse(parser, words[3:]) == options
    assert turns.parse(parser, turns.as_arguments(options, some_layers=["fc6"])).some_layers == [
        "fc6"
    ]


def test_machine_words():
    machine = {"processor": "A chip", "cores": 2}
    assert turns.machine_words({"machine": machine}) == "A chip, 2 cores"
    assert turns.machine_words({"machine": machine, "device": "JAX on A chip"}) == "A chip, 2 cores"
    assert (
        turns.machine_words({"machine": machine, "device": "JAX on A GPU"})
        == "A GPU (A chip, 2 cores)"
    )


def test_ways_that_the_memory_has_no_room_for_come_later(monkeypatch):
    shifts = []

    def take(module, ways, arguments, rounds, measured):
        shifts.append(list(ways))
        for way in ways:
            measured[way]["words"] = f"{way} words"
            measured[way]["turns"] += [{"speed": 1.0}] * rounds

    monkeypatch.setattr(turns, "_take_turns", take)
    ways = {way: {} for way in ("a", "b", "c", "limit")}
    measured = turns.take_turns("training", ways, [], 2, at_once=3, always=("limit",))
    assert shifts == [["a", "b", "limit"], ["c", "limit"]]
    assert list(measured) == ["a", "b", "c", "limit"]
    assert {way: len(its["turns"]) for way, its in measured.items()} == {
        "a": 2,
        "b": 2,
        "c": 2,
        "limit": 4,
    }
    shifts.clear()
    turns.take_turns("training", ways, [], 2)
    assert shifts == [["a", "b", "c", "limit"]]
    with pytest.raises(SystemExit, match="2"):
        training.main(["--at-once", "1"])


WAY = """
import json, sys
path, way = sys.argv[1:]

def say(event, answer):
    with open(path, "a") as file:
        file.write(f"{way} {event}\\n")
    print(json.dumps(answer), flush=True)

say("imports", {})
sys.stdin.readline()
if way == "broken":
    sys.exit(3)
say("warms up", {"words": way.upper()})
for _ in sys.stdin:
    say("works", {"speed": 1.0})
"""


def test_all_import_at_once_then_one_works_at_a_time(tmp_path, monkeypatch):
    popen, path = subprocess.Popen, tmp_path / "events"

    def start(command, **options):
        return popen([sys.executable, "-c", WAY, path, command[-1]], **options)

    monkeypatch.setattr(turns.subprocess, "Popen", start)
    measured = turns.take_turns("training", {"a": {}, "b": {}}, [], 2)
    events = path.read_text().splitlines()
    assert sorted(events[:2]) == ["a imports", "b imports"]
    assert events[2:] == ["a warms up", "b warms up", *["a works", "b works"] * 2]
    assert measured["a"] == {"words": "A", "turns": [{"speed": 1.0}] * 2}
    with pytest.raises(SystemExit, match="broken has ended with exit status 3"):
        turns.take_turns("training", {"a": {}, "broken": {}}, [], 1)
