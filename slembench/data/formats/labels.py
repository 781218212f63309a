"""Names of species in the input of first-principles codes."""

from __future__ import annotations

import re

from ase.data import atomic_numbers

from slembench.errors import DataError


def element_of(label: str) -> int:
    """Atomic number of a species label such as Fe, Fe1, C_up.

    Raises:
        DataError: no chemical symbol begins the label.
    """
    letters = re.match(r"[A-Za-z]*", label)
    word = letters[0].capitalize() if letters else ""
    for symbol in (label, word, word[:2], word[:1]):
        if atomic_numbers.get(symbol, 0) > 0:
            return int(atomic_numbers[symbol])
    raise DataError(f"species {label!r} begins with no chemical symbol")
