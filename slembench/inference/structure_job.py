"""What a prediction of one structure needs; every worker gets one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ase

from slembench.inference.chunked import MAX_PAIRS


@dataclass(frozen=True)
class StructureJob:
    """What is predicted; every worker gets one.

    Attributes:
        checkpoint: folder of the model.
        name: id of the structure in the predictions file.
        atoms: the structure; positions and cell in Angstrom.
        source_hash: identifies what the structure was read from, kept in the file's header.
        energy_unit: unit of the model's Hamiltonians, where its checkpoint does not say.
        max_pairs: pairs worked on at a time.
        threads: of each process.
    """

    checkpoint: Path
    name: str
    atoms: ase.Atoms
    source_hash: str
    energy_unit: str | None = None
    max_pairs: int = MAX_PAIRS
    threads: int = 1
