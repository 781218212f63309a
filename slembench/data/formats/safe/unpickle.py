"""Reader of pickles that executes nothing: builds plain values and NumPy arrays, refuses every other name.

A pickle is a program for a small stack machine whose instructions may call any Python function. This module steps
through one with the standard library's disassembler and builds numbers, text, bytes, plain containers and NumPy arrays
by itself: no module is imported, no function that the pickle names is looked up, no object restores its own state.
Every other name is refused. All protocols, and NumPy's module paths before and after 2.0, are understood.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

from slembench.core.errors import DataError
from slembench.data.formats.safe.unpickle_calls import CALLS, CLASSES, Pending, check_key

_MARK = object()
_LITERAL = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"),
    *("SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE", "BINUNICODE8"),
)


class Skipped:
    """Placeholder of a tensor of another library, which is neither read nor built.

    Attributes:
        name: the function that the pickle would have called.
    """

    def __init__(self, name: str) -> None:
        self.name = name


class _Global:
    """Name of a function or class in the pickle; it is never imported."""

    def __init__(self, name: str) -> None:
        self.name = name


def loads(data: bytes, where: str, *, skip_tensors: bool = False) -> Any:
    r"""The object in a pickle, if it consists of numbers, text, bytes, None, plain containers and NumPy arrays.

    Args:
        data: the pickle; what follows its end is left alone.
        where: file and key, named in errors.
        skip_tensors: torch tensors become `Skipped` instead of an error.

    Returns:
        The object; arrays are read-only views of the pickle's bytes.

    Raises:
        DataError: any other class or function (named), or a pickle that is cut short or damaged.

    Example:
        >>> loads(b"(lp0\nI1\naI2\na.", "list.pkl")
        [1, 2]
        >>> loads(b"cos\nsystem\n(S'echo harm'\ntR.", "bad.pkl")
        Traceback (most recent call last):
        slembench.core.errors.DataError: bad.pkl: the pickle names os.system: refused; NumPy arrays, numbers, text ...
    """
    machine = _Machine(skip_tensors, len(data))
    try:
        return machine.run(bytes(data))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except Exception as error:  # a damaged program trips over its own stack in any way there is
        problem = str(error) or type(error).__name__
        raise DataError(f"{where}: not a readable pickle (cut short or damaged): {problem}") from error


class _Machine:
    """The stack machine, of which only harmless instructions are there."""

    def __init__(self, skip_tensors: bool, budget: int) -> None:
        self.skip_tensors = skip_tensors
        self.budget = budget  # items that calls may copy; a sound pickle holds each of them once
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        """Step through the pickle; the object on top of the stack at its end."""
        for code, argument, _ in pickletools.genops(data):
            if code.name == "STOP":
                return _resolve(self.stack[-1])
            if code.name not in _CODES:
                raise DataError(f"the pickle wants to build an object of its own (instruction {code.name}): refused")
            _CODES[code.name](self, argument)
        raise DataError("the pickle has no end")

    # -- stack and memo -----------------------------------------------------------------------------------

    def _items(self) -> list[Any]:
        """Pop all items above the last mark, and the mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("no mark on the stack")
        items = [_resolve(item) for item in self.stack[place + 1 :]]
        del self.stack[place:]
        return items

    def _op_proto(self, _: Any) -> None:
        """Nothing: all protocols are read alike."""

    _op_frame = _op_proto

    def _op_mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _op_pop(self, _: Any) -> None:
        self.stack.pop()

    def _op_pop_mark(self, _: Any) -> None:
        self._items()

    def _op_dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _op_put(self, slot: Any) -> None:
        value = self.stack[-1]
        if isinstance(value, Pending):
            value.slots.append(int(slot))
        self.memo[int(slot)] = value

    def _op_memoize(self, _: Any) -> None:
        self._op_put(len(self.memo))

    def _op_get(self, slot: Any) -> None:
        self.stack.append(self.memo[int(slot)])

    # -- plain values -------------------------------------------------------------------------------------

    def _op_literal(self, value: Any) -> None:
        self.stack.append(value)

    def _op_none(self, _: Any) -> None:
        self.stack.append(None)

    def _op_newtrue(self, _: Any) -> None:
        self.stack.append(True)

    def _op_newfalse(self, _: Any) -> None:
        self.stack.append(False)

    def _op_empty_list(self, _: Any) -> None:
        self.stack.append([])

    def _op_empty_tuple(self, _: Any) -> None:
        self.stack.append(())

    def _op_empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def _op_empty_set(self, _: Any) -> None:
        self.stack.append(set())

    def _op_list(self, _: Any) -> None:
        self.stack.append(self._items())

    def _op_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._items()))

    def _op_tuple1(self, _: Any) -> None:
        self._take_tuple(1)

    def _op_tuple2(self, _: Any) -> None:
        self._take_tuple(2)

    def _op_tuple3(self, _: Any) -> None:
        self._take_tuple(3)

    def _take_tuple(self, size: int) -> None:
        if len(self.stack) < size:
            raise ValueError("the stack is empty")
        items = tuple(_resolve(item) for item in self.stack[-size:])
        del self.stack[-size:]
        self.stack.append(items)

    def _op_dict(self, _: Any) -> None:
        items = self._items()
        self.stack.append({})
        self._set_items(items)

    def _op_frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(check_key(item) for item in self._items()))

    def _op_append(self, _: Any) -> None:
        value = _resolve(self.stack.pop())
        self._extend([value])

    def _op_appends(self, _: Any) -> None:
        self._extend(self._items())

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Skipped):
            raise ValueError("items for something that is no list")

    def _op_additems(self, _: Any) -> None:
        items = self._items()
        if not isinstance(self.stack[-1], set):
            raise ValueError("items for something that is no set")
        self.stack[-1].update(check_key(item) for item in items)

    def _op_setitem(self, _: Any) -> None:
        value, key = _resolve(self.stack.pop()), self.stack.pop()
        self._set_items([key, value])

    def _op_setitems(self, _: Any) -> None:
        self._set_items(self._items())

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            target.update((check_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True))
        elif not isinstance(target, Skipped):
            raise ValueError("items for something that is no dict")

    # -- names and calls ----------------------------------------------------------------------------------

    def _op_global(self, argument: str) -> None:
        self._name(argument.replace(" ", ".", 1))

    def _op_stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name that is no text")
        self._name(f"{module}.{name}")

    def _name(self, name: str) -> None:
        if self.skip_tensors and name.startswith("torch."):
            self.stack.append(Skipped(name))
        elif name in CALLS or name in CLASSES:
            self.stack.append(_Global(name))
        else:
            raise DataError(
                f"the pickle names {name[:100]}: refused; NumPy arrays, numbers, text and plain containers are read"
            )

    def _op_reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if isinstance(function, Skipped):
            self.stack.append(function)
        elif not isinstance(function, _Global) or function.name not in CALLS or not isinstance(arguments, tuple):
            raise DataError("the pickle calls something that is no function: refused")
        else:
            # a list on the stack may be copied by every call: a few bytes each time for megabytes of memory
            self.budget -= len(arguments[0]) if arguments and isinstance(arguments[0], str | list | tuple) else 0
            if self.budget < 0:
                raise DataError("the pickle makes more data than it holds: refused")
            self.stack.append(CALLS[function.name](*arguments))

    def _op_build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Skipped):
            return
        if not isinstance(target, Pending) or not isinstance(state, tuple):
            raise DataError("the pickle sets the state of something that is no array: refused")
        built = target.build(state)
        self.stack[-1] = built
        for slot in target.slots:
            self.memo[slot] = built  # later references mean the finished array


_CODES: dict[str, Callable[[_Machine, Any], None]] = {
    **{name.removeprefix("_op_").upper(): code for name, code in vars(_Machine).items() if name.startswith("_op_")},
    **dict.fromkeys(_LITERAL, _Machine._op_literal),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine._op_put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine._op_get),
}
"""Instruction -> what the machine does; those that are absent are refused."""


def _resolve(value: Any) -> Any:
    """The value itself; a dtype that nothing was added to becomes final."""
    if value is _MARK:
        raise ValueError("a mark where a value must be")
    return value.resolve() if isinstance(value, Pending) else value
