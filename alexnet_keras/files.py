"""Files that are never half-written."""

import contextlib
import os


@contextlib.contextmanager
def replacing(path):
    """Gives the path to write a file to, which takes the name of `path` when it is whole.

    Args:
        path: a `pathlib.Path`; its folder is made if it does not exist.

    Yields:
        The path to write to, with the same suffix.

    Raises:
        OSError: when it cannot be written; what was there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path, text):
    """Writes a text file, which has its name, and the text of before, until it is whole.

    Args:
        path: a `pathlib.Path`; its folder is made if it does not exist.
        text: what it will hold.

    Raises:
        OSError: when it cannot be written; what was there before stays.
    """
    with replacing(path) as partial:
        partial.write_text(text, newline="")
