import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from alexnet_keras.torch_files import find_state_dict, read_state_dict

FILES = Path(__file__).parent / "files"
BOTH = ["types.pth", "types_legacy.pth"]
TABLE = np.arange(12).reshape(3, 4) / 2  # as make_torch_files.py has it


@pytest.mark.parametrize("name", BOTH)
def test_every_type_and_layout(name):
    state = read_state_dict(FILES / name)
    for kind in (
        "float64",
        "float32",
        "float16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
    ):
        assert state[kind].dtype == kind
        np.testing.assert_array_equal(state[kind], TABLE.astype(kind))
    assert state["bfloat16"].dtype == "float32"  # NumPy has none of 16 bits
    np.testing.assert_array_equal(state["bfloat16"], TABLE)
    np.testing.assert_array_equal(state["parameter"], TABLE)
    shared = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(state["column"], shared[:, 1])
    np.testing.assert_array_equal(state["transposed"], shared.T)
    assert state["scalar"] == 7
    assert state["scalar"].shape == ()
    assert state["empty"].shape == (0, 3)
    assert len(state) == 15


@pytest.mark.parametrize("name", BOTH)
def test_a_file_cut_anywhere_gives_one_line(name, tmp_path):
    whole = (FILES / name).read_bytes()
    path = tmp_path / "cut.pth"
    for size in range(0, len(whole), 61):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="`weights` must be a file of PyTorch with") as raised:
            read_state_dict(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", BOTH)
def test_a_damaged_byte_gives_one_line_or_other_numbers(name, tmp_path):
    """Nothing but a `ValueError` comes out of a damaged file."""
    whole = (FILES / name).read_bytes()
    path = tmp_path / "damaged.pth"
    refused = 0
    for position in range(0, len(whole), 29):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_state_dict(path)
        except ValueError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 20


class Harmful:
    def __reduce__(self):
        return exec, ("open('harm', 'w').write('done')",)


class Call:
    """Pickled as a call of a function of the name `module.name`, and as PyTorch's own do."""

    def __init__(self, function, *arguments):
        self.function = function
        self.arguments = arguments


class Writer(pickle._Pickler):
    """Writes names of functions that are not there, and storages."""

    def save(self, value, *_):
        if isinstance(value, Name):
            self.write(f"c{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        elif isinstance(value, Storage):
            self.save(value.identity)
            self.write(pickle.BINPERSID)
        else:
            super().save(value)


class Name:
    def __init__(self, module, name):
        self.module = module
        self.name = name


class Storage:
    def __init__(self, *identity):
        self.identity = identity


REBUILD = Name("torch._utils", "_rebuild_tensor_v2")
FLOATS = Name("torch", "FloatStorage")


def tensor(offset, shape, strides, storage=None, rebuild=REBUILD):
    storage = storage or Storage("storage", FLOATS, "0", "cpu", 6)
    return Call(
        rebuild, storage, offset, shape, strides, False, Call(Name("collections", "OrderedDict"))
    )


def write(path, content, storages=None, protocol=2, byteorder=b"little", **options):
    """A file in the zip format, by hand."""
    stream = io.BytesIO()
    Writer(stream, protocol).dump(content)
    storages = {"0": np.arange(6, dtype="<f4").tobytes()} if storages is None else storages
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("net/data.pkl", stream.getvalue())
        archive.writestr("net/byteorder", byteorder)
        for key, numbers in storages.items():
            archive.writestr(f"net/data/{key}", numbers)
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle(protocol, tmp_path):
    content = {"w": tensor(0, (2, 3), (3, 1)), "epoch": 10**30, "history": [0.5, None, (1, 2)]}
    state = read_state_dict(write(tmp_path / "x.pth", content, protocol=protocol))
    np.testing.assert_array_equal(state.pop("w"), [[0, 1, 2], [3, 4, 5]])
    assert state == {"epoch": 10**30, "history": [0.5, None, (1, 2)]}


def test_a_strangers_pickle_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("plain.pth").write_bytes(pickle.dumps({"w": Harmful()}))
    write("zip.pth", {"w": Harmful()})
    write("stack.pth", {"w": Harmful()}, protocol=4)
    legacy = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {"w": Harmful()}, [])
    Path("legacy.pth").write_bytes(b"".join(pickle.dumps(part, 2) for part in legacy))
    for path in Path().glob("*.pth"):
        with pytest.raises(
            ValueError, match=r"it names (builtins|__builtin__)\.exec, which is neither"
        ):
            read_state_dict(path)
    assert not Path("harm").exists()


REFUSED = {
    "past the end": ({"w": tensor(0, (2, 4), (3, 1))}, r"shape \(2, 4\) is larger than its"),
    "by offset": ({"w": tensor(1, (2, 3), (3, 1))}, "is larger than its storage, 6"),
    "by stride": ({"w": tensor(0, (2, 2), (5, 1))}, "is larger than its storage, 6"),
    "repeated": ({"w": tensor(0, (10**9, 10**9), (0, 0))}, "is larger than its storage, 6"),
    "huge and empty": ({"w": tensor(0, (0, 2**70), (1, 1))}, "it has a tensor of shape"),
    "negative offset": ({"w": tensor(-1, (2,), (1,))}, "no valid storage, shape or strides"),
    "negative stride": ({"w": tensor(5, (6,), (-1,))}, "no valid storage, shape or strides"),
    "a number as shape": ({"w": tensor(0, 6, (1,))}, "its pickle is damaged"),
    "other axes": ({"w": tensor(0, (2,), (1, 1))}, "1 axes and 2 strides"),
    "no storage": ({"w": tensor(0, (2,), (1,), storage=3)}, "no valid storage"),
    "an unknown storage": (
        {
            "w": tensor(
                0, (2,), (1,), Storage("storage", Name("torch", "QInt8Storage"), "0", "cpu", 6)
            )
        },
        r"it names torch\.QInt8Storage",
    ),
    "a count that is not the member's": (
        {"w": tensor(0, (2,), (1,), Storage("storage", FLOATS, "0", "cpu", 10**15))},
        "its storages are larger than the file|has 24 bytes",
    ),
    "a missing member": (
        {"w": tensor(0, (2,), (1,), Storage("storage", FLOATS, "1", "cpu", 6))},
        "without its member net/data/1",
    ),
    "a path": (
        {"w": tensor(0, (2,), (1,), Storage("storage", FLOATS, "../../x", "cpu", 6))},
        r"without its member net/data/\.\./\.\./x",
    ),
    "two sizes": (
        {
            "w": tensor(0, (2,), (1,)),
            "b": tensor(0, (2,), (1,), Storage("storage", FLOATS, "0", "cpu", 3)),
        },
        "the storage 0 as two types or sizes",
    ),
    "a whole module": ({"w": Call(Name("torch.nn", "Linear"), 2, 2)}, r"names torch\.nn\.Linear"),
    "an optimizer's class": (
        {"w": Name("torch.optim.sgd", "SGD")},
        r"names torch\.optim\.sgd\.SGD",
    ),
    "a call of a storage": ({"w": Call(FLOATS, 3)}, "calls an object that is not a function"),
    "a key of tuples": ({("a", "b"): 1}, "a dict with a tuple as a key"),
    "a set": ({"w": {1, 2}}, "which is neither a tensor nor a plain value"),
    "a list": ([1, 2], "with a list$"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_contents_that_are_refused(name, tmp_path):
    content, reason = REFUSED[name]
    path = write(tmp_path / "x.pth", content)
    with pytest.raises(ValueError, match=reason) as raised:
        read_state_dict(path, "initial_weights")
    assert str(raised.value).startswith("`initial_weights` must be a ")
    assert f"initial_weights={str(path)!r}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_archives_that_are_refused(tmp_path):
    content = {"w": tensor(0, (6,), (1,))}
    deflated = write(tmp_path / "deflated.pth", content, compression=zipfile.ZIP_DEFLATED)
    turned = write(tmp_path / "turned.pth", content, byteorder=b"big")
    short = write(tmp_path / "short.pth", content, {"0": bytes(20)})
    damaged = write(tmp_path / "damaged.pth", content)
    damaged.write_bytes(
        damaged.read_bytes().replace(np.float32(5).tobytes(), np.float32(6).tobytes())
    )
    other = tmp_path / "other.pth"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("x.txt", "")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "folder.pth").mkdir()
    for path, reason in (
        (deflated, "is compressed"),
        (turned, "big-endian|has 3 bytes"),
        (short, "its member net/data/0 has 20 bytes, not 24"),
        (damaged, "its archive is damaged"),
        (other, r"another zip archive, without data\.pkl"),
        (tmp_path / "text.pth", "it is not a file of PyTorch"),
        (tmp_path / "folder.pth", "Is a directory"),
        (tmp_path / "none.pth", "No such file or directory"),
    ):
        with pytest.raises(ValueError, match=f"`weights` must be .* Received: .*{reason}"):
            read_state_dict(path)


def test_a_false_size_reserves_no_memory(tmp_path):
    for number, operation in enumerate(
        (
            pickle.BINUNICODE8 + struct.pack("<Q", 2**60) + b"x",  # a text of 2 ** 60 bytes
            pickle.LONG4 + struct.pack("<i", 2**31 - 1) + b"x",  # a number of 2 GB
            pickle.EMPTY_DICT + pickle.LONG_BINPUT + struct.pack("<I", 2**32 - 1),  # a far memo
        )
    ):
        path = tmp_path / f"{number}.pth"
        path.write_bytes(pickle.PROTO + b"\x04" + operation + pickle.STOP)
        with pytest.raises(ValueError, match="it is not a file of PyTorch"):
            read_state_dict(path)


def test_only_the_state_dicts_storages_are_read(tmp_path):
    """A checkpoint's optimizer may have lost its numbers."""
    lost = tensor(0, (6,), (1,), Storage("storage", FLOATS, "lost", "cpu", 6))
    content = {"state_dict": {"w": tensor(0, (6,), (1,))}, "optimizer": {0: lost}}
    state = read_state_dict(write(tmp_path / "x.pth", content))
    np.testing.assert_array_equal(state["w"], np.arange(6))


def test_two_tensors_of_one_name():
    with pytest.raises(ValueError, match="one tensor for each name. Received: a dict with w twice"):
        find_state_dict({"module.w": 0, "w": 1}, "a dict")
