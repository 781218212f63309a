"""The restricted unpickler, against Python's own on what is harmless and with traps on what is not."""

import builtins
import os
import pickle
import posix
import subprocess
from collections import OrderedDict
from contextlib import suppress
from decimal import Decimal

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats.safe.unpickle import Skipped, loads

PLAIN = [
    None, True, 7, -(2**80), 0.5, -0.0, float("inf"), "text é", b"\x00\xff", bytearray(b"xy"), 2j, (), (1,), (1, 2),
    (1, 2, 3), (1, 2, 3, 4), [], [1, [2, [3]]], {}, {"a": {1: (2, "b")}}, {3, 4}, frozenset([5]),
    OrderedDict(x=1, y=2), "x" * 300, b"y" * 70000, list(range(3000)),
]  # fmt: skip
ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, ::2],
    np.array([True, False]),
    np.array([[1 + 2j]], dtype=np.complex64),
    np.array(["a", "bcd"]),
    np.array([b"a", b"bcd"]),
    np.zeros((0, 3)),
    np.array(5, dtype=np.uint8),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_of_every_protocol(protocol):
    found = loads(pickle.dumps(PLAIN, protocol), "x")
    assert found == PLAIN
    assert [type(value) for value in found[:8]] == [type(value) for value in PLAIN[:8]]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_protocol(protocol):
    scalars = [np.float32(1.5), np.int64(-3), np.bool_(True)]
    shared = ARRAYS[0]
    found, again, numbers = loads(pickle.dumps([[*ARRAYS, shared], {"k": shared}, scalars], protocol), "x")
    for array, wanted in zip(found, [*ARRAYS, shared], strict=True):
        np.testing.assert_array_equal(array, wanted)
        assert array.dtype == wanted.dtype
        assert not array.flags.writeable
    assert again["k"] is found[0]
    assert [(type(a), a) for a in numbers] == [(type(a), a) for a in scalars]


@pytest.mark.parametrize("core", ["core", "_core"])
def test_module_paths_of_old_and_new_numpy(core):
    data = pickle.dumps(np.arange(3.0), 2)
    assert b"numpy._core" in data or b"numpy.core" in data
    data = data.replace(b"numpy._core", b"numpy.core").replace(b"numpy.core", f"numpy.{core}".encode())
    np.testing.assert_array_equal(loads(data, "x"), np.arange(3.0))


def test_array_of_plain_objects():
    array = np.array([{"x": np.arange(2)}, None], dtype=object)
    found = loads(pickle.dumps(array), "x")
    assert found.shape == (2,)
    assert found[1] is None
    np.testing.assert_array_equal(found[0]["x"], [0, 1])


class Call:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


class Thing:
    """An object of a class of somebody else."""

    def __init__(self):
        self.x = 1


ran = []


def trap(*arguments):
    ran.append(arguments)


@pytest.fixture
def traps(monkeypatch):
    """Everything dangerous notes that it was called."""
    ran.clear()
    for module, name in (
        (os, "system"),
        (posix, "system"),
        (builtins, "eval"),
        (builtins, "exec"),
        (subprocess, "Popen"),
    ):
        monkeypatch.setattr(module, name, trap)
    yield ran
    assert not ran


MALICIOUS = {
    "posix.system": b"cposix\nsystem\n(S'echo no'\ntR.",
    "os.system": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
    "builtins.eval": b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x061 + 1 \x85R.",
    "__builtin__.eval": b"c__builtin__\neval\n(S'1'\ntR.",
    "builtins.getattr": b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93\x8c\x02os\x8c\x06system\x86R.",
    "INST": b"(S'id'\nios\nsystem\n.",
    "OBJ": b"(cnumpy\nndarray\nI5\no.",
    "NEWOBJ": b"\x80\x02cnumpy\nndarray\nI5\n\x85\x81.",
    "EXT1": b"\x80\x02\x82\x01.",
    "PERSID": b"Ptorch\n.",
    "BINPERSID": b"\x80\x02K\x01Q.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "calls something": b"\x80\x04K\x05K\x01\x85R.",
    "sets the state": b"\x80\x04}}b.",
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_refused_by_name_and_nothing_runs(traps, name):
    with pytest.raises(DataError, match=f"^file.mdb: key 'x': the pickle .*{name}.*refused"):
        loads(MALICIOUS[name], "file.mdb: key 'x'")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Call(trap, 1), "trap"),
        ({"atoms": np.zeros(3), "more": [Call(os.system, "id")]}, "system"),
        (Call(Call, os.system, "id"), "Call"),
        ((Call(map, os.system, ["id"]),), "map"),
        (np.array([Call(trap, 2), 1], dtype=object), "trap"),
        (np.array([[{"deep": Call(subprocess.Popen, "id")}]], dtype=object), "Popen"),
        (Thing(), "Thing|copy_reg"),
        ([Decimal(1)], "decimal.Decimal"),
        (np.zeros(2).view(np.recarray), "recarray"),
        (np.zeros(2, dtype=[("a", int)]), "type 'V8'"),
        (np.zeros(2, dtype="M8[s]"), "type 'M8'"),
        (os.system, "system"),
    ],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_of_other_classes_are_refused(value, name, protocol):
    data = pickle.dumps(value, protocol)
    ran.clear()
    with pytest.raises(DataError, match=f"x: the pickle .*({name}).*refused"):
        loads(data, "x")
    assert not ran


def test_the_traps_work(traps):
    """Python's own unpickler does run them."""
    pickle.loads(MALICIOUS["os.system"])
    assert traps == [("id",)]
    traps.clear()


def test_tensors_are_skipped_on_request():
    torch = pytest.importorskip("torch")
    data = pickle.dumps({"labels": torch.arange(3), "atoms": np.arange(2)})
    with pytest.raises(DataError, match="names torch"):
        loads(data, "x")
    found = loads(data, "x", skip_tensors=True)
    assert isinstance(found["labels"], Skipped)
    assert found["labels"].name == "torch._utils._rebuild_tensor_v2"
    np.testing.assert_array_equal(found["atoms"], [0, 1])
    with pytest.raises(DataError, match="posix.system"):
        loads(MALICIOUS["posix.system"], "x", skip_tensors=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80\x04",
        b"\x80\x04N",
        b"(.",
        b"\x80\x04h\x05.",
        b"\x80\x04e.",
        b"\x80\x04]}s.",
        b"\x80\x04\x85.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n(t\x52.",
        b"\x80\x04}(}\x85K\x01u.",
        pickle.dumps(np.arange(5.0))[:-12] + b".",
    ],
)
def test_damaged_pickles(data):
    with pytest.raises(DataError, match="^x: "):
        loads(data, "x")


def test_a_shape_that_the_bytes_do_not_fill():
    data = pickle.dumps(np.zeros((3, 5)))
    assert b"K\x03K\x05" in data
    with pytest.raises(DataError, match="shape is not that of its contents"):
        loads(data.replace(b"K\x03K\x05", b"K\x03K\x06"), "x")


def test_copying_does_not_multiply():
    """A short pickle that encodes one text again and again must not fill the memory."""
    call = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0"
    data = b"\x80\x02X" + (100000).to_bytes(4, "little") + b"a" * 100000 + b"q\x00" + call * 50000 + b"N."
    with pytest.raises(DataError, match="more data than it holds"):
        loads(data, "x")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_random_damage(protocol):
    rng = np.random.default_rng(protocol)
    value = {"id": 3, "atoms": np.arange(4), "blocks": {f"0_{k}_0_0_0": rng.normal(size=(2, 3)) for k in range(5)}}
    sound = pickle.dumps(value, protocol)
    for _ in range(300):
        data = bytearray(sound[: rng.integers(1, len(sound) + 1)])
        for _ in range(rng.integers(0, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        with suppress(DataError):
            loads(bytes(data), "x")
