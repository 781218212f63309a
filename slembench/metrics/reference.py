"""Reference levels on a k mesh, kept on disk: they are the same for every model that is scored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from slembench.blocks import BlockMatrix
from slembench.files import atomic_file
from slembench.metrics.spectrum import levels, overlap_minimum
from slembench.orbitals import FloatArray

CACHE_VERSION = 1
"""Raised whenever the solver changes what is stored."""


@dataclass(frozen=True)
class ReferenceLevels:
    """Levels of one structure.

    Attributes:
        eps: (n_k, n) | unit of H.
        s_min_eig: smallest eigenvalue of S(k), dimensionless.
    """

    eps: FloatArray
    s_min_eig: float


class LevelCache:
    """Reference levels by structure, one small file each.

    Args:
        folder: where the files live; None for no cache.
        fingerprint: of the data set's content, so that changed data are never met with old levels.
        kpoints: (n_k, 3) fractional.
    """

    def __init__(self, folder: Path | None, fingerprint: str, kpoints: FloatArray) -> None:
        self._folder, self._kpoints = folder, kpoints
        self._prefix = f"{CACHE_VERSION}:{fingerprint}:{np.asarray(kpoints).tolist()}:"

    def get(self, structure: str, hamiltonian: BlockMatrix, overlap: BlockMatrix) -> ReferenceLevels:
        """Levels of a structure, from the cache or computed and stored; a damaged file is computed again."""
        if self._folder is None:
            return self._compute(hamiltonian, overlap)
        name = hashlib.sha256((self._prefix + structure).encode()).hexdigest()[:32]
        file = self._folder / name[:2] / f"{name}.npz"
        stored = _read(file)
        if stored is None:
            stored = self._compute(hamiltonian, overlap)
            with atomic_file(file) as temporary, temporary.open("wb") as stream:
                np.savez(stream, eps=stored.eps, s_min_eig=stored.s_min_eig)
        return stored

    def _compute(self, hamiltonian: BlockMatrix, overlap: BlockMatrix) -> ReferenceLevels:
        eps = levels(hamiltonian, overlap, self._kpoints)
        return ReferenceLevels(eps, overlap_minimum(overlap, self._kpoints))


def _read(file: Path) -> ReferenceLevels | None:
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as stored:
            return ReferenceLevels(stored["eps"], float(stored["s_min_eig"]))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None
