"""The console command `alexnet`, in a separate module that parses options without Keras.

`import alexnet_keras` imports Keras, and so registers the layers of a saved model, which
`keras.saving.load_model` can then load. A lazy import would break that. But importing Keras takes
seconds, which `alexnet train --help` must not take.

So this module registers the package `alexnet_keras` without running its `__init__.py`, and then
imports `alexnet_keras.cli`, which needs no Keras. A command runs this `__init__.py` after its
options are parsed (`alexnet_keras.cli.command.import_package`). Programs that import
`alexnet_keras` are not affected.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

_PACKAGE = "alexnet_keras"


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line of `alexnet`.

    It returns `None`, as a console script exits with the returned value.

    Args:
        arguments: list of command-line arguments; `None` for `sys.argv[1:]`.
    """
    with package_put_off():
        from alexnet_keras import cli

        cli.main(arguments)


def run(name: str, arguments: list[str] | None = None) -> Any:
    """Runs one command as `python -m experiments.NAME`.

    Args:
        name: name of the command, such as `"train"`.
        arguments: list of command-line arguments; `None` for `sys.argv[1:]`.

    Returns:
        Result of the command.
    """
    with package_put_off():
        from alexnet_keras import cli

        return cli.run(name, arguments, prog=f"python -m experiments.{name}")


@contextlib.contextmanager
def package_put_off() -> Iterator[None]:
    """Context in which the package's modules are imported without its `__init__.py`.

    The modules stay imported, and the next import of the package itself runs its `__init__.py`.
    The context changes nothing if the package has been imported already.
    """
    if _PACKAGE not in sys.modules:
        spec = importlib.util.find_spec(_PACKAGE)
        assert spec is not None  # this module is installed with the package
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        if not hasattr(sys.modules[_PACKAGE], "__all__"):  # the next import runs `__init__.py`
            del sys.modules[_PACKAGE]
