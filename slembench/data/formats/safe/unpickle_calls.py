"""Replacements of the functions that a harmless pickle names: arrays, bytes, sets and other plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from slembench.core.errors import DataError

# numbers, bool, short text and object; no structured types, whose names and offsets are another parser
_DTYPE = re.compile(r"[<>=|]?(?:[?bhilqpBHILQPefdgFDGO]|b1|[iu][1248]|f[248]|f16|c8|c16|c32|O8|[SU][1-9]\d{0,5})")


class Pending:
    """A NumPy dtype or array between the call that makes it and the one that fills it.

    Attributes:
        dtype: the dtype so far; None for an array, which has nothing yet.
        slots: where the pickle's memo holds it.
    """

    def __init__(self, dtype: np.dtype[Any] | None = None) -> None:
        self.dtype = dtype
        self.slots: list[int] = []

    def resolve(self) -> np.dtype[Any]:
        """The dtype as it is.

        Raises:
            ValueError: an array, which nothing was put into.
        """
        if self.dtype is None:
            raise ValueError("an array that nothing was put into")
        return self.dtype

    def build(self, state: tuple[Any, ...]) -> Any:
        """The dtype or array with its state.

        Raises:
            DataError: a structured type.
            ValueError: a state that makes no array.
        """
        return fill(*state[-4:]) if self.dtype is None else _byte_order(self.dtype, state)


def check_key(value: Any) -> Any:
    """A key of a dict or set: a plain value or a flat tuple of them, whose hash cannot recurse."""
    plain = (str, int, float, bytes, type(None))
    items = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(item, plain) for item in items):
        raise ValueError("a key that is neither number nor text")
    return value


def _dtype(code: Any, *_: Any) -> Pending:
    code = code.decode("latin-1") if isinstance(code, bytes) else code
    if not isinstance(code, str) or not _DTYPE.fullmatch(code):
        raise DataError(f"the pickle holds an array of type {str(code)[:40]!r}: refused; numbers and text are read")
    return Pending(np.dtype(code))


def _byte_order(dtype: np.dtype[Any], state: tuple[Any, ...]) -> np.dtype[Any]:
    """The dtype with the byte order of its state (version, order, subarray, names, fields, size, ...)."""
    if any(part is not None for part in state[2:5]):
        raise DataError("the pickle holds an array of structured type: refused")
    order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
    orders: dict[Any, Literal["<", ">", "="]] = {"<": "<", ">": ">", "=": "="}
    return dtype if order == "|" else dtype.newbyteorder(orders[order])


def fill(shape: Any, dtype: Any, fortran: Any, raw: Any) -> Any:
    """Array of a shape and a dtype from its bytes (or the list of its objects), in C or Fortran order."""
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array without a shape")
    if not isinstance(dtype, np.dtype):
        raise ValueError("an array without a type")
    order: Literal["C", "F"] = "F" if fortran else "C"
    count = math.prod(shape)
    if dtype.hasobject:
        if not isinstance(raw, list) or len(raw) != count:
            raise ValueError("an array of objects whose shape is not that of its contents")
        objects = np.empty(count, dtype=object)
        for place, item in enumerate(raw):
            objects[place] = item
        return objects.reshape(shape, order=order)
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw
    if not isinstance(raw, bytes | bytearray) or len(raw) != count * dtype.itemsize:
        raise ValueError("an array whose shape is not that of its contents")
    array = np.frombuffer(raw, dtype) if count else np.zeros(count, dtype)
    array = array.reshape(shape, order=order)
    array.flags.writeable = False  # a view of the pickle's bytes, which several arrays may share
    return array


def _array(*_: Any) -> Pending:
    return Pending()


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    return fill((1,), dtype, False, raw)[0]


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> Any:
    return fill(shape, dtype, order == "F", raw)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes written as text in {str(encoding)[:20]!r}")
    return bytes(text.encode("latin-1"))


def _bytes(raw: Any = b"") -> bytes:
    if not isinstance(raw, bytes):
        raise ValueError("bytes made of something else")
    return raw


def _set(items: Any = ()) -> set[Any]:
    return {check_key(item) for item in items}


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    return {check_key(key): value for key, value in items}


CALLS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": _dtype,
    "_codecs.encode": _encode,
    "collections.OrderedDict": _ordered_dict,
    **{
        f"{module}.{name}": call
        for module in ("builtins", "__builtin__")
        for name, call in (
            ("complex", complex),
            ("bytes", _bytes),
            ("bytearray", _bytes),
            ("set", _set),
            ("frozenset", _set),
        )
    },
    **{f"numpy.{core}.multiarray._reconstruct": _array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},
}
"""Name in a pickle -> what is done in its place."""

CLASSES = ("numpy.ndarray",)
"""Names that may stand as an argument."""
