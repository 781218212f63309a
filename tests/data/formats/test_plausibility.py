"""Units inferred from numbers, and an overlap that is none refused whatever the format."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule

from slembench.core.errors import DataError
from slembench.data.formats import read_samples, write_samples
from slembench.data.formats.deeptb.blocks import parse_basis
from slembench.data.formats.plausibility import check_physical, energy_evidence, length_evidence
from slembench.data.store import Header
from slembench.data.store import write_samples as write_store
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.operators.units import BOHR_ANGSTROM, HARTREE_EV


@pytest.mark.parametrize("name", ["H2O", "CH4", "C6H6", "HCN", "CF4", "H2", "N2", "CH3CH2OH", "HF"])
def test_lengths_of_molecules(name):
    atoms = molecule(name)
    assert length_evidence(atoms.numbers, atoms.positions).unit == "Angstrom"
    assert length_evidence(atoms.numbers, atoms.positions / BOHR_ANGSTROM).unit == "Bohr"
    assert length_evidence(atoms.numbers, atoms.positions * 10).unit is None


def test_the_reason_names_the_bond():
    atoms = molecule("H2O")
    reason = "the shortest bond, O-H, is 0.969 long, 1.00 times its covalent radii"
    assert length_evidence(atoms.numbers, atoms.positions).reason == reason
    assert length_evidence(np.array([1]), np.zeros((1, 3))).reason == "one atom has no bonds"


def levels(z, shells, energies):
    """H of one atom with the given levels, one a shell, in a basis that is neither orthogonal nor ordered by energy."""
    basis = Basis.parse({z: shells})
    numbers = np.array(basis.elements)
    diagonal = np.repeat(energies, [2 * l + 1 for l in basis.shells[basis.elements[0]]])
    mixing = np.eye(len(diagonal)) + np.tri(len(diagonal)) * 0.1
    s = np.linalg.inv(mixing @ mixing.T)
    h = np.linalg.inv(mixing).T @ np.diag(diagonal) @ np.linalg.inv(mixing)
    s = np.linalg.inv(mixing).T @ np.linalg.inv(mixing)
    return (BlockMatrix.from_dense(basis, numbers, m) for m in ((h + h.T) / 2, (s + s.T) / 2))


@pytest.mark.parametrize(
    ("element", "shells", "energies"),
    [
        ("C", "2s1p", [-10.2, -0.5, -0.2]),
        ("O", "3s2p1d", [-19.1, -0.9, 1.5, -0.3, 1.2, 2.0]),
        ("Si", "3s2p", [-65.8, -5.1, -0.4, -3.5, -0.15]),
        ("C", "1s1p", [-0.5, -0.2]),
        ("Ga", "2s2p1d", [-0.33, 0.4, -0.1, 0.5, -0.7]),
        ("Mo", "2s1p1d", [-2.3, -0.15, -1.35, -0.15]),
    ],
)
def test_energies_of_atoms(element, shells, energies):
    for shift in (0.0, 3.0):  # the zero of energy does not matter
        h, s = levels(element, shells, np.array(energies) + shift)
        assert energy_evidence(h, s).unit == "Hartree"
        assert energy_evidence(h * HARTREE_EV, s).unit == "eV"
    assert f"level of {element} lies" in energy_evidence(h, s).reason


def test_hydrogen_says_nothing():
    h, s = levels("H", "2s1p", np.array([-0.3, 0.2, 0.9]))
    assert energy_evidence(h, s).unit is None
    assert energy_evidence(h, s).reason == "no element heavier than helium"


def with_operator(sample, name, change):
    operator = sample.operators[name]
    values = operator.values.copy()
    change(operator, values)
    return replace(sample, operators={**sample.operators, name: operator.with_values(values)})


@pytest.mark.parametrize("name", ["deeph-new", "deeph-legacy", "deeptb", "parquet"])
def test_overlap_with_a_negative_eigenvalue(crystals, tmp_path, name):
    sample = crystals.sample("s00")
    assert check_physical(sample, "x") is sample
    bad = with_operator(sample, "overlap", lambda operator, values: values.__imul__(-1.0))
    write_samples([bad], tmp_path / "out", name) if name != "parquet" else write_samples(
        [bad], tmp_path / "out.parquet", name
    )
    path = tmp_path / ("out.parquet" if name == "parquet" else "out")
    with pytest.raises(DataError, match=r"structure 's00': key 'overlap': S\(k\) has the eigenvalue -"):
        list(read_samples(path, name))


def test_parquet_whose_own_block_is_not_symmetric(crystals, tmp_path):
    def change(operator, values):
        values[operator.offsets[np.flatnonzero(operator.onsite)[0]] + 1] += 1.0

    sample = with_operator(crystals.sample("s00"), "hamiltonian", change)
    header = Header(sample.basis.to_dict(), "eV", "vacuum", ("hamiltonian", "overlap"))
    write_store(tmp_path / "a.parquet", [sample], header)
    with pytest.raises(DataError, match=r"a.parquet: structure 's00': key 'hamiltonian': not Hermitian"):
        list(read_samples(tmp_path / "a.parquet"))


def test_damaged_page_of_a_parquet_file(crystals, tmp_path):
    """A changed byte inside a page is told by the page's checksum, even where it still unpacks."""
    write_samples([crystals.sample(name) for name in crystals.ids], tmp_path / "a.parquet", "parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    for place in range(100, len(content) - 8000, 997):
        broken = bytearray(content)
        broken[place] ^= 4
        (tmp_path / "a.parquet").write_bytes(broken)
        with pytest.raises(DataError, match="a.parquet"):
            list(read_samples(tmp_path / "a.parquet"))


def test_an_absurd_number_of_shells_is_refused_at_once():
    with pytest.raises(DataError, match="more than 99 of one l"):
        parse_basis("{'Si': '999999999999s1p'}", np.array([14]), "basis.dat")
