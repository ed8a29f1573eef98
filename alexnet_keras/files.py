"""Atomic file writes, reads whose errors name the file, and folders that one process holds."""

import contextlib
import errno
import json
import os
import socket
import zipfile

import numpy as np

LOCK = "lock"  # the file in a folder that is held
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


def check_writable(folder, argument="workdir", kind="a folder"):
    """Raises a `ValueError` for a folder that can't be made, or that can't be written.

    Args:
        folder: a `pathlib.Path`.
        argument: name of the argument in the message.
        kind: what the argument is, in words.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(
            f"`{argument}` must be {kind} that can be written. Received: {argument}={str(folder)!r}"
        )


def read_json(path, *names):
    """Reads a JSON object from a file.

    Args:
        path: a `pathlib.Path`.
        *names: names that the object must have.

    Returns:
        A dict.

    Raises:
        ValueError: for a file that is not a JSON object with these names; the message names the file.
        OSError: for a file that can't be read.
    """
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f"{path} must be a JSON file. It is damaged, or another file: {error}"
        ) from error
    missing = [name for name in names if not isinstance(content, dict) or name not in content]
    if not isinstance(content, dict) or missing:
        raise ValueError(
            f"{path} must be a JSON object{' with ' + ', '.join(names) if names else ''}. It is not"
        )
    return content


def read_npz(path, *names):
    """Reads arrays from an `.npz` file.

    Args:
        path: path of the file.
        *names: names of the arrays.

    Returns:
        A list of the arrays, in the order of `names`.

    Raises:
        ValueError: for a file that is not an `.npz` file with these arrays; the message names the file.
    """
    try:
        with open(path, "rb") as opened:
            if not zipfile.is_zipfile(opened):  # NumPy would advise to unpickle it
                raise ValueError("not a zip archive")
        with np.load(path) as file:
            return [file[name] for name in names]
    except Exception as error:  # a file can be wrong in more ways than NumPy documents
        raise ValueError(
            f"{path} must be an .npz file with {', '.join(names)}. It is damaged, or another file: {error}"
        ) from error


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


@contextlib.contextmanager
def holding(folder, argument="workdir"):
    """Holds a folder, so that no other process can hold it too.

    The operating system gives the folder free when the process ends, also when it is killed. Where the file system has
    no locks, a line says so.

    Args:
        folder: a `pathlib.Path`; it is made if it does not exist, and removed again if it is left empty.
        argument: name of the argument in the message.

    Raises:
        ValueError: when another process holds it; the message says which.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    descriptor = _lock(folder, argument)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
            for path in made:
                path.rmdir()
        os.close(descriptor)


def _lock(folder, argument):
    """The descriptor of the folder's lock file, which is locked."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another process has just removed the folder
            continue
        try:
            _lock_or_refuse(descriptor, folder, argument)
            if _is_at(descriptor, folder / LOCK):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the process that held it has just removed it


def _lock_or_refuse(descriptor, folder, argument):
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (OSError, ImportError) as error:
        if getattr(error, "errno", None) in _HELD:
            holder = os.read(descriptor, 1000).decode(errors="replace") or "another process"
            raise ValueError(
                f"`{argument}` must be a folder that no other process uses. Received: {argument}={str(folder)!r}, "
                f"which {holder} uses. Wait until it ends, or stop it"
            ) from error
        print(
            f"{folder} can't be locked ({error}). Let no other process use it at the same time",
            flush=True,
        )


def _is_at(descriptor, path):
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
