"""Counts of elements against NumPy's own histograms."""

import numpy as np
import pytest

from slembench.figures.element_parity import BINS, element_density, plot_element_parity


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=4000) * 10.0 ** rng.uniform(-5, 0, 4000)
    return reference, reference + 1e-3 * rng.normal(size=4000)


def test_counts(values):
    reference, predicted = values
    largest = float(np.abs(reference).max())
    halves = [(reference[:1500], predicted[:1500]), (reference[1500:], predicted[1500:])]
    density = element_density(halves, largest)
    inside = np.clip(predicted, -largest, largest)
    expected = np.histogram2d(reference, inside, bins=[density.edges, density.edges])[0]
    assert np.array_equal(density.parity, expected)
    assert density.elements == density.parity.sum() == density.errors.sum() == 4000
    sizes = [np.clip(np.abs(v), density.magnitudes[0], largest) for v in (reference, predicted - reference)]
    assert np.array_equal(density.errors, np.histogram2d(*sizes, bins=[density.magnitudes] * 2)[0])


def test_edges_are_symmetric_and_end_at_the_largest_element(values):
    density = element_density([values], 7.0)
    assert density.edges[[0, BINS // 2, -1]] == pytest.approx([-7, 0, 7])
    assert density.magnitudes[[0, -1]] == pytest.approx([7e-10, 7])


def test_the_median_error(values):
    reference, predicted = values
    largest = float(np.abs(reference).max())
    right = plot_element_parity(element_density([values], largest), "hamiltonian", "eV").axes[1]
    size, error = np.abs(reference), np.abs(predicted - reference)
    for centre, median in right.lines[0].get_xydata()[5:-5:5]:
        near = (size > centre / 1.26) & (size < centre * 1.26)
        assert median == pytest.approx(np.median(error[near]), rel=0.7)
    assert right.get_ylabel() == "|error of H| (eV)"
