"""Provenance of results, and checks of a folder's stored settings."""

import json
from collections.abc import Iterable
from pathlib import Path

from alexnet_keras.environment import machine, versions
from alexnet_keras.files import LOCK, read_json


def provenance(command: str | None, *, modules: Iterable[str] = (), **details) -> dict:
    """Returns the command, machine and library versions of a result.

    Args:
        command: command line, or `None` for a call from Python.
        modules: names of modules that other processes have imported; their versions are added.
        **details: further facts about the machine, such as `devices="CPU: ..."`.

    Returns:
        dict with `command`, `machine` and `versions`.
    """
    return {
        "command": command,
        "machine": {**details, **machine()},
        "versions": versions(modules),
    }


def as_stored(settings: dict) -> dict:
    """Returns settings as a JSON file stores them: tuples as lists, keys as strings."""
    return json.loads(json.dumps(settings))


def differences(
    requested: dict, stored: dict, names: Iterable[str] | None = None, owner: str = ""
) -> list[str]:
    """Describes the settings that differ, one string for each.

    Args:
        requested: settings of this call, as `as_stored` gives them.
        stored: settings in the folder.
        names: settings to compare; `None` for all of both.
        owner: name of the settings, if the folder has several of them.

    Returns:
        List of strings such as `"seed: stored 0, requested 1"`; empty for equal settings.
    """
    names = (
        [*requested, *(name for name in stored if name not in requested)]
        if names is None
        else names
    )
    suffix = f" of {owner}" if owner else ""
    return [
        f"{name}{suffix}: stored {stored.get(name)!r}, requested {requested.get(name)!r}"
        for name in names
        if stored.get(name) != requested.get(name)
    ]


def settings_error(
    folder: str | Path, found: Iterable[str], *, argument: str = "workdir", expected: str
) -> ValueError:
    """Returns the error for a folder that belongs to another request.

    Args:
        folder: the folder.
        found: descriptions of the differences.
        argument: name of the argument that gives the folder.
        expected: expected value of the argument, such as `"a new folder, or one of the same
            experiment"`.
    """
    return ValueError(
        f"`{argument}` must be {expected}. Received: {argument}={str(folder)!r}, which holds "
        f"other settings: {'; '.join(found)}"
    )


def check_folder(
    path: Path,
    requested: dict,
    names: Iterable[str] | None = None,
    *,
    argument: str = "workdir",
    expected: str,
) -> None:
    """Checks that a folder is new, or that its stored settings are the requested ones.

    Args:
        path: path of the JSON file of settings in the folder.
        requested: settings of this call.
        names: settings to compare; `None` for all of both.
        argument, expected: as for `settings_error`.

    Raises:
        ValueError: if the settings differ, or the folder has files but no settings.
    """
    folder = path.parent
    if path.exists():
        found = differences(as_stored(requested), read_json(path), names)
        if found:
            raise settings_error(folder, found, argument=argument, expected=expected)
    elif folder.exists() and any(file.name != LOCK for file in folder.iterdir()):
        raise ValueError(
            f"`{argument}` must be {expected}. Received: {argument}={str(folder)!r}, which holds "
            f"other files and no {path.name}"
        )
