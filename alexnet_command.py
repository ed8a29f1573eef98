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
    """Runs the command line of `alexnet`. Returns nothing, as a script exits with what this returns.

    Args:
        arguments: list of command-line arguments; `None` for those of the process.
    """
    with package_put_off():
        from alexnet_keras import cli

        cli.main(arguments)


def run(name, arguments=None):
    """Runs one command as `python -m experiments.NAME`.

    Args:
        name: name of the command, such as `"train"`.
        arguments: list of command-line arguments; `None` for those of the process.

    Returns:
        Result of the command.
    """
    with package_put_off():
        from alexnet_keras import cli

        return cli.run(name, arguments, prog=f"python -m experiments.{name}")


@contextlib.contextmanager
def package_put_off():
    """Context in which the package's modules are imported without its `__init__.py`.

    The modules stay imported, and the next import of the package itself runs its `__init__.py`.
    The context changes nothing if the package has been imported already.
    """
    if _PACKAGE not in sys.modules:
        spec = importlib.util.find_spec(_PACKAGE)
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        if not hasattr(sys.modules[_PACKAGE], "__all__"):  # the next import runs `__init__.py`
            del sys.modules[_PACKAGE]
