"""The console command `alexnet`, in a module of its own so that it parses options without Keras.

`import alexnet_keras` imports Keras, and so registers the layers of a saved model, which
`keras.saving.load_model` can then load. An import that put this off until a name is used would
break that. Importing Keras takes seconds, however, which `alexnet train --help` must not take.

So this module makes the package `alexnet_keras` known without running its `__init__.py`, and then
imports `alexnet_keras.cli`, which needs no Keras. A command runs that `__init__.py` when its
options are parsed (`alexnet_keras.cli.command.import_package`). A program that imports
`alexnet_keras` never sees the difference.
"""

import importlib.util
import sys

_PACKAGE = "alexnet_keras"


def main(arguments=None):
    """Runs the command line of `alexnet`.

    Args:
        arguments: list of command-line arguments; `None` for those of the process.

    Returns:
        Result of the command.
    """
    put_off_package()
    try:
        from alexnet_keras.cli import main as run_alexnet

        return run_alexnet(arguments)
    finally:
        _forget_package()


def put_off_package():
    """Makes the package known without running its `__init__.py`, if it has not been imported yet."""
    if _PACKAGE not in sys.modules:
        spec = importlib.util.find_spec(_PACKAGE)
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)


def _forget_package():
    """Forgets the package if its `__init__.py` has not run, so that the next import runs it."""
    if not hasattr(sys.modules[_PACKAGE], "__all__"):
        for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
            del sys.modules[name]
