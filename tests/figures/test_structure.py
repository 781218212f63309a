"""Atoms, bonds and cell of the picture of a structure, counted against ase's own distances."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule, mx2
from matplotlib.collections import LineCollection

from slembench.figures.structure import plot_structure


def bonds(figure):
    """Halves of bonds drawn in the first panel."""
    lines = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    return sum(len(c.get_segments()) for c in lines if c.get_linestyle()[0][1] is None)


@pytest.mark.parametrize(("name", "number"), [("H2O", 2), ("CH3CH2OH", 8), ("C6H6", 12)])
def test_bonds_of_molecules(name, number):
    figure = plot_structure(molecule(name), name)
    assert bonds(figure) == 2 * number
    assert len(figure.axes[0].patches) == len(molecule(name))
    assert figure.axes[0].get_title("left") == name


def test_every_bond_ends_half_way_to_its_partner():
    atoms = ase.Atoms("OH", positions=[[0, 0, 0], [0.97, 0, 0]])
    lines = [c for c in plot_structure(atoms).axes[0].collections if c.get_linestyle()[0][1] is None]
    lengths = [np.linalg.norm(np.diff(segment, axis=0)) for c in lines for segment in c.get_segments()]
    assert lengths == pytest.approx([0.485, 0.485])


def test_a_layer_has_two_views_and_no_bonds_between_metals():
    layer = mx2("MoS2", size=(2, 2, 1), vacuum=6)
    layer.pbc = (True, True, False)
    figure = plot_structure(layer, "MoS2")
    assert [ax.get_title("left") for ax in figure.axes] == ["MoS2, from above", "from the side"]
    assert bonds(figure) == 2 * 6 * 4


def test_a_metal_has_bonds_across_the_cell():
    assert bonds(plot_structure(bulk("Cu"))) == 12


def test_a_bulk_crystal_shows_its_twelve_edges():
    figure = plot_structure(bulk("Si", cubic=True))
    dashed = [c for c in figure.axes[0].collections if c.get_linestyle()[0][1] is not None]
    assert sum(len(c.get_segments()) for c in dashed) == 12


def test_a_molecule_is_seen_along_its_flattest_axis():
    water = molecule("H2O")
    water.rotate(40, "x")
    water.rotate(70, "y")
    centres = np.array([patch.center for patch in plot_structure(water).axes[0].patches])
    seen = np.linalg.norm(centres[:, None] - centres, axis=2)
    assert seen == pytest.approx(water.get_all_distances(), abs=1e-4)
