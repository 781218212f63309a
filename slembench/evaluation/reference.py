"""Reference levels and orbitals of a structure, kept on disk: they are the same for every model that is scored."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slembench.core.files import atomic_file
from slembench.metrics.spectrum import Matrices, blas_threads, matrices_at_k, min_eigenvalue, orbitals
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray

CACHE_VERSION = 3
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
        # whatever changes the levels is part of the file's name: solver, data, k points and (in `get`) orbitals kept
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
        file = self._folder / name[:2] / f"{name}.levels"
        stored = _read(file)
        if stored is None:
            stored = reference_levels(hamiltonian, overlap, self._kpoints, kept)
            _write(file, stored)
        return stored


def reference_levels(
    hamiltonian: BlockMatrix, overlap: BlockMatrix, kpoints: FloatArray, kept: int | None = None
) -> ReferenceLevels:
    """Levels, lowest orbitals and the smallest eigenvalue of S(k).

    Args:
        hamiltonian: reference H.
        overlap: reference S.
        kpoints: (n_k, 3) fractional.
        kept: number of orbitals to keep, the lowest ones; all by default.

    Example:
        >>> from slembench.operators.orbitals import Basis
        >>> basis, atoms = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> h = BlockMatrix.from_dense(basis, atoms, np.array([[-0.5, -0.7], [-0.7, -0.5]]))
        >>> s = BlockMatrix.from_dense(basis, atoms, np.array([[1, 0.6], [0.6, 1]]))
        >>> found = reference_levels(h, s, np.zeros((1, 3)), kept=1)
        >>> found.eps.round(4), found.orbitals.shape, round(found.s_min_eig, 4)
        (array([[-0.75,  0.5 ]]), (1, 2, 1), 0.4)
    """
    eps, vectors, lowest = [], [], []
    size = hamiltonian.n_orbitals
    with blas_threads(size):
        for matrices in matrices_at_k(kpoints, hamiltonian, overlap):
            for h, s in zip(*matrices):
                own, coefficients = orbitals(h, s)
                eps.append(np.pad(own, (0, size - len(own)), constant_values=np.nan))  # projected directions
                vectors.append(coefficients[:, :kept])
                lowest.append(min_eigenvalue(s))
    columns = min(v.shape[1] for v in vectors)  # some k may have lost directions that others keep
    return ReferenceLevels(np.array(eps), np.array([v[:, :columns] for v in vectors]), min(lowest))


_HEAD = struct.Struct("<I4x4q?7xd8x")
"""64 bytes: checksum of the rest; n_k, n, rows and columns of orbitals; are they complex; smallest eigenvalue of S."""


def _write(file: Path, levels: ReferenceLevels) -> None:
    """Header, levels and orbitals end to end, without a format that would take longer to parse than to read."""
    vectors = np.ascontiguousarray(levels.orbitals)
    shape = (*levels.eps.shape, *vectors.shape[1:])
    body = levels.eps.tobytes() + vectors.tobytes()
    head = _HEAD.pack(0, *shape, np.iscomplexobj(vectors), levels.s_min_eig)
    checksum = zlib.crc32(body, zlib.crc32(head[4:]))  # over all but itself; it stands in the first four bytes
    with atomic_file(file) as temporary:
        temporary.write_bytes(checksum.to_bytes(4, "little") + head[4:] + body)


def _read(file: Path) -> ReferenceLevels | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if len(content) < _HEAD.size or zlib.crc32(memoryview(content)[4:]).to_bytes(4, "little") != content[:4]:
        return None
    _, n_k, n, rows, columns, is_complex, lowest = _HEAD.unpack_from(content)
    eps = np.frombuffer(content, np.float64, n_k * n, _HEAD.size).reshape(n_k, n)
    kind = np.complex128 if is_complex else np.float64
    vectors = np.frombuffer(content, kind, n_k * rows * columns, _HEAD.size + eps.nbytes)
    return ReferenceLevels(eps, vectors.reshape(n_k, rows, columns), lowest)
