"""What any model of operators must obey, measured on a callable ``structure -> operators``.

Every function calls the model on a structure and on a changed one, and compares blocks that must be equal. Errors are
relative to the mean |element| of the operator, the largest and the mean one; callables should work in float64.

Example:
    A model with one s orbital an atom, whose blocks follow from distances, and one that knows the direction z.

    >>> from slembench.operators.orbitals import Basis
    >>> def model(atoms, bias=0.0):
    ...     vectors = atoms.get_all_distances(vector=True)
    ...     h = -np.exp(-np.linalg.norm(vectors, axis=-1)) + bias * np.abs(vectors[:, :, 2])
    ...     return {"hamiltonian": BlockMatrix.from_dense(Basis.parse({"H": "1s"}), atoms.numbers, h)}
    >>> atoms = ase.Atoms("H3", positions=[[0, 0, 0], [0.8, 0, 0], [0, 0.9, 0.4]])
    >>> turn = polar_rotation(atoms)
    >>> good, bad = (rotation_error(lambda a: model(a, bias), atoms, turn)["hamiltonian"] for bias in (0.0, 0.1))
    >>> good.largest < 1e-12, bad.largest > 0.1
    (True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import ase
import numpy as np
from scipy.spatial.transform import Rotation

from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray, IntArray

Predictor = Callable[[ase.Atoms], Mapping[str, BlockMatrix]]
"""Structure (Angstrom) -> operator name -> blocks, both directions of every pair."""


@dataclass(frozen=True)
class Deviation:
    """How far two operators are apart that should be equal, relative to the mean |element|; dimensionless.

    Attributes:
        largest: largest deviation.
        mean: mean deviation.
    """

    largest: float
    mean: float


def deviation(result: BlockMatrix, expected: BlockMatrix) -> Deviation:
    """Deviation of one operator from another over the united pairs; absent blocks are zero.

    Args:
        result: operator that was predicted for the changed structure.
        expected: operator that it should equal; its mean |element| is the scale.

    Example:
        >>> from slembench.operators.orbitals import Basis
        >>> basis, atoms = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> h = BlockMatrix.from_dense(basis, atoms, np.array([[-0.5, -0.5], [-0.5, -0.5]]))
        >>> deviation(h.with_values(np.array([-0.5, -0.5, -0.5, -0.6])), h)
        Deviation(largest=0.1999..., mean=0.0499...)
    """
    scale = max(float(np.abs(expected.values).mean()), 1e-300)  # an operator of zeros deviates by nothing or by a lot
    error = np.abs((result - expected).values)
    return Deviation(float(error.max(initial=0.0)) / scale, float(error.mean()) / scale if len(error) else 0.0)


def rotation_error(predict: Predictor, atoms: ase.Atoms, rotation: FloatArray) -> dict[str, Deviation]:
    """`rotation`, `inversion`: M(Q x) against D(Q) M(x) D(Q)^T.

    Args:
        predict: the model.
        atoms: structure.
        rotation: (3, 3) orthogonal Q acting on Cartesian column vectors, proper or not.

    Returns:
        Operator -> deviation.

    Example:
        A model that knows the direction of a bond: wrong under a rotation, but even under inversion.

        >>> from slembench.operators.orbitals import Basis
        >>> def model(atoms):
        ...     h = -np.abs(atoms.get_all_distances(vector=True)[:, :, 2])
        ...     return {"hamiltonian": BlockMatrix.from_dense(Basis.parse({"H": "1s"}), atoms.numbers, h)}
        >>> atoms, quarter = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]]), np.eye(3)[[0, 2, 1]]
        >>> [rotation_error(model, atoms, q)["hamiltonian"].largest for q in (quarter, -np.eye(3))]
        [2.0, 0.0]
    """
    turned = atoms.copy()
    turned.set_cell(np.asarray(atoms.cell) @ rotation.T)
    turned.positions = atoms.positions @ rotation.T
    before, after = predict(atoms), predict(turned)
    return {name: deviation(after[name], before[name].rotate(rotation)) for name in before}


def polar_rotation(atoms: ase.Atoms) -> FloatArray:
    """(3, 3) rotation that lays the bond of the two closest atoms exactly along the polar axis z.

    Local frames of bonds are undefined about this axis, so that models fail here first.

    Example:
        >>> atoms = ase.Atoms("H2", positions=[[0, 0, 0], [0.6, 0.8, 0]])
        >>> (polar_rotation(atoms) @ [0.6, 0.8, 0]).round(12) + 0
        array([0., 0., 1.])
    """
    vectors = atoms.get_all_distances(mic=bool(np.any(atoms.pbc)), vector=True)
    lengths = np.linalg.norm(vectors, axis=-1)
    np.fill_diagonal(lengths, np.inf)
    i, j = np.unravel_index(int(lengths.argmin()), lengths.shape)
    z = vectors[i, j] / lengths[i, j]
    x = np.eye(3)[np.abs(z).argmin()]  # the axis farthest from z, so that its normal part does not vanish
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def translation_error(
    predict: Predictor, atoms: ase.Atoms, shift: FloatArray, wrap: bool = False
) -> dict[str, Deviation]:
    """`translation`: blocks after all atoms moved by ``shift`` (3,) | Angstrom.

    Args:
        predict: the model.
        atoms: structure.
        shift: of all atoms.
        wrap: bring every atom back into the cell, so that some cross its border; only pair labels may change.

    Returns:
        Operator -> deviation.

    Example:
        A model that reads absolute positions.

        >>> from slembench.operators.orbitals import Basis
        >>> def model(atoms):
        ...     h = -np.exp(-atoms.get_all_distances()) - 0.1 * atoms.positions[:, :1]
        ...     return {"hamiltonian": BlockMatrix.from_dense(Basis.parse({"H": "1s"}), atoms.numbers, h)}
        >>> atoms = ase.Atoms("H3", positions=[[0, 0, 0], [0.8, 0, 0], [0, 0.9, 0.4]])
        >>> error = translation_error(model, atoms, np.array([1.0, 0, 0]))["hamiltonian"]
        >>> 0.1 < error.mean < 0.3
        True
    """
    moved = atoms.copy()
    moved.positions += shift
    crossed = np.zeros((len(atoms), 3), dtype=np.int64)
    if wrap and np.any(atoms.pbc):
        inside = atoms.cell.complete().scaled_positions(moved.positions)
        crossed = np.floor(inside).astype(np.int64) * np.asarray(atoms.pbc)  # cells that each atom goes back
        moved.positions -= crossed @ atoms.cell.array
    before, after = predict(atoms), predict(moved)
    return {name: deviation(relabelled(after[name], crossed), before[name]) for name in before}


def relabelled(blocks: BlockMatrix, crossed: IntArray) -> BlockMatrix:
    """The operator with pairs named as before the atoms went back by ``crossed`` (N, 3) cells.

    Example:
        An atom that went back by one cell along z; its neighbour at R = (0, 0, 1) was at R = (0, 0, 2) before.

        >>> from slembench.operators.orbitals import Basis
        >>> basis, crossed = Basis.parse({"H": "1s"}), np.array([[0, 0, 1], [0, 0, 0]])
        >>> blocks = BlockMatrix(basis, np.array([1, 1]), [[0, 1]], [[0, 0, 1]], np.array([-0.9]))
        >>> relabelled(blocks, crossed).pair_shift
        array([[0, 0, 2]])
    """
    i, j = blocks.pair_index.T
    # r_i is now r_i - c_i: the same bond r_j + R - r_i has R' = R + c_j - c_i in the new labels
    return replace(blocks, pair_shift=blocks.pair_shift - crossed[j] + crossed[i])


def permutation_error(predict: Predictor, atoms: ase.Atoms, order: IntArray) -> dict[str, Deviation]:
    """`permutation`: blocks after the atoms were reordered and the blocks put back.

    Args:
        predict: the model.
        atoms: structure.
        order: (N,) old number of each atom in the new structure.

    Returns:
        Operator -> deviation.

    Example:
        A model that reads the number of an atom in the list.

        >>> from slembench.operators.orbitals import Basis
        >>> def model(atoms):
        ...     h = -np.exp(-atoms.get_all_distances()) - np.diag([0.5, 0, 0])
        ...     return {"hamiltonian": BlockMatrix.from_dense(Basis.parse({"H": "1s"}), atoms.numbers, h)}
        >>> atoms = ase.Atoms("H3", positions=[[0, 0, 0], [0.8, 0, 0], [0, 0.9, 0.4]])
        >>> permutation_error(model, atoms, np.array([1, 0, 2]))["hamiltonian"].largest > 0.5
        True
    """
    before, after = predict(atoms), predict(atoms[order])
    return {
        name: deviation(
            replace(blocks, numbers=before[name].numbers, pair_index=order[blocks.pair_index]), before[name]
        )
        for name, blocks in after.items()
    }


def hermiticity_error(operator: BlockMatrix) -> float:
    """`hermiticity`: max |M_ij(R) - M_ji(-R)^dagger| / mean |M|; NaN where only one direction of each pair is there.

    Example:
        >>> from slembench.operators.orbitals import Basis
        >>> h = BlockMatrix.from_dense(Basis.parse({"H": "1s"}), np.array([1, 1]), np.array([[-1, -0.9], [-1.1, -1]]))
        >>> round(hermiticity_error(h), 6)
        0.2
    """
    if not operator.n_pairs or not (operator.reverse[~operator.onsite] >= 0).any():
        return float("nan")
    return operator.hermiticity_error() / max(float(np.abs(operator.values).mean()), 1e-300)


def strip(atoms: ase.Atoms, length: float) -> ase.Atoms:
    """Free-standing strip of the structure, repeated along its first periodic axis to a ``length`` (Angstrom).

    Example:
        >>> chain = ase.Atoms("H", cell=[9, 9, 1.5], pbc=[False, False, True])
        >>> long = strip(chain, 10.0)
        >>> len(long), bool(long.pbc.any())
        (7, False)
    """
    times = [1, 1, 1]
    if np.any(atoms.pbc):
        axis = int(np.flatnonzero(atoms.pbc)[0])
        times[axis] = int(np.ceil(length / float(np.linalg.norm(atoms.cell.array[axis]))))
    repeated: ase.Atoms = atoms.repeat(times)
    repeated.pbc = False
    return repeated


def locality_error(
    predict: Predictor, atoms: ase.Atoms, reach: tuple[float, float], step: float = 0.2
) -> tuple[dict[str, float], int]:
    """`locality`: change of blocks whose receptive field does not hold an atom, when that atom moves.

    Args:
        predict: the model.
        atoms: structure without periodic images, longer than the receptive field (`strip`).
        reach: radius in Angstrom of the receptive field of on-site blocks around their atom, and of pairs around the
            nearer one of theirs.
        step: displacement of the last atom, Angstrom.

    Returns:
        Operator -> largest change / mean |element|, and the number of blocks that lie outside (0: nothing was tested).

    Example:
        A chain whose on-site blocks read the length of the whole chain.

        >>> from slembench.operators.orbitals import Basis
        >>> def model(atoms):
        ...     h = -np.exp(-atoms.get_all_distances()) + np.ptp(atoms.positions) * np.eye(len(atoms))
        ...     return {"hamiltonian": BlockMatrix.from_dense(Basis.parse({"H": "1s"}), atoms.numbers, h)}
        >>> chain = ase.Atoms("H6", positions=[[0, 0, 1.5 * k] for k in range(6)])
        >>> errors, outside = locality_error(model, chain, (3.0, 3.0))
        >>> errors["hamiltonian"] > 0.01, outside
        (True, 9)
    """
    ends = atoms.positions[:, int(np.ptp(atoms.positions, axis=0).argmax())]  # along the longest axis
    mover = int(ends.argmax())
    moved = atoms.copy()
    moved.positions[mover] += step / np.sqrt(3)  # along (1, 1, 1): no coordinate stays
    before, after = predict(atoms), predict(moved)
    away = np.minimum(*(np.linalg.norm(a.positions - a.positions[mover], axis=1) for a in (atoms, moved)))
    errors, outside = {}, 0
    for name, blocks in before.items():
        distance = away[blocks.pair_index].min(axis=1)
        free = np.flatnonzero(distance > np.where(blocks.onsite, *reach))  # before and after the step
        outside = max(outside, len(free))
        chosen = blocks.take(free)
        same = after[name].align(chosen.pair_index, chosen.pair_shift)[0]
        scale = max(float(np.abs(blocks.values).mean()), 1e-300)
        errors[name] = float(np.abs(same.values - chosen.values).max(initial=0.0)) / scale
    return errors, outside


def size_error(predict: Predictor, atoms: ase.Atoms) -> dict[str, Deviation]:
    """`size_extensivity`: a supercell, doubled along every periodic axis, against the primitive cell's blocks.

    Raises:
        ValueError: the structure has no periodic axis.

    Example:
        On-site blocks that depend on the number of atoms.

        >>> from slembench.operators.orbitals import Basis
        >>> def model(atoms):
        ...     pairs, none = np.arange(len(atoms))[:, None].repeat(2, axis=1), np.zeros((len(atoms), 3))
        ...     values = np.full(len(atoms), -1 - 0.1 * len(atoms))
        ...     return {"hamiltonian": BlockMatrix(Basis.parse({"H": "1s"}), atoms.numbers, pairs, none, values)}
        >>> chain = ase.Atoms("H", cell=[9, 9, 1.5], pbc=[False, False, True])
        >>> round(size_error(model, chain)["hamiltonian"].largest, 4)
        0.0909
    """
    if not np.any(atoms.pbc):
        raise ValueError("a structure without periodic axes has no supercell")
    times = np.where(atoms.pbc, 2, 1)
    small, large = predict(atoms), predict(atoms.repeat(times))
    cells = np.array(list(np.ndindex(*times.tolist())))
    errors = {}
    for name, blocks in large.items():
        # ase.Atoms.repeat numbers atoms cell by cell: atom a of the supercell is atom a mod N in cell a // N
        part, index = np.divmod(blocks.pair_index, len(atoms))
        home = np.flatnonzero(part[:, 0] == 0)
        shift = blocks.pair_shift * times + cells[part[:, 1]] - cells[part[:, 0]]
        first = blocks.take(home)
        folded = replace(first, numbers=small[name].numbers, pair_index=index[home], pair_shift=shift[home])
        errors[name] = deviation(folded, small[name])
    return errors


def continuity_error(
    predict: Predictor, atoms: ase.Atoms, cutoffs: Mapping[int, float], step: float = 1e-6
) -> dict[str, float]:
    """`continuity`: change of blocks when one pair crosses its cutoff by a tiny step.

    Three atoms: the structure's first, its closest neighbour, and the last one at the cutoff from the first. The
    crossing pair's own block begins there and is left out. A continuous model changes by the order of the step.

    Args:
        predict: the model.
        atoms: structure, at least three atoms.
        cutoffs: atomic number -> radius r in Angstrom; pairs reach to (r_i + r_j) / 2.
        step: Angstrom.

    Returns:
        Operator -> largest change / mean |element|.

    Example:
        On-site blocks that count the neighbours within the cutoff jump when one of them leaves.

        >>> from slembench.operators.orbitals import Basis
        >>> def model(atoms):
        ...     h = -np.diag((atoms.get_all_distances() < 3.0).sum(axis=0).astype(float))
        ...     return {"hamiltonian": BlockMatrix.from_dense(Basis.parse({"H": "1s"}), atoms.numbers, h)}
        >>> atoms = ase.Atoms("H3", positions=[[0, 0, 0], [0.8, 0, 0], [0, 0.9, 0.4]])
        >>> continuity_error(model, atoms, {1: 3.0})["hamiltonian"] > 0.1
        True
    """
    before, after = (predict(_probe(atoms, cutoffs, side * step / 2)) for side in (-1, 1))
    errors = {}
    for name, blocks in before.items():
        chosen = blocks.take(np.flatnonzero(np.isin(blocks.pair_keys(), after[name].pair_keys())))
        same = after[name].align(chosen.pair_index, chosen.pair_shift)[0]
        scale = max(float(np.abs(blocks.values).mean()), 1e-300)
        errors[name] = float(np.abs(same.values - chosen.values).max(initial=0.0)) / scale
    return errors


def _probe(atoms: ase.Atoms, cutoffs: Mapping[int, float], beyond: float) -> ase.Atoms:
    """First atom, its closest neighbour, and the last atom at its cutoff from the first and ``beyond``."""
    vectors = atoms.get_all_distances(mic=bool(np.any(atoms.pbc)), vector=True)[0]
    lengths = np.linalg.norm(vectors, axis=1)
    lengths[0] = np.inf
    near = int(lengths.argmin())
    numbers = atoms.numbers[[0, near, -1]]
    limit = (cutoffs[int(numbers[0])] + cutoffs[int(numbers[2])]) / 2
    side = np.cross(vectors[near], [0.3, 0.5, 0.8])
    away = side / np.linalg.norm(side) * (limit + beyond)
    return ase.Atoms(numbers, positions=[np.zeros(3), vectors[near], away])


@dataclass(frozen=True)
class Check:
    """One row of the physics checks.

    Attributes:
        value: largest relative deviation over all operators; NaN where it was not measured.
        mean: mean relative deviation, where there is one.
        limit: the check is passed up to this value.
        note: what was measured, or why nothing was.
    """

    value: float
    mean: float | None
    limit: float
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """None where nothing was measured."""
        return None if np.isnan(self.value) else bool(self.value <= self.limit)

    def content(self) -> dict[str, float | str | bool | None]:
        """As JSON values; a value that was not measured is None.

        Example:
            >>> Check(2e-7, None, 1e-6, "Q = -1").content()
            {'value': 2e-07, 'mean': None, 'limit': 1e-06, 'passed': True, 'note': 'Q = -1'}
        """
        value = None if np.isnan(self.value) else self.value
        return {"value": value, "mean": self.mean, "limit": self.limit, "passed": self.passed, "note": self.note}


LIMITS = {
    "rotation": 1e-6, "inversion": 1e-6, "translation": 1e-6, "permutation": 1e-6, "hermiticity": 1e-6,
    "locality": 1e-12, "size_extensivity": 1e-6, "continuity": 1e-4,
}  # fmt: skip
"""Largest relative deviation with which a check is passed, for a model in float64."""


def physics_report(
    predict: Predictor,
    atoms: ase.Atoms,
    cutoffs: Mapping[int, float],
    reach: tuple[float, float] | None = None,
    *,
    seed: int = 0,
    largest: int = 400,
) -> dict[str, Check]:
    """All physics checks of a model on one structure.

    Args:
        predict: the model, in float64.
        atoms: structure.
        cutoffs: atomic number -> radius r in Angstrom.
        reach: receptive field of on-site blocks and pairs, Angstrom; None where it is not stated.
        seed: of the random rotation, shift and order.
        largest: atoms of the largest structure that is predicted for a check.

    Returns:
        Name (as in the catalogue) -> check; one that cannot be made says why.

    Example:
        >>> from slembench.operators.orbitals import Basis
        >>> def model(atoms):
        ...     h = -np.exp(-atoms.get_all_distances())
        ...     return {"hamiltonian": BlockMatrix.from_dense(Basis.parse({"H": "1s"}), atoms.numbers, h)}
        >>> atoms = ase.Atoms("H3", positions=[[0, 0, 0], [0.8, 0, 0], [0, 0.9, 0.4]])
        >>> {name: check.passed for name, check in physics_report(model, atoms, {1: 3.0}).items()}
        {'rotation': True, 'inversion': True, 'translation': True, 'permutation': True, 'hermiticity': True,
         'locality': None, 'size_extensivity': None, 'continuity': True}
    """
    predict = _cache_first(predict, atoms)
    rng = np.random.default_rng(seed)
    turns = Rotation.random(random_state=seed).as_matrix(), polar_rotation(atoms)
    shift, order = rng.uniform(-3, 3, size=3), rng.permutation(len(atoms))
    checks: dict[str, Callable[[], Check]] = {
        "rotation": lambda: _worst(
            [rotation_error(predict, atoms, q) for q in turns],
            "rotation",
            "a random rotation, and one that lays a bond along the polar axis",
        ),
        "inversion": lambda: _worst([rotation_error(predict, atoms, -np.eye(3))], "inversion", "Q = -1"),
        "translation": lambda: _worst(
            [translation_error(predict, atoms, shift, wrap) for wrap in (False, True)],
            "translation",
            "a random shift, and the same across the cell border",
        ),
        "permutation": lambda: _worst([permutation_error(predict, atoms, order)], "permutation", "a random order"),
        "hermiticity": lambda: _hermiticity(predict(atoms)),
        "locality": lambda: _locality(predict, atoms, reach, largest),
        "size_extensivity": lambda: _size(predict, atoms, largest),
        "continuity": lambda: _continuity(predict, atoms, cutoffs),
    }
    return {name: _attempt(name, check) for name, check in checks.items()}


def _cache_first(predict: Predictor, atoms: ase.Atoms) -> Predictor:
    """The model, called only once on ``atoms`` itself."""
    known: list[Mapping[str, BlockMatrix]] = []

    def again(structure: ase.Atoms) -> Mapping[str, BlockMatrix]:
        if structure is not atoms:
            return predict(structure)
        if not known:
            known.append(predict(atoms))
        return known[0]

    return again


def _attempt(name: str, check: Callable[[], Check]) -> Check:
    """A check, or why it was not made."""
    try:
        return check()
    except Exception as error:  # models of all origins are called here on structures they were not made for
        return _skipped(name, f"the model failed: {type(error).__name__}: {error}")


def _worst(errors: Sequence[Mapping[str, Deviation]], name: str, note: str) -> Check:
    every = [error for own in errors for error in own.values()]
    return Check(max(e.largest for e in every), max(e.mean for e in every), LIMITS[name], note)


def _skipped(name: str, reason: str) -> Check:
    return Check(float("nan"), None, LIMITS[name], reason)


def _hermiticity(operators: Mapping[str, BlockMatrix]) -> Check:
    errors = [hermiticity_error(operator) for operator in operators.values()]
    if np.isnan(errors).any():
        return _skipped("hermiticity", "one direction of each pair is predicted, the other follows")
    return Check(max(errors), None, LIMITS["hermiticity"], "both directions of every pair")


def _locality(predict: Predictor, atoms: ase.Atoms, reach: tuple[float, float] | None, largest: int) -> Check:
    if reach is None or not np.isfinite(reach).all():
        return _skipped("locality", "the model states no finite receptive field")
    long = strip(atoms, 2.0 + max(reach))
    if len(long) > largest:
        return _skipped("locality", f"a strip longer than the receptive field has {len(long)} atoms, at most {largest}")
    errors, outside = locality_error(predict, long, reach)
    if not outside:
        return _skipped("locality", f"the structure is smaller than the receptive field of {max(reach):.1f} Angstrom")
    return Check(max(errors.values()), None, LIMITS["locality"], f"{outside} blocks of a strip of {len(long)} atoms")


def _size(predict: Predictor, atoms: ase.Atoms, largest: int) -> Check:
    if not np.any(atoms.pbc):
        return _skipped("size_extensivity", "no periodic axis")
    number = len(atoms) * 2 ** int(np.sum(atoms.pbc))
    if number > largest:
        return _skipped("size_extensivity", f"the supercell has {number} atoms, at most {largest}")
    return _worst([size_error(predict, atoms)], "size_extensivity", f"supercell of {number} atoms")


def _continuity(predict: Predictor, atoms: ase.Atoms, cutoffs: Mapping[int, float]) -> Check:
    if len(atoms) < 3:
        return _skipped("continuity", "fewer than three atoms")
    value = max(continuity_error(predict, atoms, cutoffs).values())
    return Check(value, None, LIMITS["continuity"], "three atoms, one pair crossing its cutoff by 1e-6 Angstrom")
