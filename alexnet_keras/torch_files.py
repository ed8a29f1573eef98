"""Reads tensors from files that `torch.save` has written, without PyTorch.

A pickle can call any function of Python. PyTorch's files need few names: an ordered dict, three
functions that make a tensor or parameter from a storage, and the storages. The reader accepts only
these names, and calls only functions of this module.

Reference: `torch/serialization.py` and `torch/_utils.py` of PyTorch 2.13. They write two formats: a
zip archive (since 1.6), and a row of pickles followed by raw storages.
"""

import dataclasses
import math
import os
import pickletools
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

_MAX_PICKLE = 2**26  # bytes, many times the pickle of ResNet-152 with its optimizer
_MAX_AXES = 64  # of an array of NumPy
_CHUNK = 2**24  # bytes of one read
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ZIP_MAGIC = b"PK\x03\x04"

# The types of the numbers in a storage, in little-endian order. NumPy has no bfloat16: its bits are
# the upper half of a float32.
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

# Where checkpoints hold the weights, and what wrappers of a module put before its names.
_STATES = ("state_dict", "model_state_dict", "model")
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.|model\.)+")


def read_state_dict(path: str | os.PathLike, argument: str = "weights") -> dict:
    """Reads the state dict in a `.pth` or `.pt` file.

    Args:
        path: path of the file. It holds a state dict, or a checkpoint that has one as
            `"state_dict"`, `"model_state_dict"` or `"model"`.
        argument: name of the argument in the message.

    Returns:
        dict from names, without `module.`, `model.` and `_orig_mod.`, to arrays. Tensors of type
        bfloat16 become float32; other types stay. Only the state dict's own storages are read.

    Raises:
        ValueError: for a file that is missing, cut or of another kind; for names other than tensors
            and plain values, or contradictory sizes.
    """
    source = f"{argument}={str(path)!r}"
    try:
        with open(path, "rb") as file:
            is_zip = file.read(4) == _ZIP_MAGIC
            file.seek(0)
            archive = _ZipArchive(file) if is_zip else _LegacyFile(file)
            return _read_arrays(archive, find_state_dict(archive.content, source, argument))
    except _BadFile as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    raise ValueError(
        f"`{argument}` must be a file of PyTorch with tensors and plain values only. Received: "
        f"{source}: {reason}"
    )


def find_state_dict(content: Any, source: str, argument: str = "weights") -> dict:
    """Returns the state dict in a checkpoint, without the prefixes of a module's wrappers.

    Args:
        content: a state dict, or a checkpoint that holds one.
        source: name of the content in the message.
        argument: name of the argument in the message.

    Raises:
        ValueError: for something else, or two tensors with one name.
    """
    if not isinstance(content, dict):
        raise ValueError(
            f"`{argument}` must be a state dict, or hold one. Received: {source} with a "
            f"{type(content).__name__}"
        )
    if any(isinstance(value, dict) for value in content.values()):
        states = [name for name in _STATES if isinstance(content.get(name), dict)]
        if len(states) != 1:
            raise ValueError(
                f"`{argument}` must be a state dict, or hold one as one of {', '.join(_STATES)}. "
                f"Received: {source} with {', '.join(map(str, content))}"
            )
        content = content[states[0]]
    state = {}
    for name, value in content.items():
        plain = _WRAPPERS.sub("", str(name))
        if plain in state:
            raise ValueError(
                f"`{argument}` must have one tensor for each name. Received: {source} with "
                f"{plain} twice"
            )
        state[plain] = value
    return state


def _read_arrays(archive, state):
    """Returns a state dict of a file with arrays for its tensors."""
    tensors = {name: value for name, value in state.items() if isinstance(value, _Tensor)}
    numbers = archive.read_storages({tensor.storage.key for tensor in tensors.values()})
    arrays = {name: tensor.array(numbers[tensor.storage.key]) for name, tensor in tensors.items()}
    return {**state, **arrays}


class _BadFile(Exception):
    """The fault of a file, as text for the user."""


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Description of a row of numbers in the file."""

    key: str
    kind: str
    count: int

    @property
    def dtype(self):
        return np.dtype(_STORAGES[self.kind])

    @property
    def size(self):
        """Size in bytes."""
        return self.count * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides count numbers."""

    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self, numbers):
        """Returns the tensor as an array, from the numbers of its storage."""
        size = numbers.itemsize
        strides = tuple(stride * size for stride in self.strides)
        try:
            view = np.ndarray(self.shape, numbers.dtype, numbers, self.offset * size, strides)
        except (ValueError, OverflowError) as error:  # such as an empty one of 2 ** 70 columns
            raise _BadFile(f"it has a tensor of shape {self.shape}") from error
        if self.storage.kind == "BFloat16Storage":
            return (view.astype("<u4") << 16).view("<f4")
        return view.copy()


def _rebuild_tensor(storage, offset, shape, strides, *_):
    """Returns a tensor, after checks that it fits its storage."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(_is_size(number) for number in numbers):
        raise _BadFile("a tensor in it has no valid storage, shape or strides")
    if len(shape) != len(strides) or len(shape) > _MAX_AXES:
        raise _BadFile(f"a tensor in it has {len(shape)} axes and {len(strides)} strides")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    count = math.prod(shape)
    # Strides of 0 repeat numbers, so the count also bounds the array.
    if (count and last >= storage.count) or count > storage.count or offset > storage.count:
        raise _BadFile(f"a tensor of shape {shape} is larger than its storage, {storage.count}")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _is_size(number):
    return type(number) is int and number >= 0


def _rebuild_parameter(tensor, *_):
    if not isinstance(tensor, _Tensor):
        raise _BadFile("a parameter in it has no tensor")
    return tensor


def _ordered_dict(pairs=()):
    return {_key(key): value for key, value in pairs}


def _key(key):
    # Only keys with a fast hash; the hash of nested tuples can take forever.
    if not isinstance(key, (str, int, float, type(None))):
        raise _BadFile(f"it has a dict with a {type(key).__name__} as a key")
    return key


@dataclasses.dataclass(frozen=True)
class _Global:
    """A name that a pickle may hold: a function of this module, or the name of a storage."""

    function: Callable | None = None
    storage: str = ""


_GLOBALS = {
    "collections OrderedDict": _Global(_ordered_dict),
    "torch._utils _rebuild_tensor": _Global(_rebuild_tensor),
    "torch._utils _rebuild_tensor_v2": _Global(_rebuild_tensor),
    "torch._utils _rebuild_parameter": _Global(_rebuild_parameter),
    **{f"torch {name}": _Global(storage=name) for name in _STORAGES},
}


class _Limited:
    """A file that returns a limited number of bytes, so a false size reserves no memory."""

    def __init__(self, file, limit):
        self._file = file
        self._left = limit

    def read(self, size):
        if size > self._left:
            raise _BadFile("it is cut, or its pickle is damaged")
        return self._taken(self._file.read(size))

    def readline(self):
        return self._taken(self._file.readline(self._left))

    def _taken(self, content):
        self._left -= len(content)
        return content


class _Unpickler:
    """Executes the operations of pickles with tensors and plain values."""

    def __init__(self):
        self.storages = {}  # by their keys
        self._stack = []
        self._marks = []
        self._memo = {}

    def load(self, file):
        """Returns the object of the next pickle in a `_Limited` file."""
        try:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._do(opcode.name, argument)
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise _BadFile("it is cut, or its pickle is damaged") from error
        raise _BadFile("its pickle has no end")

    def _do(self, name, argument):
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self._stack.append(argument)
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, argument)
        else:
            raise _BadFile(f"its pickle has the operation {name}, which no tensor needs")

    def _since_mark(self):
        start = self._marks.pop()
        entries = self._stack[start:]
        del self._stack[start:]
        return entries

    def _mark(self, _):
        self._marks.append(len(self._stack))

    def _put(self, index):
        self._memo[index] = self._stack[-1]

    def _memoize(self, _):
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index):
        self._stack.append(self._memo[index])

    def _tuple(self, _):
        self._stack.append(tuple(self._since_mark()))

    def _last(self, count):
        entries = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(entries)

    def _set_items(self, _):
        entries = self._since_mark()
        self._update(zip(entries[::2], entries[1::2], strict=True))

    def _set_item(self, _):
        value = self._stack.pop()
        key = self._stack.pop()
        self._update([(key, value)])

    def _update(self, pairs):
        target = self._stack[-1]
        if type(target) is not dict:
            raise _BadFile("its pickle sets items of an object that is not a dict")
        target.update(_ordered_dict(pairs))

    def _append(self, _):
        self._extend([self._stack.pop()])

    def _appends(self, _):
        self._extend(self._since_mark())

    def _extend(self, entries):
        target = self._stack[-1]
        if type(target) is not list:
            raise _BadFile("its pickle appends to an object that is not a list")
        target.extend(entries)

    def _global(self, name):
        if name not in _GLOBALS:
            module, _, function = name.partition(" ")
            raise _BadFile(
                f"it names {module}.{function}, which is neither a tensor nor a plain value"
            )
        self._stack.append(_GLOBALS[name])

    def _stack_global(self, _):
        function = self._stack.pop()
        self._global(f"{self._stack.pop()} {function}")

    def _reduce(self, _):
        arguments = self._stack.pop()
        target = self._stack.pop()
        if not isinstance(target, _Global) or target.function is None:
            raise _BadFile("its pickle calls an object that is not a function of tensors")
        self._stack.append(target.function(*arguments))

    def _build(self, _):
        """Ignores the attributes of a state dict, its modules' versions."""
        self._stack.pop()
        if type(self._stack[-1]) is not dict:
            raise _BadFile("its pickle sets attributes of an object that is not a dict")

    def _persistent(self, _):
        name, kind, key, _, count, *view = self._stack.pop()
        known = name == "storage" and isinstance(kind, _Global) and kind.storage
        if not known or not isinstance(key, str) or not _is_size(count) or any(view):
            raise _BadFile("it has a storage of another kind")
        storage = _Storage(key, kind.storage, count)
        if self.storages.setdefault(key, storage) != storage:
            raise _BadFile(f"it has the storage {key} as two types or sizes")
        self._stack.append(storage)


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
_LITERALS = (
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
)
_OPERATIONS = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": _Unpickler._mark,
    "BINPUT": _Unpickler._put,
    "LONG_BINPUT": _Unpickler._put,
    "MEMOIZE": _Unpickler._memoize,
    "BINGET": _Unpickler._get,
    "LONG_BINGET": _Unpickler._get,
    "TUPLE": _Unpickler._tuple,
    "TUPLE1": lambda machine, _: machine._last(1),
    "TUPLE2": lambda machine, _: machine._last(2),
    "TUPLE3": lambda machine, _: machine._last(3),
    "SETITEMS": _Unpickler._set_items,
    "SETITEM": _Unpickler._set_item,
    "APPEND": _Unpickler._append,
    "APPENDS": _Unpickler._appends,
    "GLOBAL": _Unpickler._global,
    "STACK_GLOBAL": _Unpickler._stack_global,
    "REDUCE": _Unpickler._reduce,
    "BUILD": _Unpickler._build,
    "BINPERSID": _Unpickler._persistent,
}


def _read_numbers(file, storage):
    """Reads a storage, whose size has been checked, in pieces."""
    numbers = np.empty(storage.count, storage.dtype)
    target = numbers.view("u1").data
    while target:
        size = file.readinto(target[:_CHUNK])
        if not size:
            raise _BadFile("it is cut")
        target = target[size:]
    return numbers


class _ZipArchive:
    """A file in PyTorch's zip format: `NAME/data.pkl`, and a member for each storage."""

    def __init__(self, file):
        self._file_size = os.fstat(file.fileno()).st_size
        try:
            self._zip = zipfile.ZipFile(file)
            names = self._zip.namelist()
            pickles = [name for name in names if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise _BadFile("it is another zip archive, without data.pkl")
            self._root = pickles[0].removesuffix("data.pkl")
            order = f"{self._root}byteorder"
            if order in names and self._open(order, 6).read() != b"little":
                raise _BadFile("its numbers are in big-endian order")
            unpickler = _Unpickler()
            with self._open(pickles[0]) as member:
                self.content = unpickler.load(_Limited(member, _MAX_PICKLE))
        except _ZIP_ERRORS as error:
            raise _BadFile("it is cut, or its archive is damaged") from error
        self._storages = unpickler.storages

    def _open(self, name, size=None):
        """Opens a member, which PyTorch never compresses, after a check of its size in bytes."""
        if name not in self._zip.NameToInfo:
            raise _BadFile(f"it is without its member {name}")
        info = self._zip.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise _BadFile(f"its member {name} is compressed")
        if size is not None and info.file_size != size:
            raise _BadFile(f"its member {name} has {info.file_size} bytes, not {size}")
        return self._zip.open(info)

    def read_storages(self, keys):
        """Returns the numbers of storages, by their keys."""
        # Members that overlap would read the same bytes many times.
        if sum(self._storages[key].size for key in keys) > self._file_size:
            raise _BadFile("its storages are larger than the file")
        numbers = {}
        try:
            for key in keys:
                storage = self._storages[key]
                with self._open(f"{self._root}data/{key}", storage.size) as member:
                    numbers[key] = _read_numbers(member, storage)
        except _ZIP_ERRORS as error:
            raise _BadFile("it is cut, or its archive is damaged") from error
        return numbers


_ZIP_ERRORS = (zipfile.BadZipFile, EOFError, RuntimeError, ValueError)


class _LegacyFile:
    """A file in PyTorch's old format: five pickles, then the storages, each after its length."""

    def __init__(self, file):
        self._file = file
        self._file_size = os.fstat(file.fileno()).st_size
        limited = _Limited(file, min(_MAX_PICKLE, self._file_size))
        try:
            magic = _Unpickler().load(limited)
        except _BadFile as error:
            raise _BadFile(f"it is not a file of PyTorch, or it is cut: {error}") from error
        if magic != _MAGIC or _Unpickler().load(limited) != _PROTOCOL:
            raise _BadFile("it is not a file of PyTorch, or of another protocol")
        system = _Unpickler().load(limited)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise _BadFile("its numbers are in big-endian order")
        unpickler = _Unpickler()
        self.content = unpickler.load(limited)
        self._storages = unpickler.storages
        self._keys = _Unpickler().load(limited)
        if not isinstance(self._keys, list) or sorted(self._keys, key=str) != sorted(
            self._storages
        ):
            raise _BadFile("its list of storages is damaged")

    def read_storages(self, keys):
        """Returns the numbers of storages, by their keys."""
        numbers = {}
        for key in self._keys:
            storage = self._storages[key]
            count = int.from_bytes(self._file.read(8), "little")
            if count != storage.count:
                raise _BadFile(f"its storage {key} has {count} numbers, not {storage.count}")
            if self._file.tell() + storage.size > self._file_size:
                raise _BadFile("it is cut")
            if key in keys:
                numbers[key] = _read_numbers(self._file, storage)
            else:
                self._file.seek(storage.size, os.SEEK_CUR)
        return numbers
