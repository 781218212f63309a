"""Checks of every stored structure of a generated data set, from the stored (rounded) values alone.

Of all: bands against the program's own, electrons Tr(D S), positive S(k), overlaps that vanish towards the cutoff, and
D against the density matrix of the stored H and S. Of molecules also: orbital directions, and the effect of rounding.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import scipy.linalg

from slembench.core.errors import DataError
from slembench.data.card import Mesh
from slembench.data.dataset import Dataset
from slembench.data.pairs import cutoff_margin
from slembench.data.recipes.lcao_fourier import PairBlocks, contract, density_matrices, half_mesh, to_real_space
from slembench.data.recipes.records import Record
from slembench.data.sample import Sample
from slembench.operators.orbitals import Basis
from slembench.operators.units import ENERGY_UNITS

S_SHELL, P_SHELL = 0, 1
CANONICAL_P = (1, 2, 0)
"""Cartesian axis of each canonical p orbital: y, z, x."""
SMALLEST_OVERLAP = 0.01
"""Shell pairs whose overlap is smaller than this have no direction worth comparing."""


EMPTY_BANDS = 4
"""Bands of a crystal above the occupied ones whose energies are compared; of a molecule, all are."""


@dataclass(frozen=True)
class Limits:
    """Largest (or smallest) values with which a structure is accepted.

    Attributes:
        eigenvalue_meV: error of the occupied bands and the `EMPTY_BANDS` above them at the check points, or of all
            orbitals of a molecule.
        electrons: |Tr(D S) - electrons|.
        far_overlap: largest |S| in the outer tenth of the cutoffs against the largest of all.
        overlap_eigenvalue: smallest eigenvalue of S(k); above it.
        cutoff_margin: smallest distance of any pair from its cutoff, Angstrom; above it.
        density: see `crystal_density_error` and `molecule_density_error`.
        direction: see `direction_error`.
        rounding_meV: see `rounding_error`, in meV.
    """

    eigenvalue_meV: float = 1.0
    electrons: float = 1e-3
    far_overlap: float = 0.02
    overlap_eigenvalue: float = 1e-6
    cutoff_margin: float = 1e-7
    density: float = 1e-4
    direction: float = 1e-4
    rounding_meV: float = 1.0


@dataclass(frozen=True)
class Checks:
    """Measured counterparts of `Limits`, of one structure; 0 where a check is not for its kind."""

    eigenvalue_meV: float
    electrons: float
    far_overlap: float
    overlap_eigenvalue: float
    cutoff_margin: float
    density: float = 0.0
    direction: float = 0.0
    rounding_meV: float = 0.0


def verify_sample(dataset: Dataset, record: Record, limits: Limits) -> Checks:
    """Check one stored structure against what the recipe's code computed for it.

    Args:
        dataset: holds the structure, rounded.
        record: the recipe's own, with eigenvalues at check points.
        limits: what is accepted.

    Raises:
        DataError: a limit is passed; names the structure, the check, its value and the limit.
    """
    sample = dataset.sample(record.sample.id)
    error, smallest = band_error(sample, record)
    molecule = not sample.atoms.pbc.any()
    electrons, density = density_errors(sample, record) if smallest > 0 else (record.electrons_error, 0.0)
    checks = Checks(
        eigenvalue_meV=error,
        electrons=electrons,
        far_overlap=far_overlap(sample, dataset.cutoffs),
        overlap_eigenvalue=smallest,
        cutoff_margin=cutoff_margin(sample.atoms, dataset.cutoffs),
        density=density,
        direction=direction_error(sample) if molecule else 0.0,
        rounding_meV=rounding_error(sample, record.sample) * to_meV(sample) if molecule else 0.0,
    )
    for name, value in asdict(checks).items():
        limit = getattr(limits, name)
        # `value <= limit` and not `value > limit` to fail: a NaN passes no check
        passed = value > limit if name in ("overlap_eigenvalue", "cutoff_margin") else value <= limit
        if not passed:
            raise DataError(
                f"{dataset.root}: structure {sample.id!r}: check {name!r}: {value:.3g}, the limit is {limit:g}"
            )
    return checks


def density_errors(sample: Sample, record: Record) -> tuple[float, float]:
    """Error of Tr(D S), and largest element of D minus the density of the stored H and S.

    Of a structure without D: the recipe's own error of Tr(D S), and 0.
    """
    if "density" not in sample.operators:
        return record.electrons_error, 0.0
    if record.kmesh_ft is None:
        return molecule_electrons_error(sample), molecule_density_error(sample)
    return crystal_electrons_error(sample), crystal_density_error(sample, record.kmesh_ft)


def band_error(sample: Sample, record: Record) -> tuple[float, float]:
    """Largest error in meV of the bands rebuilt from stored H and S, and the smallest eigenvalue of any S(k).

    The occupied bands and the `EMPTY_BANDS` next ones (all orbitals of a molecule) are compared with the code's own
    eigenvalues. An S(k) that is not positive definite gives an infinite error.
    """
    assert sample.info.electrons is not None
    # high empty bands of a crystal depend on blocks beyond the cutoff; nobody uses them
    bands = int(np.ceil(sample.info.electrons / 2)) + EMPTY_BANDS if sample.atoms.pbc.any() else None
    worst, smallest = 0.0, np.inf
    bloch = (sample.operators[name].at_k(record.kpoints) for name in ("hamiltonian", "overlap"))
    for h, s, expected in zip(*bloch, record.eigenvalues, strict=True):
        smallest = min(smallest, float(scipy.linalg.eigvalsh(s, subset_by_index=[0, 0])[0]))
        if smallest <= 0:
            return np.inf, smallest
        rebuilt = scipy.linalg.eigvalsh(h, s)
        worst = max(worst, float(np.abs(rebuilt[:bands] - expected[:bands]).max()) * to_meV(sample))
    return worst, smallest


def to_meV(sample: Sample) -> float:
    """Factor to meV from the sample's energy unit."""
    return 1e3 * ENERGY_UNITS[sample.info.energy_unit]


def far_overlap(sample: Sample, cutoffs: dict[int, float]) -> float:
    """Largest |S| of a pair in the outer tenth of its cutoff against the largest of all: small if every R is right."""
    overlap = sample.operators["overlap"]
    radii = np.array([cutoffs[z] for z in sample.atoms.numbers.tolist()])
    length = np.linalg.norm(overlap.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    # a wrong R label would put the block of a near pair on a far one
    largest = np.maximum.reduceat(np.abs(overlap.values), overlap.offsets[:-1])
    far = length > 0.9 * radii[overlap.pair_index].mean(axis=1)
    return float(largest[far].max(initial=0.0) / largest.max())


def molecule_electrons_error(sample: Sample) -> float:
    """|Tr(D S) - electrons| of a molecule, from the stored blocks."""
    density, overlap = (sample.operators[name].dense() for name in ("density", "overlap"))
    return abs(float(np.vdot(density, overlap)) - float(sample.info.electrons or 0.0))


def molecule_density_error(sample: Sample) -> float:
    """Largest element of D - 2 C_occ C_occ^T, with C from the stored H and S of a closed-shell molecule."""
    hamiltonian, overlap, density = (sample.operators[name].dense() for name in ("hamiltonian", "overlap", "density"))
    # closed shell: N / 2 orbitals, two electrons in each
    occupied = round(float(sample.info.electrons or 0.0) / 2)
    orbitals = scipy.linalg.eigh(hamiltonian, overlap)[1][:, :occupied]
    return float(np.abs(density - 2 * orbitals @ orbitals.T).max())


def direction_error(sample: Sample) -> float:
    """Worst 1 - cos between <s_i | p_j> as a vector and the direction from j to i, over pairs, outermost shells.

    A p orbital is positive on the side to which it points, so that its overlap with a positive s orbital is along the
    direction from its own atom to the other. Exactly zero in the right orbital order and sign; a swapped or flipped
    component gives 0.3 to 2. The last s and p shell of each element must be positive, as single Gaussians are (the core
    contractions of N, O and F in def2-SVP are negative).
    """
    overlap, basis, positions = sample.operators["overlap"].complete(), sample.basis, sample.atoms.positions
    worst = 0.0
    for first, second, pairs in overlap.pair_type_groups():
        pairs = pairs[~overlap.onsite[pairs]]
        if not len(pairs):
            continue
        i, j = overlap.pair_index[pairs].T
        direction = (positions[i] - positions[j])[:, CANONICAL_P]  # from j to i, as (y, z, x)
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        blocks = overlap.gather(pairs)
        if S_SHELL not in basis.shells[first] or P_SHELL not in basis.shells[second]:
            continue
        row, column = _last(basis, first, S_SHELL), _last(basis, second, P_SHELL)
        vectors = blocks[:, row, column : column + 3]  # <s_i | p_j>, three components
        length = np.linalg.norm(vectors, axis=1)
        large = length > SMALLEST_OVERLAP
        cosine = (vectors[large] * direction[large]).sum(axis=1) / length[large]
        worst = max(worst, float((1 - cosine).max(initial=0.0)))
    return worst


def rounding_error(stored: Sample, exact: Sample) -> float:
    """Largest difference of the orbital energies of the stored H and S from those before rounding, in their unit."""
    before, after = (
        scipy.linalg.eigvalsh(*(sample.operators[name].dense() for name in ("hamiltonian", "overlap")))
        for sample in (exact, stored)
    )
    return float(np.abs(after - before).max())


def _last(basis: Basis, element: int, l: int) -> int:
    """First orbital of the outermost shell of this l."""
    return int(basis.shell_offsets(element)[:-1][np.array(basis.shells[element]) == l][-1])


def crystal_electrons_error(sample: Sample) -> float:
    """|Tr(D S) - electrons a cell| from the stored triangle of blocks."""
    operators = sample.operators
    found = contract(operators["density"].values, operators["overlap"].values, _pairs(sample))
    return abs(found - float(sample.info.electrons or 0.0))


def crystal_density_error(sample: Sample, mesh: Mesh) -> float:
    """Largest element of D minus the density matrix of the stored H and S at the stored smearing.

    Args:
        sample: a crystal with H, S and D, one triangle of pairs.
        mesh: odd k mesh on which D was made.
    """
    points, weights = half_mesh(mesh)
    hamiltonian, overlap = (np.stack(list(sample.operators[name].at_k(points))) for name in ("hamiltonian", "overlap"))
    electrons, smearing = float(sample.info.electrons or 0.0), float(sample.info.smearing or 0.0)
    density, _ = density_matrices(hamiltonian, overlap, weights, electrons, smearing)
    rebuilt = to_real_space(density, points, weights, _pairs(sample), mesh)
    return float(np.abs(rebuilt - sample.operators["density"].values).max())


def _pairs(sample: Sample) -> PairBlocks:
    operator = sample.operators["overlap"]
    return PairBlocks(operator.pair_index, operator.pair_shift, sample.basis.sizes(sample.atoms.numbers))
