"""Report on a file of another program: structures, shells, range of the blocks, Hermiticity, electrons, units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from slembench.data.formats.plausibility import LARGEST, energy_evidence, overlap_matrices
from slembench.data.formats.registry import Format, detect_format, find_format, read_samples
from slembench.data.sample import Sample, on_common_pairs
from slembench.operators.blocks import BlockMatrix


@dataclass(frozen=True)
class OperatorReport:
    """One operator of one structure.

    Attributes:
        pairs: blocks, both directions.
        reach: length in Angstrom of the longest pair whose block is not zero.
        largest: largest |value|, unit of the operator.
        hermiticity_error: largest |M_ij(R) - M_ji(-R)^T| where both were there, same unit.
    """

    pairs: int
    reach: float
    largest: float
    hermiticity_error: float


@dataclass(frozen=True)
class StructureReport:
    """One structure.

    Attributes:
        id: as the reader gives it.
        formula: such as "MoS2".
        atoms: number of atoms.
        orbitals: number of orbitals.
        periodic: periodic axes, "abc", "ab", "" ...
        operators: operator -> report.
        overlap_minimum: smallest eigenvalue of S at Gamma, in crystals also at `GENERAL_K`; None without S, or beyond
            `LARGEST` orbitals.
        electrons: Tr(D S); None where D or S is missing.
        stated_electrons: what the file says.
        levels: what the levels say about the energy unit.
    """

    id: str
    formula: str
    atoms: int
    orbitals: int
    periodic: str
    operators: dict[str, OperatorReport]
    overlap_minimum: float | None
    electrons: float | None
    stated_electrons: float | None
    levels: str


@dataclass(frozen=True)
class Inspection:
    """A path and the first structures in it.

    Attributes:
        format: detected or given.
        reasons: what speaks for the format.
        notes: of the format: how much there is, units.
        shells: chemical symbol -> shells, of the elements that occur.
        energy_unit: unit of the Hamiltonian as it is read.
        structures: the first ones.
        more: whether there are more structures than those.
    """

    format: Format
    reasons: list[str]
    notes: list[str]
    shells: dict[str, str]
    energy_unit: str
    structures: list[StructureReport]
    more: bool


def inspect_path(path: Path, name: str | None = None, limit: int = 10, **options: Any) -> Inspection:
    """Look at the first structures of a path.

    Args:
        path: file or folder.
        name: format; detected where it is None.
        limit: structures to look at.
        options: of the format's reader.

    Raises:
        DataError: no or more than one format, or anything that the reader refuses.
    """
    if name is None:
        chosen, reasons = detect_format(path)
    else:
        chosen, reasons = find_format(name), ["given"]
    samples = read_samples(path, chosen.name, **options)
    first = list(islice(samples, limit))
    more = next(samples, None) is not None
    shells: dict[str, str] = {}
    for sample in first:
        shells |= sample.basis.restrict(sample.atoms.numbers).to_dict()
    return Inspection(
        format=chosen,
        reasons=reasons,
        notes=chosen.notes(path) if chosen.notes is not None and not any(options.values()) else [],
        shells=shells,
        energy_unit=", ".join(sorted({sample.info.energy_unit for sample in first})),
        structures=[inspect_sample(sample) for sample in first],
        more=more,
    )


def inspect_sample(sample: Sample) -> StructureReport:
    """Report of one structure: operators, electrons, smallest overlap eigenvalue, energy unit."""
    operators, atoms = sample.operators, sample.atoms
    return StructureReport(
        id=sample.id,
        formula=atoms.get_chemical_formula(),
        atoms=len(atoms),
        orbitals=int(sample.basis.sizes(atoms.numbers).sum()),
        periodic="".join(axis for axis, periodic in zip("abc", atoms.pbc) if periodic),
        operators={name: _inspect_operator(operator, sample) for name, operator in operators.items()},
        overlap_minimum=_overlap_minimum(operators["overlap"]) if "overlap" in operators else None,
        electrons=_electrons(operators),
        stated_electrons=sample.info.electrons,
        levels=_levels(operators),
    )


def _inspect_operator(operator: BlockMatrix, sample: Sample) -> OperatorReport:
    full = operator.complete()
    length = np.linalg.norm(full.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    # formats that store dense matrices, or a fixed list of pairs, hold blocks of zeros: they do not count for the reach
    there = np.zeros(full.n_pairs, dtype=bool)
    there[full.element_pair[full.values != 0]] = True
    return OperatorReport(
        pairs=full.n_pairs,
        reach=float(length[there].max(initial=0.0)),
        largest=float(np.abs(full.values).max(initial=0.0)),
        hermiticity_error=operator.hermiticity_error(),
    )


def _overlap_minimum(overlap: BlockMatrix) -> float | None:
    if overlap.n_orbitals > LARGEST:
        return None
    return min(float(np.linalg.eigvalsh(matrix).min()) for matrix in overlap_matrices(overlap))


def _electrons(operators: Mapping[str, BlockMatrix]) -> float | None:
    if not {"density", "overlap"} <= set(operators):
        return None
    # Tr(D S) = sum_R sum_ij D_ij(R) S_ij(R), both directions of every pair; a block that S lacks contributes nothing
    pair = on_common_pairs({name: operators[name] for name in ("density", "overlap")})
    return float((pair["density"].values * pair["overlap"].values).sum())


def _levels(operators: Mapping[str, BlockMatrix]) -> str:
    """Energy unit inferred from the levels of the Hamiltonian, with the reason."""
    if "hamiltonian" not in operators:
        return "no Hamiltonian"
    found = energy_evidence(operators["hamiltonian"], operators.get("overlap"))
    return f"{found.unit or 'either unit'}: {found.reason}"
