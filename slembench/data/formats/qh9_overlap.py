"""The overlap of a QH9 molecule, which the files do not hold, computed with PySCF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slembench.blocks import BlockMatrix
from slembench.data.formats.qh9_molecule import BASIS, canonical_order
from slembench.data.sample import Sample
from slembench.errors import DataError
from slembench.orbitals import FloatArray, IntArray


def overlap(numbers: IntArray, positions: FloatArray) -> FloatArray:
    """S of def2-SVP in canonical order, dimensionless.

    Args:
        numbers: (N,) of H, C, N, O, F.
        positions: (N, 3) Angstrom.

    Returns:
        (n, n).

    Raises:
        DataError: PySCF is not installed.
    """
    try:
        from pyscf import gto
    except ImportError as error:
        raise DataError("the overlap of QH9 is computed with PySCF: pip install pyscf") from error
    atoms = [(int(z), tuple(xyz)) for z, xyz in zip(numbers, positions.tolist())]
    spin = int(numbers.sum()) % 2
    molecule = gto.M(atom=atoms, basis="def2svp", unit="Angstrom", spin=spin, verbose=0)
    order = canonical_order(numbers)
    return np.asarray(molecule.intor("int1e_ovlp"))[order[:, None], order]


def with_overlap(sample: Sample) -> Sample:
    """The sample with the operator "overlap" added."""
    matrix = overlap(sample.atoms.numbers, sample.atoms.positions)
    blocks = BlockMatrix.from_dense(BASIS, sample.atoms.numbers, matrix)
    return replace(sample, operators={**sample.operators, "overlap": blocks})
