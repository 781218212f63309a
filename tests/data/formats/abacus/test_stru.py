"""STRU files of ABACUS: every kind of coordinates, every named lattice, and what is wrong with them."""

import numpy as np
import pytest
from ase.cell import Cell

from slembench.core.errors import DataError
from slembench.data.formats.abacus.stru import LATTICES, read_stru
from slembench.data.formats.folders import element_of
from slembench.operators.units import BOHR_ANGSTROM

VECTORS = np.array([[1.0, 0.1, 0.0], [-0.4, 0.9, 0.0], [0.0, 0.2, 2.5]])
FRACTIONAL = np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.8], [0.25, 0.5, 0.75]])
CONSTANT = 6.1


def stru(positions=FRACTIONAL, kind="Direct", vectors=VECTORS):
    rows = "\n".join(" ".join(map(repr, row)) + " 1 1 0 mag 1.0" for row in positions.tolist())
    first, *others = rows.splitlines()
    lattice = "\n".join(" ".join(map(repr, row)) for row in vectors.tolist())
    return f"""ATOMIC_SPECIES
Fe1 55.8 Fe.upf upf201   # a comment
O   16.0 O.upf

NUMERICAL_ORBITAL
Fe_4s2p2d1f.orb
O_2s2p1d.orb

LATTICE_CONSTANT
{CONSTANT}  // Bohr
LATTICE_VECTORS
{lattice}

ATOMIC_POSITIONS
{kind}
Fe1
2.0 // magnetism
1
{first}

O #label
0.0
2
{others[0]}
{others[1]}
"""


@pytest.fixture
def parsed(tmp_path):
    def parse(text, latname="none"):
        (tmp_path / "STRU").write_text(text)
        return read_stru(tmp_path / "STRU", latname)

    return parse


def test_contents(parsed):
    found = parsed(stru())
    assert found.species == ("Fe1", "O")
    assert found.counts == (1, 2)
    assert found.orbital_files == {"Fe1": "Fe_4s2p2d1f.orb", "O": "O_2s2p1d.orb"}
    assert found.atoms.get_chemical_symbols() == ["Fe", "O", "O"]
    assert found.atoms.pbc.all()
    np.testing.assert_allclose(found.atoms.cell.array, VECTORS * CONSTANT * BOHR_ANGSTROM, rtol=1e-14)
    np.testing.assert_allclose(found.atoms.get_scaled_positions(), FRACTIONAL, atol=1e-14)


@pytest.mark.parametrize(
    "kind", ["Cartesian", "Cartesian_au", "Cartesian_angstrom", "Cartesian_angstrom_center_xy",
             "Cartesian_angstrom_center_xz", "Cartesian_angstrom_center_yz", "Cartesian_angstrom_center_xyz"],
)  # fmt: skip
def test_every_kind_of_coordinates_gives_the_same_atoms(parsed, kind):
    cell = VECTORS * CONSTANT * BOHR_ANGSTROM
    positions = FRACTIONAL @ cell
    centre = cell.sum(axis=0) / 2 * [axis in kind.rpartition("center_")[2] and "center" in kind for axis in "xyz"]
    unit = {"Cartesian": CONSTANT * BOHR_ANGSTROM, "Cartesian_au": BOHR_ANGSTROM}.get(kind, 1.0)
    found = parsed(stru((positions - centre) / unit, kind)).atoms
    np.testing.assert_allclose(found.positions, positions, atol=1e-12)


def test_atoms_are_moved_into_the_cell_as_abacus_does(parsed):
    found = parsed(stru(FRACTIONAL + np.array([[1, -2, 0], [0, 0, -1], [-3, 0, 1]]))).atoms
    np.testing.assert_allclose(found.positions, FRACTIONAL @ found.cell.array, atol=1e-12)
    at_zero = FRACTIONAL * [[0, 1, 1]] - [[1e-17, 0, 0]]  # not moved to the other end by rounding
    np.testing.assert_allclose(parsed(stru(at_zero)).atoms.positions[:, 2], (at_zero @ found.cell.array)[:, 2])


ANGLE = np.cos(1.2)
PARAMETERS = {
    "sc": ((), (1, 1, 1, 90, 90, 90)),
    "hexagonal": ((1.6,), (1, 1, 1.6, 90, 90, 120)),
    "st": ((1.6,), (1, 1, 1.6, 90, 90, 90)),
    "so": ((1.3, 1.6), (1, 1.3, 1.6, 90, 90, 90)),
    "sm": ((1.3, 1.6, ANGLE), (1, 1.3, 1.6, 90, 90, np.degrees(1.2))),
    "trigonal": ((ANGLE,), (1, 1, 1, *[np.degrees(1.2)] * 3)),
    "triclinic": ((1.3, 1.6, 0.1, 0.2, 0.3), (1, 1.3, 1.6, *np.degrees(np.arccos([0.3, 0.2, 0.1])))),
}
CENTRED = {
    "fcc": ((), 1 / 4), "bcc": ((), 1 / 2), "bct": ((1.6,), 1.6 / 2), "baco": ((1.3, 1.6), 1.3 * 1.6 / 2),
    "fco": ((1.3, 1.6), 1.3 * 1.6 / 4), "bco": ((1.3, 1.6), 1.3 * 1.6 / 2),
    "bacm": ((1.3, 1.6, ANGLE), 1.3 * 1.6 * np.sin(1.2) / 2),
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_primitive_lattices_have_their_lengths_and_angles(name):
    parameters, wanted = PARAMETERS[name]
    np.testing.assert_allclose(Cell(LATTICES[name](*parameters)).cellpar(), wanted, atol=1e-10)


@pytest.mark.parametrize("name", CENTRED)
def test_centred_lattices_have_their_volume_and_hold_the_conventional_vectors(name):
    parameters, volume = CENTRED[name]
    vectors = np.array(LATTICES[name](*parameters))
    assert abs(np.linalg.det(vectors)) == pytest.approx(volume)
    b, c, cosine = (*parameters, *(1, 1, 0)[len(parameters) :]) if name != "bct" else (1, *parameters, 0)
    conventional = [[1, 0, 0], [b * cosine, b * np.sqrt(1 - cosine**2), 0], [0, 0, c]]
    whole = conventional @ np.linalg.inv(vectors)
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-12)


def test_all_named_lattices_are_tested():
    assert sorted([*PARAMETERS, *CENTRED]) == sorted(LATTICES)


def test_lattice_by_name(parsed):
    text = (
        stru().replace("LATTICE_VECTORS", "LATTICE_PARAMETERS").replace("1.0 0.1 0.0\n-0.4 0.9 0.0\n0.0 0.2 2.5", "2.5")
    )
    cell = parsed(text, "hexagonal").atoms.cell
    np.testing.assert_allclose(cell.cellpar()[:3] / CONSTANT / BOHR_ANGSTROM, [1, 1, 2.5])
    with pytest.raises(DataError, match=r"LATTICE_PARAMETERS \[2.5\] do not fit the lattice 'fco'"):
        parsed(text, "fco")
    with pytest.raises(DataError, match="unknown 'latname' 'cubic' in INPUT; known: sc, fcc"):
        parsed(text, "cubic")
    with pytest.raises(DataError, match="LATTICE_VECTORS is missing, and no 'latname'"):
        parsed(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("LATTICE_CONSTANT", "LATTICE", "section LATTICE_CONSTANT is missing"),
        ("Direct", "Fractional", "unknown kind of coordinates 'fractional'"),
        ("O #label", "N", "has species 'N' where ATOMIC_SPECIES has 'O'"),
        ("\nO ", "\n1O ", "begins with no chemical symbol"),
        ("0.0 0.2 2.5", "1.0 0.1 0.0", "the lattice vectors span no volume"),
        ("0.0 0.2 2.5", "", "malformed"),
        ("0.0\n2\n", "0.0\n3\n", "species 'O': 3 atoms are said to follow, 2 lines do"),
        ("0.1 0.2 0.3", "0.1 x 0.3", "malformed: could not convert string to float: 'x'"),
        ("0.1 0.2 0.3", "nan 0.2 0.3", "position that is not finite"),
    ],
)
def test_what_is_wrong_is_named(parsed, tmp_path, old, new, message):
    with pytest.raises(DataError, match=message) as caught:
        parsed(stru().replace(old, new))
    assert str(caught.value).startswith(str(tmp_path / "STRU"))


def test_elements_of_labels():
    assert [element_of(label) for label in ("C", "Fe1", "C_up", "fe", "Si2", "Hx")] == [6, 26, 6, 26, 14, 1]
    with pytest.raises(DataError, match="species '1C' begins with no chemical symbol"):
        element_of("1C")
