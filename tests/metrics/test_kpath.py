"""Paths of known lattices."""

import ase
import numpy as np
import pytest
from ase.build import bulk, mx2

from slembench.metrics.kpath import band_path


def test_path_of_a_sheet_stays_in_its_plane():
    sheet = mx2("MoS2", a=3.18, vacuum=8)
    path = band_path(sheet, 0.1)
    assert list(path.labels.values()) == ["Γ", "M", "K", "Γ"]
    assert not path.kpoints[:, 2].any()
    points = {label: path.kpoints[k] for k, label in path.labels.items()}
    np.testing.assert_allclose(points["M"], [0.5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(points["K"], [1 / 3, 1 / 3, 0], atol=1e-12)
    # |Γ-M| = 2 pi / (sqrt 3 a), |M-K| = 2 pi / (3 a), |K-Γ| = 4 pi / (3 a)
    total = 2 * np.pi / 3.18 * (1 / np.sqrt(3) + 1 / 3 + 2 / 3)
    assert path.distance[-1] == pytest.approx(total)
    assert np.diff(path.distance).max() <= 0.1 + 1e-12


def test_displaced_atoms_have_the_path_of_their_lattice():
    sheet = mx2("MoS2", a=3.18, vacuum=8).repeat((2, 2, 1))
    sheet.rattle(0.05, seed=1)
    path = band_path(sheet, 0.1)
    assert path.space_group.endswith("of the lattice")
    assert list(path.labels.values()) == ["Γ", "M", "K", "Γ"]
    again = band_path(ase.Atoms(sheet.numbers[::-1], sheet.positions[::-1], cell=sheet.cell, pbc=sheet.pbc), 0.1)
    np.testing.assert_array_equal(path.kpoints, again.kpoints)


def test_path_with_a_jump():
    path = band_path(bulk("Si"), 0.2)
    assert path.space_group == "Fd-3m (227)"
    jumps = [label for label in path.labels.values() if "|" in label]
    assert jumps == ["U|K", "U|K"]
    here = [k for k, label in path.labels.items() if label == "U|K"]
    assert path.distance[here[0]] == pytest.approx(path.distance[here[1]])
    assert not np.allclose(path.kpoints[here[0]], path.kpoints[here[1]])


def test_no_path():
    with pytest.raises(ValueError, match="needs a periodic direction"):
        band_path(ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]]))
    with pytest.raises(ValueError, match="must be positive"):
        band_path(bulk("Si"), 0.0)
