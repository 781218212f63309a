"""The sparsity picture shows the largest element over R, and the shares of elements above thresholds."""

import numpy as np
import pytest

from slembench.figures.sparsity import largest_over_translations, plot_sparsity


def test_largest_over_translations(structure):
    hamiltonian = structure[1]["hamiltonian"].hermitise()
    shifts, matrices = hamiltonian.sparse()
    dense = np.abs(np.array([matrix.toarray() for matrix in matrices]))
    assert len(shifts) == 5
    assert np.array_equal(largest_over_translations(hamiltonian), dense.max(axis=0))


def test_the_map_and_the_curves(structure):
    operators = structure[1]
    figure = plot_sparsity(operators, "eV", "BN")
    left, right, bar = figure.axes
    assert np.allclose(left.images[0].get_array(), largest_over_translations(operators["hamiltonian"]))
    assert bar.get_ylabel() == "largest |H(R)| over R (eV)"
    assert left.get_title("left") == "BN: 14 orbitals"
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["H (eV)", "S"]
    values = np.abs(operators["overlap"].values)
    for threshold, share in right.lines[1].get_xydata()[::7]:
        assert share == pytest.approx(100 * (values >= threshold).mean())


def test_tiny_elements_are_white(structure):
    hamiltonian = structure[1]["hamiltonian"]
    values = hamiltonian.values.copy()
    values[3] *= 1e-9
    image = plot_sparsity({"ΔH": hamiltonian.with_values(values)}, "eV").axes[0].images[0].get_array()
    assert image.mask.sum() == 1
