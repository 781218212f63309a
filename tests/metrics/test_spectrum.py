"""Levels, filling and level errors against SciPy and hand-made bands."""

import numpy as np
import pytest
import scipy.linalg

from slembench.metrics.spectrum import (
    S_THRESHOLD,
    band_metrics,
    fill,
    is_gamma,
    k_mesh,
    level_metrics,
    levels,
    mean_level_error,
    overlap_minimum,
)
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

BASIS = Basis.parse({"H": "2s1p", "O": "1s1p"})
NUMBERS = np.array([1, 8])
SHIFTS = [(0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)]


def operator(seed, scale, identity):
    triples = np.array([(i, j, *r) for r in SHIFTS for i in range(2) for j in range(2)])
    matrix = BlockMatrix.zeros(BASIS, NUMBERS, triples[:, :2], triples[:, 2:])
    matrix = matrix.with_values(scale * np.random.default_rng(seed).normal(size=len(matrix.values))).hermitise()
    diagonal = matrix.onsite[matrix.element_pair] & (matrix.element_rows == matrix.element_columns)
    return matrix.with_values(matrix.values + identity * diagonal)


H, S = operator(1, 1.0, 0.0), operator(2, 0.03, 1.0)


def loop_at_k(matrix, k):
    """Sum over pairs, block by block."""
    offsets, total = BASIS.orbital_offsets(NUMBERS), np.zeros((9, 9), complex)
    for p, (i, j) in enumerate(matrix.pair_index):
        phase = np.exp(2j * np.pi * k @ matrix.pair_shift[p])
        rows, columns = slice(offsets[i], offsets[i + 1]), slice(offsets[j], offsets[j + 1])
        total[rows, columns] += phase * matrix.gather(np.array([p]))[0]
    return total


def test_levels_equal_scipy():
    kpoints, _ = k_mesh((3, 4, 1))
    expected = [scipy.linalg.eigh(loop_at_k(H, k), loop_at_k(S, k), eigvals_only=True) for k in kpoints]
    np.testing.assert_allclose(levels(H, S, kpoints), expected, atol=1e-12)
    np.testing.assert_allclose(levels(H.triangle(), S.triangle(), kpoints), expected, atol=1e-12)
    orthonormal = [np.linalg.eigvalsh(loop_at_k(H, k)) for k in kpoints]
    np.testing.assert_allclose(levels(H, None, kpoints), orthonormal, atol=1e-12)


def test_the_lower_triangle_counts():
    kpoints, _ = k_mesh((3, 1, 1))
    crooked = H.with_values(H.values + np.random.default_rng(9).normal(size=len(H.values)))
    expected = [scipy.linalg.eigh(loop_at_k(crooked, k), loop_at_k(S, k), eigvals_only=True) for k in kpoints]
    np.testing.assert_allclose(levels(crooked, S, kpoints), expected, atol=1e-12)
    assert np.abs(levels(crooked, S, kpoints) - levels(crooked.hermitise(), S, kpoints)).max() > 0.1


def test_gamma_alone_uses_real_matrices():
    gamma = np.zeros((1, 3))
    assert is_gamma(gamma)
    assert not is_gamma(np.zeros((2, 3)))
    expected = scipy.linalg.eigh(loop_at_k(H, gamma[0]), loop_at_k(S, gamma[0]), eigvals_only=True)
    np.testing.assert_allclose(levels(H, S, gamma)[0], expected, atol=1e-12)


def test_small_batches_give_the_same(monkeypatch):
    kpoints, _ = k_mesh((3, 3, 1))
    whole = levels(H, S, kpoints)
    monkeypatch.setattr("slembench.metrics.spectrum._BATCH_BYTES", 16 * 81 * 2)
    np.testing.assert_allclose(levels(H, S, kpoints), whole, atol=1e-13)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 2, 1), (3, 1, 4), (5, 5, 1)])
def test_mesh_stands_for_the_whole_one(size):
    kpoints, weights = k_mesh(size)
    whole = np.array([np.array(n) / size for n in np.ndindex(*size)])
    assert weights.sum() == pytest.approx(1)
    assert (np.abs(kpoints) <= 0.5).all()
    expected = np.mean([np.linalg.eigvalsh(loop_at_k(H, k)) ** 2 for k in whole], axis=0)
    np.testing.assert_allclose(weights @ levels(H, None, kpoints) ** 2, expected, atol=1e-12)
    assert len(kpoints) <= len(whole) / 2 + 4


@pytest.mark.parametrize("size", [(3, 3), (3, 0, 1), (2.5, 1, 1)])
def test_bad_mesh(size):
    with pytest.raises(ValueError, match="three positive integers"):
        k_mesh(size)


def test_smallest_eigenvalue_of_s():
    kpoints, _ = k_mesh((3, 3, 1))
    expected = min(np.linalg.eigvalsh(loop_at_k(S, k)).min() for k in kpoints)
    assert overlap_minimum(S, kpoints) == pytest.approx(expected, abs=1e-13)
    assert overlap_minimum(S * -1.0, kpoints) < 0


def molecule(matrix):
    return BlockMatrix.from_dense(BASIS, NUMBERS, matrix)


def singular_overlap(tiny):
    """S with one eigenvalue ``tiny``, and its eigenvectors."""
    vectors = np.linalg.qr(np.random.default_rng(4).normal(size=(9, 9)))[0]
    return vectors @ np.diag([tiny, *np.linspace(0.5, 2, 8)]) @ vectors.T, vectors


@pytest.mark.parametrize("tiny", [1e-12, 0.0, -0.01])
def test_nearly_singular_directions_are_projected_out(tiny):
    s, vectors = singular_overlap(tiny)
    h = H.dense()
    found = levels(molecule(h), molecule(s), np.zeros((1, 3)))[0]
    kept = vectors[:, 1:]
    expected = scipy.linalg.eigh(kept.T @ h @ kept, kept.T @ s @ kept, eigvals_only=True)
    np.testing.assert_allclose(found[:8], expected, atol=1e-10)
    assert np.isnan(found[8])


def test_legacy_raises_small_eigenvalues():
    s, _ = singular_overlap(1e-12)
    values, vectors = np.linalg.eigh(s)
    basis = vectors / np.sqrt([S_THRESHOLD, *values[1:]])
    expected = np.linalg.eigvalsh(basis.T @ H.dense() @ basis)
    found = levels(molecule(H.dense()), molecule(s), np.zeros((1, 3)), "legacy")[0]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    regular = levels(H, S, np.zeros((1, 3)), "legacy")
    np.testing.assert_allclose(regular, levels(H, S, np.zeros((1, 3))), atol=1e-12)


EPS = np.array([[-2.0, -1.0, 1.0, 3.0], [-3.0, -0.5, 2.0, 4.0]])
WEIGHTS = np.array([0.25, 0.75])


def test_filling_of_an_insulator():
    filling = fill(EPS, WEIGHTS, 4)
    assert (filling.occupied, filling.valence_top, filling.conduction_bottom) == (2, -0.5, 1.0)
    assert filling.gap == 1.5
    assert filling.fermi == pytest.approx(0.25)


def test_filling_of_a_metal():
    eps = np.array([[-1.0, 0.5], [-0.5, 0.6], [0.7, 1.0]])
    filling = fill(eps, np.full(3, 1 / 3), 2)
    assert filling.gap == 0.0
    assert filling.fermi == pytest.approx((0.5 + 0.6) / 2)  # levels -1, -0.5, 0.5 hold the two electrons
    assert fill(eps, np.full(3, 1 / 3), 1).occupied == 1


def test_filling_up_to_the_last_level():
    filling = fill(EPS, WEIGHTS, 8)
    assert np.isnan(filling.conduction_bottom)
    assert filling.fermi == 4.0


@pytest.mark.parametrize("electrons", [0, 9, -2])
def test_electrons_that_do_not_fit(electrons):
    with pytest.raises(ValueError, match="do not fit the 4 levels"):
        fill(EPS, WEIGHTS, electrons)


def test_level_error_is_weighted():
    predicted = EPS + np.array([[0.1], [0.3]])
    chosen = np.array([[True, True, False, False], [True, False, False, False]])
    expected = (0.25 * 2 * 0.1 + 0.75 * 0.3) / (0.25 * 2 + 0.75)
    assert mean_level_error(predicted, EPS, WEIGHTS, chosen) == pytest.approx(expected)
    assert np.isnan(mean_level_error(predicted, EPS, WEIGHTS, np.zeros((2, 4), bool)))


def test_molecule_by_hand():
    reference, predicted = np.array([[-3.0, -1.0, 2.0]]), np.array([[-3.1, -0.8, 2.5]])
    found = level_metrics(predicted, reference, 4)
    assert found == pytest.approx({"eps_mae_occ": 0.15, "homo_mae": 0.2, "lumo_mae": 0.5, "gap_mae": 0.3})


def test_bands_of_an_insulator():
    shifted = EPS + 7.0
    shifted[0, 1] += 0.4  # -1.0 -> -0.6: still below the valence top at the other k point
    found = band_metrics(shifted, EPS, WEIGHTS, electrons=4, mu=7.0, window=1.5, insulating=0.1)
    assert found["gap_mae"] == pytest.approx(0)
    occupied = 0.25 * 0.4 / (2 * 0.25 + 2 * 0.75)
    assert found["band_mae_occ"] == pytest.approx(occupied)
    # E_F = 0.25: the window holds -1.0 and 1.0 at the first k point, -0.5 at the second
    assert found["band_mae_window"] == pytest.approx(0.25 * 0.4 / (2 * 0.25 + 0.75))


def test_alignment_at_the_valence_top_or_the_fermi_level():
    predicted = EPS.copy()
    predicted[1, 1] = -0.3  # valence top 0.2 higher
    found = band_metrics(predicted, EPS, WEIGHTS, electrons=4, mu=0.0, window=1.5, insulating=0.1)
    # aligned at the top: level (1, 1) is exact, all others are 0.2 too low
    expected = 0.2 * (2 * 0.25 + 0.75) / (2 * 0.25 + 2 * 0.75)
    assert found["band_mae_occ_aligned"] == pytest.approx(expected)
    found = band_metrics(predicted, EPS, WEIGHTS, electrons=4, mu=0.0, window=1.5, insulating=2.0)
    # aligned at E_F, which moves by 0.1: level (1, 1) is 0.1 too high, the others 0.1 too low
    assert found["band_mae_occ_aligned"] == pytest.approx(0.1)


def test_gauge_shift_of_h_moves_levels_by_mu():
    kpoints, weights = k_mesh((3, 3, 1))
    reference, moved = levels(H, S, kpoints), levels(H + S * 0.7, S, kpoints)
    found = band_metrics(moved, reference, weights, electrons=6, mu=0.7, window=5.0, insulating=0.1)
    assert max(found.values()) < 1e-12


def test_empty_window_has_no_value():
    found = band_metrics(EPS, EPS, WEIGHTS, electrons=4, mu=0.0, window=0.1, insulating=0.1)
    assert np.isnan(found["band_mae_window"])
    assert found["band_mae_occ"] == 0
