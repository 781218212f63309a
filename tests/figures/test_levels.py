"""Level diagrams and densities of states show the energies they are given."""

import numpy as np
import pytest

from slembench.figures.levels import DensityOfStates, Levels, plot_dos, plot_levels


def test_levels_in_range_homo_lumo_and_the_deeper_ones():
    eps = np.array([-20.0, -1.0, -0.5, -0.3, 0.1, 0.2, 5.0])
    ax = plot_levels([Levels("water", eps, 4)], "Hartree", 1.0, 0.5).axes[0]
    drawn = [sorted(segment[0, 1] for segment in lines.get_segments()) for lines in ax.collections]
    assert drawn == [[-1.0, -0.5, -0.3], [-0.3], [0.1, 0.2], [0.1]]
    assert [text.get_text() for text in ax.texts] == ["1 deeper"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["water"]
    assert ax.get_ylabel() == "orbital energy (Hartree)"


@pytest.mark.parametrize(("edges", "text"), [((0.0, 1.5), "gap 1.50 eV"), ((0.0, 0.0), "Fermi level")])
def test_density_of_states(edges, text):
    energy = np.linspace(-3, 3, 61)
    dos = DensityOfStates(energy, np.exp(-(energy**2)), edges)
    ax = plot_dos(dos, "eV", "the Fermi level", DensityOfStates(energy, 0 * energy, edges)).axes[0]
    assert np.array_equal(ax.lines[0].get_ydata(), dos.density)
    assert not ax.lines[1].get_ydata().any()
    filled = ax.collections[0].get_paths()[0].vertices
    assert filled[:, 0].max() <= edges[0]
    assert [label.get_text() for label in ax.texts] == [text]
    assert ax.get_xlabel() == "energy from the Fermi level (eV)"
