"""The console command `alexnet`, in a module of its own so that it parses options without Keras.

`import alexnet_keras` imports Keras, and so registers the layers of a saved model, which
`keras.saving.load_model` can then load. An import that put this off until a name is used would
break that. Importing Keras takes seconds, however, which `alexnet train --help` must not take.

So this module makes the package `alexnet_keras` known without running its `__init__.py`, and then
imports `alexnet_keras.cli`, which needs no Keras. A command runs that `__init__.py` when its
options are parsed (`alexnet_keras.cli.command.import_package`). A program that imports
`alexnet_keras` never sees the difference.
"""

import contextlib
import importlib.util
import sys

_PACKAGE = "alexnet_keras"


def main(arguments=None):
    """Runs the command line of `alexnet`.

    Args:
        arguments: list of command-line arguments; `None` for those of the process.
    """
    with _package_without_keras():
        from alexnet_keras.cli import main as run_alexnet

        return run_alexnet(arguments)


def run(name, arguments=None):
    """Runs a command of `alexnet` as `python -m experiments.NAME`.

    Args:
        name: name of the command, such as `"train"`.
        arguments: list of command-line arguments; `None` for those of the process.
    """
    with _package_without_keras():
        from alexnet_keras.cli import run

        return run(name, arguments, prog=f"python -m experiments.{name}")


@contextlib.contextmanager
def _package_without_keras():
    """Context in which modules of the package are imported without its `__init__.py`."""
    if _PACKAGE in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(_PACKAGE)
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    try:
        yield
    finally:
        if not hasattr(package, "__all__"):  # a later import must run `__init__.py`
            names = [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]
            for name in names:
                del sys.modules[name]
