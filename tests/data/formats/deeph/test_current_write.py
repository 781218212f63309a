"""Writing the new DeepH layout from data of this project."""

import json
from dataclasses import replace

import ase
import h5py
import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import FORMATS, detect_format, read_samples, write_samples
from slembench.data.formats.deeph.current import read_structure
from slembench.data.sample import Sample, SampleInfo
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.operators.units import HARTREE_EV


def test_triangle_becomes_both_directions_and_hartree_becomes_ev(molecules, tmp_path):
    sample = molecules.sample("s01")
    sample = replace(sample, info=replace(sample.info, fermi_level=-0.25))
    write_samples([sample], tmp_path, "deeph-new")
    (tmp_path / "s01/slembench.json").unlink()  # as DeepH reads it
    back = read_structure(tmp_path / "s01")
    assert back.info.energy_unit == "eV"
    assert back.info.fermi_level == pytest.approx(-0.25 * HARTREE_EV)
    assert back.info.electrons == 10
    for name, factor in (("hamiltonian", HARTREE_EV), ("overlap", 1), ("density", 1)):
        assert (back.operators[name].reverse >= 0).all()
        # B N B is stored as B B N
        order = np.concatenate([np.arange(5), 14 + np.arange(5), 5 + np.arange(9)])
        dense = sample.operators[name].dense()[order][:, order]
        np.testing.assert_allclose(back.operators[name].dense(), dense * factor, rtol=1e-14)
    assert back.atoms.get_chemical_symbols() == ["B", "B", "N"]
    np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions[[0, 2, 1]])
    assert not sample.atoms.cell.array.any()
    box = np.ptp(sample.atoms.positions, axis=0) + 20
    np.testing.assert_allclose(back.atoms.cell.array, np.diag(box), atol=1e-12)


def test_operators_on_different_pairs_are_written_on_all_of_them(tmp_path):
    basis, numbers = Basis.parse({"H": "1s"}), np.array([1, 1])
    overlap = BlockMatrix(basis, numbers, [[0, 0], [1, 1]], [[0, 0, 0], [0, 0, 0]], np.array([1.0, 1.0]))
    hamiltonian = BlockMatrix(
        basis, numbers, [[0, 1], [0, 0], [1, 1]], [[0, 0, 1], [0, 0, 0], [0, 0, 0]], np.arange(1.0, 4)
    )
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]], cell=[3, 3, 3], pbc=True)
    sample = Sample("h2", atoms, basis, {"overlap": overlap, "hamiltonian": hamiltonian}, SampleInfo())
    write_samples([sample], tmp_path, "deeph-new")
    with h5py.File(tmp_path / "h2/overlap.h5") as s, h5py.File(tmp_path / "h2/hamiltonian.h5") as h:
        rows = s["atom_pairs"][()].tolist()
        assert rows == h["atom_pairs"][()].tolist()
        assert dict(zip(map(tuple, rows), s["entries"][()].tolist(), strict=True)) == {
            (0, 0, 0, 0, 0): 1.0, (0, 0, 0, 1, 1): 1.0, (0, 0, 1, 0, 1): 0.0, (0, 0, -1, 1, 0): 0.0
        }  # fmt: skip
        assert dict(zip(map(tuple, rows), h["entries"][()].tolist(), strict=True)) == {
            (0, 0, 0, 0, 0): 2.0, (0, 0, 0, 1, 1): 3.0, (0, 0, 1, 0, 1): 1.0, (0, 0, -1, 1, 0): 1.0
        }  # fmt: skip


def test_atoms_are_grouped_by_element_with_their_blocks(tmp_path):
    rng, numbers = np.random.default_rng(0), np.array([2, 1, 2, 1, 1, 2])
    basis, matrix = Basis.parse({"H": "1s", "He": "1s"}), rng.normal(size=(6, 6))
    matrix += matrix.T
    atoms = ase.Atoms(numbers, positions=rng.uniform(0, 5, (6, 3)), cell=[9, 9, 9], pbc=True)
    operator = BlockMatrix.from_dense(basis, numbers, matrix)
    write_samples([Sample("a", atoms, basis, {"overlap": operator})], tmp_path, "deeph-new")
    np.testing.assert_array_equal(read_structure(tmp_path / "a").atoms.numbers, numbers)  # by the note
    (tmp_path / "a/slembench.json").unlink()
    back, order = read_structure(tmp_path / "a"), [0, 2, 5, 1, 3, 4]
    assert back.atoms.numbers.tolist() == [2, 2, 2, 1, 1, 1]
    np.testing.assert_array_equal(back.atoms.positions, atoms.positions[order])
    np.testing.assert_array_equal(back.operators["overlap"].dense(), matrix[order][:, order])


def test_existing_folder_is_refused_and_left_alone(molecules, tmp_path):
    write_samples([molecules.sample("s01")], tmp_path, "deeph-new")
    before = (tmp_path / "s01/info.json").read_bytes()
    with pytest.raises(DataError, match=r"structure 's01': .* exists already"):
        write_samples(molecules.iterate(["s02", "s01"]), tmp_path, "deeph-new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s01", "s02"]
    assert (tmp_path / "s01/info.json").read_bytes() == before


def test_failed_write_leaves_nothing(molecules, tmp_path):
    sample = molecules.sample("s01")
    values = np.full_like(sample.operators["density"].values, np.nan)
    bad = replace(sample, operators=sample.operators | {"density": sample.operators["density"].with_values(values)})
    with pytest.raises(DataError, match="key 'density'"):
        write_samples([bad], tmp_path / "out", "deeph-new")
    assert not list((tmp_path / "out").glob("*"))


def test_id_that_is_no_folder_name(molecules, tmp_path):
    with pytest.raises(DataError, match=r"structure '../s01': key 'id': cannot be the name of a folder"):
        write_samples([replace(molecules.sample("s01"), id="../s01")], tmp_path, "deeph-new")


def test_registry_names_what_it_does_not_know(tmp_path, molecules):
    with pytest.raises(DataError, match=r"none of the known formats \(deeph-new.*was recognised"):
        detect_format(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        detect_format(tmp_path / "none")
    with pytest.raises(DataError, match="unknown format 'xyz'; known: deeph-new"):
        write_samples([], tmp_path, "xyz")
    with pytest.raises(DataError, match="no folder with POSCAR and info.json"):
        list(read_samples(tmp_path, "deeph-new"))


def test_format_that_is_only_read_and_two_that_fit(tmp_path, monkeypatch, molecules):
    write_samples([molecules.sample("s01")], tmp_path, "deeph-new")
    twin = replace(FORMATS["deeph-new"], name="twin", write=None)
    monkeypatch.setitem(FORMATS, "twin", twin)
    with pytest.raises(DataError, match="more than one format is possible: deeph-new"):
        read_samples(tmp_path)
    with pytest.raises(DataError, match="format twin can be read, not written"):
        write_samples([], tmp_path, "twin")
    assert [sample.id for sample in read_samples(tmp_path, "twin")] == ["s01"]


def test_written_texts_hold_every_digit(molecules, tmp_path):
    sample = molecules.sample("s05")
    write_samples([sample], tmp_path, "deeph-new")
    info = json.loads((tmp_path / "s05/info.json").read_text())
    assert info["elements_orbital_map"] == {"B": [0, 0, 1], "N": [0, 1, 2]}
    np.testing.assert_array_equal(read_structure(tmp_path / "s05").atoms.positions, sample.atoms.positions)
