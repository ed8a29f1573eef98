"""Folders of class folders: training images, validation images and files that are left out."""

import collections
import contextlib
import dataclasses
import hashlib
import os
import re
from pathlib import Path

from alexnet_keras.data.decoding import DECODING_VERSION, corrupt_files
from alexnet_keras.data.image_files import IMAGE_SUFFIXES, is_hidden, is_image_name
from alexnet_keras.data.options import ImageSelection
from alexnet_keras.data.tiny_imagenet_classes import CLASS_NAMES, annotated_images
from alexnet_keras.distributed.hosts import print_once
from alexnet_keras.files import expand_home, printable, raise_error

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
# Matches the letters of a folder's name in lower case: Train, training_set, test1, seg_train,
# images-val.
_SPLIT_NAME = re.compile(
    rf"(?P<prefix>.*?)(?P<word>{'|'.join(_SPLIT_WORDS)})(?:set|data|dataset|split|images|imgs)?"
)
# The class in the name of a file without its ending: the part before the last number.
_CLASS_IN_NAME = r"(.*?)[\W_]*\d+\D*$"
_EXPECTED = (
    "a folder with train/CLASS/ and val/CLASS/ folders of images, or with CLASS/ folders only"
)
_SHOWN = 10  # names in a message


@dataclasses.dataclass(frozen=True)
class FolderImages:
    """The images of a folder.

    Args:
        class_names: names of the classes, in the order of their sorted folders.
        train, validation: lists of `(path, label)`.
        splits: names of the two splits.
        skipped: corrupt files that are left out.
        fingerprint: digest that changes whenever the images might have changed.
        content: digest of the names and sizes of each class's training files. It stays the same
            when the folder is moved, and changes when two classes exchange their names.
    """

    class_names: tuple
    train: list
    validation: list
    splits: tuple
    skipped: tuple
    fingerprint: str
    content: str


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The split folders of a folder; without a training folder, `train` is the folder itself."""

    train: Path
    validation: Path | None
    unused: tuple


@dataclasses.dataclass(frozen=True)
class _Classes:
    """Files of each class in one folder, and the files left out, with the reason.

    Tiny ImageNet's class folders are WordNet numbers. `names` has the words of each number.
    """

    files: dict
    left_out: list
    names: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Listing:
    """The image files of both splits.

    Args:
        classes: names of the class folders, sorted.
        names: names of these classes: the words of Tiny ImageNet, otherwise the folders' names.
        train, validation: dicts from a class folder's name to its files.
        left_out: list of `(file, reason)`.
    """

    classes: list
    names: list
    train: dict
    validation: dict
    left_out: list

    def paths(self):
        """Returns the paths of all files, training images first, class by class."""
        files = []
        for split in (self.train, self.validation):
            for label in self.classes:
                files += [str(file) for file in split.get(label, ())]
        return files

    def without(self, corrupt):
        """Returns this listing without the files in `corrupt`."""
        return dataclasses.replace(
            self,
            train=_without(self.train, corrupt),
            validation=_without(self.validation, corrupt),
        )

    def labeled(self, split):
        """Returns a list of `(path, label)` of one of the two splits."""
        pairs = []
        for number, label in enumerate(self.classes):
            pairs += [(str(file), number) for file in split.get(label, ())]
        return pairs


def read_folder(selection: ImageSelection) -> FolderImages:
    """Lists and checks the images of a folder, and prints a summary.

    Args:
        selection: which images to take; its `name` is the path of the folder.

    Raises:
        ValueError: for a folder without class folders, a class folder without images, and corrupt
            images; for a `hold_out_every` beside validation images.
    """
    name = selection.name
    path = expand_home(name)
    layout = _find_layout(name, path)
    selection.check_hold_out(layout.validation and layout.validation.name)
    listing = _list_splits(name, layout, selection.hold_out_every)
    selection.check_names(listing.names)
    paths = listing.paths()
    fingerprint = fingerprint_of(str(path.resolve()), [Path(file) for file in paths])
    folders = {folder.resolve() for folder in (path, layout.train, layout.validation) if folder}
    corrupt = corrupt_files(paths, folders, fingerprint, selection.cache)
    if corrupt and not selection.skip_corrupt:
        raise ValueError(
            f"`dataset` {name!r} holds {len(corrupt)} corrupt image(s). Repair or remove them, or "
            f"skip them with skip_corrupt (--skip-corrupt):\n{_list_reasons(corrupt)}"
        )
    used = listing.without(corrupt)
    _check_every_class_is_left(name, layout, listing, used, corrupt)
    print_once(_summary(path, layout, used, selection.hold_out_every, corrupt))
    return FolderImages(
        class_names=tuple(used.names),
        train=used.labeled(used.train),
        validation=used.labeled(used.validation),
        splits=_split_names(layout, selection.hold_out_every),
        skipped=tuple(corrupt),
        fingerprint=_digest(f"{fingerprint}{sorted(corrupt)}"),
        content=_content(used.train, layout.train),
    )


def check_outside(name: str, folder: Path) -> None:
    """Raises a `ValueError` for a folder within the images of a data set.

    Args:
        name: `dataset` of a training.
        folder: folder that the training will write.
    """
    path = expand_home(name)
    if not folder.resolve().is_relative_to(path.resolve()):
        return
    layout = _find_layout(name, path)
    for images in filter(None, (layout.train, layout.validation)):
        if folder.resolve().is_relative_to(images.resolve()):
            raise ValueError(
                "`workdir` must be outside of the folder of images. "
                f"Received: workdir={str(folder)!r}, in {str(images)!r}"
            )


def _list_splits(name, layout, hold_out_every):
    """Returns the `_Listing` of the training and validation files."""
    listed = _list_classes(name, layout.train)
    classes = sorted(listed.files)
    if len(classes) < 2:
        raise _error(
            name,
            f"{_title(layout.train)} holds {len(classes)} class folder(s){_names(classes)}",
            "Use two or more",
        )
    if not layout.validation:
        train, validation = _hold_out(listed.files, hold_out_every)
        return _Listing(classes, classes, train, validation, listed.left_out)
    validation = _list_annotated(layout.validation) or _list_classes(name, layout.validation)
    _check_same_classes(name, layout, classes, validation.files)
    names = [validation.names.get(label, label) for label in classes]
    left_out = [*listed.left_out, *validation.left_out]
    return _Listing(classes, names, listed.files, validation.files, left_out)


def _split_names(layout, hold_out_every):
    if layout.validation:
        return layout.train.name, layout.validation.name
    return (
        f"{hold_out_every - 1} in {hold_out_every} of each class",
        f"1 in {hold_out_every} of each class",
    )


def fingerprint_of(name: str, files: list) -> str:
    """Returns a digest of a name and of the paths, sizes and times of files."""
    digest = hashlib.blake2b(os.fsencode(f"{DECODING_VERSION}{name}"), digest_size=16)
    for file in files:
        for status in (file.lstat, file.stat):  # of a link and of its target
            with contextlib.suppress(OSError):
                digest.update(os.fsencode(f"{file}{status().st_size}{status().st_mtime_ns}"))
    return digest.hexdigest()


def _content(classes, folder):
    """Returns a digest of the files of each class, by names within the class and sizes."""
    lines = []
    for label, files in sorted(classes.items()):
        for file in files:
            lines.append(f"{label}/{file.relative_to(folder / label)}:{file.stat().st_size}")
    return hashlib.blake2b(os.fsencode("\n".join(lines)), digest_size=16).hexdigest()


def _digest(text):
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


# The layout of a folder.


def _find_layout(name, path):
    """Finds the split folders by their names."""
    folders, files = _scan(path)
    kinds = _split_kinds(folders)
    if not kinds:
        _check_class_folders(name, folders)
        return _Layout(path, None, ())
    of_kind = {kind: [f for f in folders if kinds.get(f) == kind] for kind in _SPLIT_WORDS.values()}
    measured = of_kind["validation"] or of_kind["test"]
    unused_tests = of_kind["test"] if of_kind["validation"] else []
    others = [folder for folder in folders if folder not in kinds]
    found = f"{_title(path)} holds {', '.join(folder.name for folder in folders)}"
    if len(of_kind["train"]) != 1 or len(measured) > 1:
        raise _error(
            name,
            found,
            "Keep one training and at most one validation folder; if these are classes, put all "
            "class folders into a folder train",
        )
    train = _unwrapped(of_kind["train"][0])
    validation = _unwrapped(measured[0]) if measured else None
    _check_others(name, found, train, validation, others)
    return _Layout(train, validation, tuple(sorted([*others, *unused_tests, *files])))


def _split_kinds(folders):
    """Returns a dict from folders named after a split to `train`, `validation` or `test`."""
    found = {}
    for folder in folders:
        match = _SPLIT_NAME.fullmatch(re.sub(r"[^a-z]", "", folder.name.lower()))
        if match:
            found[folder] = (match["prefix"], _SPLIT_WORDS[match["word"]])
    # A class may be called steam_train: with a prefix both splits must be there.
    prefixes = {prefix for prefix, kind in found.values() if kind == "train"}
    prefixes &= {prefix for prefix, kind in found.values() if kind != "train"}
    return {
        folder: kind for folder, (prefix, kind) in found.items() if not prefix or prefix in prefixes
    }


def _unwrapped(folder):
    """Returns the inner folder of two with the same name, as in seg_train/seg_train/."""
    while _scan(folder) == ([folder / folder.name], []):
        folder = folder / folder.name
    return folder


def _check_others(name, found, train, validation, others):
    """Refuses folders beside the training folder that may be classes or validation images."""
    classes = {folder.name for folder in _scan(train)[0]}
    for folder in others:
        if not classes and _holds_images(folder):
            fix = (
                f"If {train.name} is a class, put all class folders into a folder train; if not, "
                f"move {folder.name} elsewhere"
            )
            raise _error(name, f"{found}. {train.name} and {folder.name} hold images", fix)
        if validation is None and classes & {sub.name for sub in _scan(folder)[0]}:
            fix = f"Rename {folder.name} to val to measure errors on it, or move it elsewhere"
            raise _error(name, f"{found}. {folder.name} has class folders of {train.name}", fix)


def _check_class_folders(name, folders):
    """Refuses subfolders that are not class folders and are not named after a split."""
    inside = {
        folder: [sub.name for sub in _scan(folder)[0] if _holds_images(sub)] for folder in folders
    }
    for folder in folders:
        subfolders = _scan(folder)[0]
        names = ", ".join(sub.name for sub in subfolders[:_SHOWN])
        is_wrapper = len(folders) == 1 and len(subfolders) > 1 and not _holds_images(folder)
        if is_wrapper or "train" in _split_kinds(subfolders).values():
            raise _error(
                name, f"Its folder {folder.name} holds {names}", f"Use dataset={str(folder)!r}"
            )
    parts = [folder for folder in folders if inside[folder] and not _holds_images(folder)]
    wide = [folder for folder in parts if len(inside[folder]) > 1]
    flat = [folder.name for folder in folders if _holds_images(folder)]
    if wide and flat:
        found = (
            f"Its folder {wide[0].name} holds {', '.join(inside[wide[0]][:_SHOWN])}, "
            f"and {flat[0]} holds images"
        )
        fix = (
            f"If {wide[0].name} has the class folders, use dataset={str(wide[0])!r}; if it is a "
            "class, put its images into one folder"
        )
        raise _error(name, found, fix)
    counts = collections.Counter()
    for folder in parts:
        counts.update(inside[folder])
    shared = [sub for sub, count in counts.items() if count > 1]
    # Without a wide folder, the images of each class are one folder deeper, as in CLASS/images/.
    if shared and wide:
        holding = [folder.name for folder in parts if shared[0] in inside[folder]]
        found = f"Its folders {', '.join(holding)} each hold {', '.join(shared[:_SHOWN])}"
        fix = (
            "Rename one to train and one to val; if they are classes, put them into a folder train"
        )
        raise _error(name, found, fix)


def _holds_images(folder):
    return any(map(is_image_name, _scan(folder)[1]))


def _check_same_classes(name, layout, classes, validation):
    strangers = sorted(set(validation) - set(classes))
    if strangers:
        raise _error(
            name,
            f"{layout.validation.name} has the class folders {', '.join(strangers[:_SHOWN])}, "
            f"which {layout.train.name} has not",
            "Sort the validation images into folders named after the training classes",
        )


def _flat_error(name, folder, images):
    """Returns the error for images outside of class folders."""
    found = (
        f"{_title(folder)} holds {len(images):,} images, such as {images[0].name}, outside of "
        "class folders"
    )
    if images[0].name.startswith("ILSVRC2012_val_"):
        return _error(
            name,
            found,
            "The classes of ImageNet's validation images are in another file: sort the images into "
            "the class folders of the training images, or use the data set imagenet2012, which "
            "reads both",
        )
    matches = [re.match(_CLASS_IN_NAME, image.stem) for image in images]
    classes = sorted({match[1] for match in matches if match})
    if "" in classes or None in matches or not 2 <= len(classes) <= len(images) / 2:
        fix = "Put the images of each class into a folder of its own"
        if set(_split_kinds([folder]).values()) - {"train"}:
            fix += (
                f", or move {folder.name} elsewhere: then training images are held out for "
                "validation"
            )
        return _error(name, found, fix)
    suffixes = sorted({image.suffix for image in images})
    lines = f"""These lines sort them by the class in their names{_names(classes, 5)}
    import re
    from pathlib import Path
    folder = Path({str(folder)!r})
    for file in [file for file in folder.iterdir() if file.suffix in {suffixes}]:
        target = folder / re.match(r"{_CLASS_IN_NAME}", file.stem)[1]
        target.mkdir(exist_ok=True)
        file.rename(target / file.name)"""
    return _error(name, found, lines)


def _error(name, found, fix):
    return ValueError(
        f"`dataset` must be {_EXPECTED}. Received: dataset={str(name)!r}. {found}. {fix}"
    )


def _title(folder):
    return folder.resolve().name


# The files of a folder.


def _list_annotated(folder):
    """Returns the validation files of an unzipped Tiny ImageNet; `None` for another folder."""
    files = annotated_images(folder)
    return None if files is None else _Classes(files, [], CLASS_NAMES)


def _list_classes(name, folder):
    """Returns the `_Classes` of a folder: the image files of every class folder, sorted."""
    folders, loose = _scan(folder)
    images = [file for file in loose if is_image_name(file)]
    left_out = [(file, "in no class folder") for file in images]
    left_out += [(file, _ending(file)) for file in loose if not is_image_name(file)]
    classes = {}
    empty = []
    for sub in folders:
        files, others = _walk(sub)
        left_out += others
        if files:
            classes[sub.name] = files
        else:
            empty.append(f"{sub.name} ({_count_endings(others)})")
    if images and not classes:
        raise _flat_error(name, folder, images)
    if not folders:
        raise _error(
            name,
            f"{_title(folder)} holds no folders",
            "Put the images of each class into a folder of its own",
        )
    if empty:
        fix = (
            f"Images end in {', '.join(IMAGE_SUFFIXES)}; convert the files, or move the folder "
            "elsewhere"
        )
        raise _error(name, f"{_title(folder)} has class folders without images{_names(empty)}", fix)
    return _Classes(classes, left_out)


def _walk(folder):
    """Returns the image files in and below a class folder, and other files with the reason."""
    files = []
    left_out = []
    for root, folders, names in os.walk(folder, onerror=raise_error):
        linked = [sub for sub in folders if (Path(root) / sub).is_symlink()]
        left_out += [(Path(root) / sub, "a linked folder") for sub in linked if not is_hidden(sub)]
        folders[:] = [sub for sub in folders if not is_hidden(sub)]
        for name in names:
            file = Path(root) / name
            if is_hidden(name):
                continue
            if is_image_name(file):
                files.append(file)
            else:
                left_out.append((file, _ending(file)))
    return sorted(files), left_out


def _hold_out(classes, hold_out_every):
    """Returns training files, and validation files: of each class every `hold_out_every`th."""
    train = {}
    validation = {}
    for label, files in classes.items():
        train[label] = [file for number, file in enumerate(files) if number % hold_out_every]
        validation[label] = files[::hold_out_every]
    return train, validation


def _without(split, corrupt):
    """Returns the files of each class without those in `corrupt`."""
    return {
        label: [file for file in files if str(file) not in corrupt]
        for label, files in split.items()
    }


def _check_every_class_is_left(name, layout, listing, used, corrupt):
    """Refuses a class without training images, or with corrupt validation images only."""
    checked = [(listing.train, used.train)]
    if layout.validation:
        checked.append((listing.validation, used.validation))
    for files, kept in checked:
        for label in files:
            if files[label] and not kept[label]:
                raise ValueError(
                    f"`dataset` {name!r} must have images of every class that are not corrupt. "
                    f"Received: class {label}, where all {len(files[label])} are corrupt:\n"
                    f"{_list_reasons(corrupt)}"
                )
            if not kept[label]:
                raise _error(
                    name,
                    f"Class {label} has one image, which is held out",
                    "Add images, or a folder val",
                )
    if not any(used.validation.values()):
        raise ValueError(
            f"`dataset` {name!r} must have validation images that are not corrupt. Received:\n"
            f"{_list_reasons(corrupt)}"
        )


def _scan(folder):
    """Returns `(folders, files)` in a folder, sorted, without hidden and system files."""
    folders = []
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            path = folder / entry.name
            try:
                is_folder = entry.is_dir()
            except OSError:  # a link to itself
                is_folder = False
            if is_folder:
                folders.append(path)
            else:
                files.append(path)
    return sorted(folders), sorted(files)


def _ending(file):
    return file.suffix.lower() or "no ending"


# Messages.


def _summary(path, layout, used, hold_out_every, corrupt):
    train = sum(map(len, used.train.values()))
    validation = sum(map(len, used.validation.values()))
    lines = [f"Images in {path}:", f"  {len(used.classes):,} classes{_names(used.classes)}"]
    if layout.validation:
        lines.append(f"  {train:,} training images in {layout.train.relative_to(path)}")
        lines.append(f"  {validation:,} validation images in {layout.validation.relative_to(path)}")
        absent = sorted(set(used.classes) - set(used.validation))
        if absent:
            lines.append(f"  classes without validation images{_names(absent)}")
    else:
        lines.append(
            f"  {train:,} training images and {validation:,} validation images in {layout.train}:"
        )
        lines.append(
            f"    no validation folder: one in {hold_out_every} images of each class is held out"
        )
    if layout.unused:
        lines.append(f"  not used{_names([file.name for file in layout.unused])}")
    reasons = collections.defaultdict(list)
    for file, reason in used.left_out:
        reasons[reason].append(str(file.relative_to(path)))
    for reason, files in sorted(reasons.items()):
        lines.append(f"  left out, {len(files):,} ({reason}){_names(files, 3)}")
    if corrupt:
        lines.append(f"  left out, {len(corrupt):,} (corrupt):\n{_list_reasons(corrupt)}")
    return printable("\n".join(lines))


def _names(names, shown=_SHOWN):
    if not names:
        return ""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f": {', '.join(names[:shown])}{more}"


def _count_endings(left_out):
    counts = collections.Counter(reason for _, reason in left_out)
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items())) or "empty"


def _list_reasons(corrupt):
    lines = [f"  {file}: {reason}" for file, reason in corrupt.items()]
    more = [f"  and {len(lines) - 20} more"] if len(lines) > 20 else []
    return printable("\n".join(lines[:20] + more))
