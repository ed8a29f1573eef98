"""The folder of the stored results: the repository's, or a copy of the wheel's."""

import shutil
from pathlib import Path

from alexnet_keras.files import check_writable, replacing

_PACKAGE = Path(__file__).parents[1]
_IN_WHEEL = _PACKAGE / "stored_results"  # only an installed wheel has it


def results_folder() -> Path:
    """Returns the folder of the stored results, into which an experiment writes.

    In a checkout, it is `results` of the repository. With an installed wheel, it is `results` in
    the current folder. This one gets the wheel's files that it lacks, as nothing is written into
    an installed package.

    Raises:
        ValueError: if the current folder can't be written.
    """
    if _IN_WHEEL.is_dir():
        folder = Path("results")
        _copy_missing(_IN_WHEEL, folder)
        return folder
    folder = _PACKAGE.parent / "results"
    if folder.is_relative_to(Path.cwd()):
        return folder.relative_to(Path.cwd())
    return folder


def _copy_missing(source, target):
    paths = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
    missing = [path for path in paths if not (target / path).exists()]
    if not missing:
        return
    check_writable(target)
    for path in missing:
        with replacing(target / path) as partial:
            shutil.copyfile(source / path, partial)
    print(f"Stored results: {len(missing)} copied from the wheel to {target}", flush=True)
