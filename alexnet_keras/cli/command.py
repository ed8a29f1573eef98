"""Common parts of all commands: import of the package, one-line errors and Ctrl-C."""

import argparse
import importlib
import io
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alexnet_keras.extras import MissingExtraError

INTERRUPTED = 130  # exit status after Ctrl-C, 128 + SIGINT
# Errors that a command prints as one line.
ERRORS = (ValueError, OSError, FloatingPointError, MissingExtraError)


def run_command(
    parser: argparse.ArgumentParser,
    function: Callable[[argparse.Namespace, str], Any],
    arguments: list[str] | None = None,
    resumes: bool = True,
) -> Any:
    """Parses the command line and calls `function(options, command)`.

    An error, or Ctrl-C, ends the process with one line. Characters that the terminal's encoding
    lacks are printed as escapes.

    Args:
        parser: an `argparse.ArgumentParser`.
        function: function of the parsed options and the command line.
        arguments: list of command-line arguments; `None` for `sys.argv[1:]`.
        resumes: as for `print_interrupted`.
    """
    options = parse(parser, arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return function(options, command_line(parser, arguments))
    except ERRORS as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        print_interrupted(parser.prog, resumes)
        sys.exit(INTERRUPTED)


def parse(
    parser: argparse.ArgumentParser, arguments: list[str] | None = None
) -> argparse.Namespace:
    """Parses the command line, with `~` for the home folder: shells leave `--workdir=~/x` as it is.

    Args:
        parser, arguments: as for `run_command`.
    """
    options = parser.parse_args(arguments)
    for name, value in vars(options).items():
        setattr(options, name, _with_home(value))
    return options


def _with_home(value):
    if isinstance(value, list):
        return [_with_home(one) for one in value]
    is_in_home = isinstance(value, str) and (value == "~" or value.startswith("~/"))
    return str(Path(value).expanduser()) if is_in_home else value


def command_line(parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> str:
    """Returns the command line as text, for the record of a result."""
    words = sys.argv[1:] if arguments is None else arguments
    return shlex.join([*parser.prog.split(), *words])


def print_interrupted(prog: str, resumes: bool = True) -> None:
    """Prints that Ctrl-C stopped a command.

    Args:
        prog: name of the command.
        resumes: whether the same command continues where it stopped.
    """
    advice = ". Rerun the same command to resume" if resumes else ""
    print(f"\n{prog}: stopped by Ctrl-C{advice}", file=sys.stderr, flush=True)


def import_package() -> None:
    """Imports Keras and registers the package's classes with it.

    Runs `alexnet_keras/__init__.py` if `alexnet_command` has deferred it.

    Raises:
        MissingExtraError: if the backend of Keras is not installed.
    """
    # TensorFlow reads this when it is imported; it logs the processor at every start otherwise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    package = importlib.import_module("alexnet_keras")
    if not hasattr(package, "__all__"):
        package.__spec__.loader.exec_module(package)  # pyright: ignore[reportOptionalMemberAccess]
