"""Reference levels and orbitals, kept on disk: they are the same for every model that is scored."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slembench.blocks import BlockMatrix
from slembench.files import atomic_file
from slembench.metrics.eigen import orbitals
from slembench.metrics.spectrum import Matrices, blas_threads, matrices_at_k
from slembench.orbitals import FloatArray

CACHE_VERSION = 2
"""Raised whenever the solver changes what is stored."""


@dataclass(frozen=True)
class ReferenceLevels:
    """Levels and orbitals of one structure.

    Attributes:
        eps: (n_k, n) | unit of H; NaN for directions that a nearly singular S makes meaningless.
        orbitals: (n_k, n, m) | the lowest m orbitals, C^dagger S C = 1.
        s_min_eig: smallest eigenvalue of S(k), dimensionless.
    """

    eps: FloatArray
    orbitals: Matrices
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

    def get(
        self, structure: str, hamiltonian: BlockMatrix, overlap: BlockMatrix, kept: int | None = None
    ) -> ReferenceLevels:
        """Levels of a structure, from the cache or computed and stored; a damaged file is computed again.

        Args:
            structure: id.
            hamiltonian: reference H.
            overlap: reference S.
            kept: number of orbitals to keep, the lowest ones; all by default.
        """
        if self._folder is None:
            return reference_levels(hamiltonian, overlap, self._kpoints, kept)
        name = hashlib.sha256(f"{self._prefix}{kept}:{structure}".encode()).hexdigest()[:32]
        file = self._folder / name[:2] / f"{name}.npy"
        stored = _read(file)
        if stored is None:
            stored = reference_levels(hamiltonian, overlap, self._kpoints, kept)
            _write(file, stored)
        return stored


def reference_levels(
    hamiltonian: BlockMatrix, overlap: BlockMatrix, kpoints: FloatArray, kept: int | None = None
) -> ReferenceLevels:
    """Levels, lowest orbitals and the smallest eigenvalue of S(k); arguments as in `LevelCache.get`."""
    eps, vectors, lowest = [], [], []
    size = hamiltonian.n_orbitals
    with blas_threads(size):
        for matrices in matrices_at_k(kpoints, hamiltonian, overlap):
            for h, s in zip(*matrices):
                found, coefficients = orbitals(h, s)
                eps.append(np.pad(found, (0, size - len(found)), constant_values=np.nan))
                vectors.append(coefficients[:, :kept])
                lowest.append(float(np.linalg.eigvalsh(s)[0]))
    columns = min(v.shape[1] for v in vectors)
    return ReferenceLevels(np.array(eps), np.array([v[:, :columns] for v in vectors]), min(lowest))


def _write(file: Path, levels: ReferenceLevels) -> None:
    """Three arrays end to end after a checksum of all of them."""
    content = io.BytesIO()
    for array in (levels.eps, levels.orbitals, np.array(levels.s_min_eig)):
        np.save(content, array, allow_pickle=False)
    with atomic_file(file) as temporary, temporary.open("wb") as stream:
        stream.write(zlib.crc32(content.getbuffer()).to_bytes(4, "little"))
        stream.write(content.getbuffer())


def _read(file: Path) -> ReferenceLevels | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if zlib.crc32(memoryview(content)[4:]).to_bytes(4, "little") != content[:4]:
        return None
    stream = io.BytesIO(content)
    stream.seek(4)
    eps, vectors, lowest = (np.load(stream, allow_pickle=False) for _ in range(3))
    return ReferenceLevels(eps, vectors, float(lowest))
