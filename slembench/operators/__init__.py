"""Operators in localised-orbital bases: units, orbitals, rotations, blocks and their irreps."""

from __future__ import annotations

from typing import Literal

Operator = Literal["hamiltonian", "overlap", "density"]
"""Name of an operator, as in cards, data files, predictions and records."""

OPERATORS: tuple[str, ...] = ("hamiltonian", "overlap", "density")
"""All operators, in the order in which they are stored and shown."""

SYMBOLS: dict[str, str] = {"hamiltonian": "H", "overlap": "S", "density": "D"}
"""Operator -> the letter that stands for it in formulas, tables and figures."""
