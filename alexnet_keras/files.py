"""Atomic file writes, reads whose errors name the file, and locked folders."""

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

LOCK = "lock"  # the lock file in a folder
_PARTIAL = re.compile(r"partial-[0-9a-f]{12}-")  # the start of a temporary name
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


def expand_home(path: str | os.PathLike) -> Path:
    """Returns a path with the home folder for `~`.

    `Path.expanduser` raises an error for a name such as `~photo.jpg`; here it stays as it is.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111


def check_writable(folder: Path, argument: str = "workdir", kind: str = "a folder") -> None:
    """Raises a `ValueError` for a folder that can't be made or written.

    Args:
        folder: a `pathlib.Path`.
        argument: name of the argument in the message.
        kind: kind of the argument in the message.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(
            f"`{argument}` must be {kind} that can be written. Received: {argument}={str(folder)!r}"
        )


def check_suffix(path: str | os.PathLike, suffix: str, argument: str = "path") -> None:
    """Raises a `ValueError` for a path with another ending.

    Args:
        path: path of a file.
        suffix: expected ending, such as `".npz"`.
        argument: name of the argument in the message.
    """
    if Path(path).suffix != suffix:
        raise ValueError(
            f"`{argument}` must end in {suffix}. Received: {argument}={os.fspath(path)!r}"
        )


def read_json(path: Path, *names: str) -> dict:
    """Reads a JSON object from a file.

    Args:
        path: a `pathlib.Path`.
        *names: names that the object must have.

    Returns:
        A dict.

    Raises:
        ValueError: for a file that is not a JSON object with these names; the message names the
            file.
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


def read_npz(path: str | os.PathLike, *names: str) -> list:
    """Reads arrays from an `.npz` file.

    Args:
        path: path of the file.
        *names: names of the arrays.

    Returns:
        A list of the arrays, in the order of `names`.

    Raises:
        ValueError: for a file that is not an `.npz` file with these arrays; the message names the
            file.
    """
    try:
        with open(path, "rb") as opened:
            if not zipfile.is_zipfile(opened):  # NumPy's message would advise unpickling
                raise ValueError("not a zip archive")
            # NumPy leaves a damaged file open that it has opened itself.
            opened.seek(0)
            with np.load(opened) as file:
                return [file[name] for name in names]
    except Exception as error:  # a damaged file raises more errors than NumPy documents
        raise ValueError(
            f"{path} must be an .npz file with {', '.join(names)}. It is damaged, or another "
            f"file: {error}"
        ) from error


def sha256(path: str | os.PathLike) -> str:
    """Returns the SHA-256 hash of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(text: str) -> str:
    """Returns a text with escapes for the bytes of a file name that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def raise_error(error: OSError) -> None:
    """Raises an error: the `onerror` of an `os.walk` that may leave out no folder."""
    raise error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context that replaces a file at its end, and only if its body succeeds.

    Several processes may write the file at once. Each has a temporary file of its own, and the last
    one stays.

    Args:
        path: a `pathlib.Path`; its folder is made if it does not exist.

    Yields:
        The temporary path to write to, with the same suffix.

    Raises:
        OSError: if it can't be written; the previous file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_partial_files(folder: Path) -> None:
    """Removes the temporary files that a killed process has left in a folder.

    Args:
        folder: a `pathlib.Path`, which no other process uses.
    """
    for path in folder.glob("partial-*"):
        if _PARTIAL.match(path.name):
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically.

    Args:
        path: a `pathlib.Path`; its folder is made if it does not exist.
        text: new content.

    Raises:
        OSError: if it can't be written; the previous file stays.
    """
    with replacing(path) as partial:
        partial.write_text(text, newline="")


@contextlib.contextmanager
def holding(folder: Path, argument: str = "workdir") -> Iterator[None]:
    """Context in which this process holds the lock of a folder.

    The operating system releases the lock when the process ends, even if it is killed. Without
    locks in the file system, a line is printed. Temporary files of a killed process are removed.

    Args:
        folder: a `pathlib.Path`; it is made if it does not exist, and removed if it is then empty.
        argument: name of the argument in the message.

    Raises:
        ValueError: if another process holds it; the message names that process. Also if the folder
            has a file of this name that is not a lock.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    descriptor = _lock(folder, argument)
    try:
        _check_own(descriptor, folder, argument)
    except ValueError:
        os.close(descriptor)
        raise
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)  # `_check_own` has read the file
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        remove_partial_files(folder)
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
            for path in made:
                path.rmdir()
        os.close(descriptor)


def _lock(folder, argument):
    """Locks the folder's lock file and returns its descriptor."""
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
                f"`{argument}` must be a folder that no other process uses. Received: "
                f"{argument}={str(folder)!r}, which {holder} uses. Wait until it ends, or stop it"
            ) from error
        print(
            f"{folder} can't be locked ({error}). Let no other process use it at the same time",
            flush=True,
        )


def _check_own(descriptor, folder, argument):
    """Raises a `ValueError` for a file that no process wrote as its lock."""
    content = os.read(descriptor, 1000)
    if content and not content.startswith(b"process "):
        raise ValueError(
            f"`{argument}` must be a folder without a file {LOCK!r} of yours, which the lock would "
            f"replace. Received: {argument}={str(folder)!r}"
        )


def _is_at(descriptor, path):
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
