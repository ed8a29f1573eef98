import time

import pytest

from benchmarks import turns


def test_rate():
    measure = turns.rate(lambda steps: time.sleep(0.05 * steps), seconds=0.5)
    assert measure() == pytest.approx(20, rel=0.1)


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
