"""Files that are never half-written."""

import os


def write_text(path, text):
    """Writes a text file, which has its name, and the text of before, until it is whole.

    Args:
        path: a `pathlib.Path`; its folder is made if it does not exist.
        text: what it will hold.

    Raises:
        OSError: when it cannot be written; what was there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    try:
        partial.write_text(text, newline="")
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
